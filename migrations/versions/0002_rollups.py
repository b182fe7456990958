"""Rollups, cost histograms, and the marks by which triggers tell where lines arrived.

Safe before deploying the code that reads them: until they are refreshed, every line is marked.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FACTS = (
    "requests",
    "deep",
    "expected_nanousd",
    "expected_known",
    "booked_nanousd",
    "booked_requests",
    "replaced_nanousd",
    "aborted",
    "incomplete",
    "calls",
    "priced",
    "cost_nanousd",
    "estimated",
    "unknown",
    "input_fresh",
    "input_cached",
    "input_cache_write",
    "output_visible",
    "output_reasoning",
    "largest_nanousd",
)
TABLES = ("requests", "calls", "adjustments", "revenue_events")
ID_COLUMNS = {"requests": "id", "calls": "request_id", "adjustments": "request_id", "revenue_events": "request_id"}

# What marks a row that names no request: when a reconciled difference is effective, the day a statement is of.
SQLITE_ELSEWHERE = {
    "adjustments": "printf('%08X', NEW.effective_at / 65536000)",
    "revenue_events": "COALESCE(NEW.day, date(NEW.received_at / 1000000, 'unixepoch'))",
}
POSTGRESQL_ELSEWHERE = {
    "adjustments": "lpad(to_hex(effective_at / 65536000), 8, '0')",
    "revenue_events": "COALESCE(day, to_char(to_timestamp(received_at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD'))",
}


def upgrade() -> None:
    op.create_table(
        "rollup_marks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("granule", sa.String(length=8), nullable=True),
        sa.Column("day", sa.String(length=10), nullable=True),
        sa.Column("quarter", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollup_marks")),
    )
    op.create_index("ix_rollup_marks_granule", "rollup_marks", ["granule"])
    op.create_table(
        "rollups",
        sa.Column("grouping_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("grain", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("start", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key1", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key2", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(fact, sa.BigInteger(), nullable=False) for fact in FACTS),
        sa.PrimaryKeyConstraint("grouping_id", "grain", "start", "key1", "key2", name=op.f("pk_rollups")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_costs",
        sa.Column("grain", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("start", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tier", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("grain", "start", "tier", "bucket", name=op.f("pk_rollup_costs")),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        mark_on_sqlite()
    else:
        mark_on_postgresql()


def mark_on_sqlite() -> None:
    for table in TABLES:
        column = ID_COLUMNS[table]
        sqlite_mark(f"mark_{table}", table, "granule", f"substr(hex(NEW.{column}), 1, 8)", f"NEW.{column} IS NOT NULL")
        if elsewhere := SQLITE_ELSEWHERE.get(table):
            to = "day" if table == "revenue_events" else "granule"
            sqlite_mark(f"mark_{table}_elsewhere", table, to, elsewhere, f"NEW.{column} IS NULL")
        op.execute(
            f"INSERT INTO rollup_marks (granule) SELECT DISTINCT substr(hex({column}), 1, 8) "  # noqa: S608
            f"FROM {table} WHERE {column} IS NOT NULL"
        )
    op.execute(
        "INSERT INTO rollup_marks (granule) SELECT DISTINCT printf('%08X', effective_at / 65536000) "
        "FROM adjustments WHERE request_id IS NULL"
    )
    op.execute(
        "INSERT INTO rollup_marks (day) SELECT DISTINCT COALESCE(day, date(received_at / 1000000, 'unixepoch')) "
        "FROM revenue_events WHERE request_id IS NULL"
    )


def sqlite_mark(name: str, table: str, to: str, value: str, condition: str) -> None:
    """Lines come in the order of time, so the newest mark nearly always says it already: about 1 µs a line."""
    newest = "(SELECT granule FROM rollup_marks ORDER BY id DESC LIMIT 1)"
    known = f"EXISTS (SELECT 1 FROM rollup_marks WHERE {to} = {value})"  # noqa: S608
    when = f"{condition} AND {value} IS NOT {newest} AND NOT {known}"
    body = f"INSERT INTO rollup_marks ({to}) VALUES ({value});"  # noqa: S608
    op.execute(f"CREATE TRIGGER {name} AFTER INSERT ON {table} WHEN {when} BEGIN {body} END")


def mark_on_postgresql() -> None:
    for table in TABLES:
        column = ID_COLUMNS[table]
        body = postgresql_mark("granule", f"substr({column}::text, 1, 8)", "arrived", f"{column} IS NOT NULL")
        elsewhere = POSTGRESQL_ELSEWHERE.get(table)
        to = "day" if table == "revenue_events" else "granule"
        if elsewhere:
            body += postgresql_mark(to, elsewhere, "arrived", f"{column} IS NULL")
        op.execute(
            f"CREATE FUNCTION mark_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$"
        )
        op.execute(
            f"CREATE TRIGGER mark_{table} AFTER INSERT ON {table} REFERENCING NEW TABLE AS arrived "
            f"FOR EACH STATEMENT EXECUTE FUNCTION mark_{table}()"
        )
        op.execute(postgresql_mark("granule", f"substr({column}::text, 1, 8)", table, f"{column} IS NOT NULL"))
        if elsewhere:
            op.execute(postgresql_mark(to, elsewhere, table, f"{column} IS NULL"))


def postgresql_mark(to: str, value: str, source: str, condition: str) -> str:
    return f"INSERT INTO rollup_marks ({to}) SELECT DISTINCT {value} FROM {source} WHERE {condition};"  # noqa: S608


def downgrade() -> None:
    for table in TABLES:
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"DROP TRIGGER mark_{table}")
            op.execute(f"DROP TRIGGER IF EXISTS mark_{table}_elsewhere")
        else:
            op.execute(f"DROP TRIGGER mark_{table} ON {table}")
            op.execute(f"DROP FUNCTION mark_{table}()")
    op.drop_table("rollup_costs")
    op.drop_table("rollups")
    op.drop_table("rollup_marks")

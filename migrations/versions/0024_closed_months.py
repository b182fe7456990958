"""Months that are closed, and what arrived for them afterwards, which triggers note in the same transaction.

Safe before deploying the code that reads them: until a month is closed nothing is late.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# By table: the code of its lines, the request that one belongs to, its number beside that, when it was recorded, and
# how one without a request tells its moment, to be held against the end of the newest closed month.
RUN = "(SELECT created_at FROM runs WHERE runs.id = {row}run_id)"
LINES = {
    "requests": (1, "{row}id", "NULL", "{row}recorded_at", None),
    "calls": (2, "{row}request_id", "{row}call_no", "{row}recorded_at", None),
    "adjustments": (3, "{row}request_id", "{row}id", RUN, "{row}effective_at < bound.end_us"),
    "revenue_events": (
        4,
        "{row}request_id",
        "{row}id",
        "{row}received_at",
        "COALESCE({row}day < bound.end_day, {row}received_at < bound.end_us)",
    ),
}
BOUND = "(SELECT end_id, end_us, end_day FROM closed_months ORDER BY end_us DESC LIMIT 1) bound"
QUARTER_US = 900_000_000


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    request_id = sa.LargeBinary(16) if is_sqlite else sa.Uuid(as_uuid=False)
    op.create_table(
        "closed_months",
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=False),
        sa.Column("end_day", sa.String(10), nullable=False),
        sa.Column("end_id", request_id, nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_closed_months")),
    )
    op.create_table(
        "late_lines",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("request_id", request_id, nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("posted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_late_lines")),
    )
    op.create_index("ix_late_lines_posted_at", "late_lines", ["posted_at"])
    op.create_index("ix_late_lines_kind_request_id", "late_lines", ["kind", "request_id"])
    for table in LINES:
        if is_sqlite:
            note_on_sqlite(table)
        else:
            note_on_postgresql(table)


def parts(table: str, row: str) -> tuple[int, str, str, str, str]:
    """Return code, request, number, instant of posting, and the condition that a row is late."""
    code, request, number, recorded, elsewhere = LINES[table]
    late = f"{request} < bound.end_id"
    if elsewhere is not None:
        late = f"CASE WHEN {request} IS NULL THEN {elsewhere} ELSE {late} END"
    written = (text.format(row=row) for text in (request, number, recorded, late))
    request, number, recorded, late = written
    return code, request, number, recorded, late


def note_on_sqlite(table: str) -> None:
    code, request, number, recorded, late = parts(table, "NEW.")
    posted = f"MAX({recorded}, bound.end_us)"
    quarter = f"{posted} / {QUARTER_US}"
    op.execute(
        f"CREATE TRIGGER late_{table} AFTER INSERT ON {table} WHEN EXISTS (SELECT 1 FROM closed_months) BEGIN "  # noqa: S608
        f"INSERT INTO late_lines (kind, request_id, number, posted_at) "
        f"SELECT {code}, {request}, {number}, {posted} FROM {BOUND} WHERE {late}; "
        f"INSERT INTO rollup_marks (quarter) SELECT {quarter} FROM {BOUND} WHERE {late} "
        f"AND NOT EXISTS (SELECT 1 FROM rollup_marks WHERE quarter = {quarter}); END"
    )


def note_on_postgresql(table: str) -> None:
    code, request, number, recorded, late = parts(table, "arrived.")
    posted = f"GREATEST({recorded}, bound.end_us)"
    body = (
        f"INSERT INTO late_lines (kind, request_id, number, posted_at) "  # noqa: S608 - names of our own
        f"SELECT {code}, {request}, {number}::integer, {posted} FROM arrived, {BOUND} WHERE {late}; "
        f"INSERT INTO rollup_marks (quarter) "
        f"SELECT DISTINCT {posted} / {QUARTER_US} FROM arrived, {BOUND} WHERE {late};"
    )
    op.execute(
        f"CREATE FUNCTION late_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER late_{table} AFTER INSERT ON {table} REFERENCING NEW TABLE AS arrived "
        f"FOR EACH STATEMENT EXECUTE FUNCTION late_{table}()"
    )


def downgrade() -> None:
    for table in LINES:
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"DROP TRIGGER late_{table}")
        else:
            op.execute(f"DROP TRIGGER late_{table} ON {table}")
            op.execute(f"DROP FUNCTION late_{table}()")
    op.drop_table("late_lines")
    op.drop_table("closed_months")

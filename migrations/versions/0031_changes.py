"""How often anything changed that every worker follows, counted by triggers: one number tells whether there is news.

Safe before deploying the code that reads it, and code that does not know it is counted all the same.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

TABLES = (
    "artifacts",
    "budgets",
    "canaries",
    "keys",
    "mark_salts",
    "old_key_secrets",
    "policy_versions",
    "prices",
    "revenue_versions",
)
EVENTS = ("INSERT", "UPDATE", "DELETE")
COUNT = "UPDATE changes SET number = number + 1;"


def upgrade() -> None:
    table = op.create_table(
        "changes",
        sa.Column("one", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_changes")),
    )
    op.bulk_insert(table, [{"one": 1, "number": 0}])
    if op.get_bind().dialect.name == "sqlite":
        for name in TABLES:
            for event in EVENTS:
                op.execute(f"CREATE TRIGGER count_{name}_{event.lower()} AFTER {event} ON {name} BEGIN {COUNT} END")
    else:
        op.execute(
            f"CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {COUNT} RETURN NULL; END $$"
        )
        for name in TABLES:
            op.execute(
                f"CREATE TRIGGER count_{name} AFTER {' OR '.join(EVENTS)} OR TRUNCATE ON {name} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION count_change()"
            )


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for name in TABLES:
        if is_sqlite:
            for event in EVENTS:
                op.execute(f"DROP TRIGGER count_{name}_{event.lower()}")
        else:
            op.execute(f"DROP TRIGGER count_{name} ON {name}")
    if not is_sqlite:
        op.execute("DROP FUNCTION count_change()")
    op.drop_table("changes")

"""A name for these books, and what each day has of revenue, so that no sum of it overflows.

Safe before deploying the code that needs it: what is added is read by nobody else. Revenue events beyond what one may
have are left out of the days, as reports leave them out from now on.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

MOST_EVENT_NANOUSD = 10**15
MOST = 2**62


def upgrade() -> None:
    op.create_table(
        "books_id",
        sa.Column("one", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_books_id")),
    )
    op.create_table(
        "revenue_days",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("amount_nanousd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_revenue_days")),
    )
    connection = op.get_bind()
    connection.execute(sa.text("INSERT INTO books_id (one, id) VALUES (1, :id)"), {"id": secrets.token_hex(16)})
    is_postgresql = connection.dialect.name == "postgresql"
    received = (
        "to_char(to_timestamp(received_at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
        if is_postgresql
        else "date(received_at / 1000000, 'unixepoch')"
    )
    rows = connection.execute(
        sa.text(
            f"SELECT COALESCE(day, {received}), SUM(ABS(amount_nanousd) / 1000 + 1) FROM revenue_events "  # noqa: S608
            "WHERE amount_nanousd BETWEEN :least AND :most GROUP BY 1"
        ),
        {"least": -MOST_EVENT_NANOUSD, "most": MOST_EVENT_NANOUSD},
    ).all()
    for day, micro in rows:
        values = {"day": day, "amount": min(int(micro) * 1_000, MOST)}
        connection.execute(sa.text("INSERT INTO revenue_days (day, amount_nanousd) VALUES (:day, :amount)"), values)


def downgrade() -> None:
    op.drop_table("revenue_days")
    op.drop_table("books_id")

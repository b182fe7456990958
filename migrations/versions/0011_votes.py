"""How votes of the parallel tier ended, so that labels of agreements are the same for all workers and replicas.

Safe before deploying the code that uses it: nothing else reads or writes these tables.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

REQUEST_ID = sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql")
NUMBERS = ("models_id", "answer_type_id", "stop_reason_id", "samples", "voters", "unreadable", "leader", "second")


def upgrade() -> None:
    op.create_table(
        "votes",
        sa.Column("request_id", REQUEST_ID, nullable=False),
        *(sa.Column(name, sa.REAL(), nullable=False) for name in ("confidence", "p_sampled", "p_strong")),
        *(sa.Column(name, sa.SmallInteger(), nullable=False) for name in NUMBERS),
        sa.Column("judge_id", sa.SmallInteger(), nullable=True),
        sa.Column("is_escalated", sa.Boolean(), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=True),
        sa.Column("judge_accepts", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_votes")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "coverage_days",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("taken_nanousd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_coverage_days")),
    )


def downgrade() -> None:
    op.drop_table("coverage_days")
    op.drop_table("votes")

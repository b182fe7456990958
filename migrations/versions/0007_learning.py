"""Feature rows, duels and adapted artefacts.

Safe before deploying the code that uses them: new tables only. Going back drops what was learnt from.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

REQUEST_ID = sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "feature_rows",
        sa.Column("request_id", REQUEST_ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.SmallInteger(), nullable=False),
        sa.Column("row", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_feature_rows")),
    )
    op.create_table(
        "duels",
        sa.Column("request_id", REQUEST_ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("cost_nanousd", sa.BigInteger(), nullable=True),
        sa.Column("answered_tier", sa.SmallInteger(), nullable=False),
        sa.Column("other_tier", sa.SmallInteger(), nullable=False),
        sa.Column("agreement", sa.SmallInteger(), nullable=False),
        sa.Column("preferred", sa.SmallInteger(), nullable=True),
        sa.Column("grade_fast", sa.REAL(), nullable=True),
        sa.Column("grade_reasoning", sa.REAL(), nullable=True),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_duels")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "duel_days",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("taken_nanousd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_duel_days")),
    )
    op.create_table(
        "artifacts",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_artifacts")),
    )


def downgrade() -> None:
    for table in ("artifacts", "duel_days", "duels", "feature_rows"):
        op.drop_table(table)

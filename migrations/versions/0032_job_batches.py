"""Batches of samples that background jobs buy.

Safe before deploying the code that uses it: what is added is empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_batches",
        sa.Column("job_id", sa.String(length=37), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("look_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("unwanted_at", sa.BigInteger(), nullable=True),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=True),
        sa.Column("batch_id", sa.Text(), nullable=True),
        sa.Column("calls", sa.Text(), nullable=False),
        sa.Column("answers", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "name", name=op.f("pk_job_batches")),
    )
    op.create_index("ix_job_batches_look_at", "job_batches", ["look_at"])


def downgrade() -> None:
    op.drop_table("job_batches")

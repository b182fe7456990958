"""Callbacks of background jobs that are to be delivered.

Safe before deploying the code that uses it: what is added is empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_callbacks",
        sa.Column("job_id", sa.String(length=37), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "way", name=op.f("pk_job_callbacks")),
    )
    op.create_index("ix_job_callbacks_created_at", "job_callbacks", ["created_at"])
    op.create_index("ix_job_callbacks_due_at", "job_callbacks", ["due_at"])


def downgrade() -> None:
    op.drop_table("job_callbacks")

"""Idempotency keys, with the answers that are replayed for them.

Safe before deploying the code that uses it: what is added is empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "replays",
        sa.Column("name", sa.LargeBinary(length=32), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("request_id", sa.LargeBinary(16) if is_sqlite else sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("head", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_replays")),
    )
    op.create_index("ix_replays_request_id", "replays", ["request_id"])
    op.create_index("ix_replays_expires_at", "replays", ["expires_at"])
    op.create_index("ix_replays_key_id_size", "replays", ["key_id", "size"])


def downgrade() -> None:
    op.drop_table("replays")

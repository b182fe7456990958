"""Keys that expire, are rotated, name certain models and have limits of their own; allowances of persons by day.

Safe before deploying the code that uses it: until then, no key has a limit. Keys that may not use every tier could
name any model under a name of its own until now; they may name none from here on.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

EVERY_TIER = {"fast", "reasoning", "parallel"}


def upgrade() -> None:
    op.add_column("keys", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.add_column("keys", sa.Column("allowed_models", sa.JSON(), nullable=True))
    op.add_column("keys", sa.Column("limits", sa.JSON(), nullable=True))
    op.create_table(
        "old_key_secrets",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["keys.id"], name=op.f("fk_old_key_secrets_key_id_keys"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_old_key_secrets")),
    )
    op.create_index(op.f("ix_old_key_secrets_key_id"), "old_key_secrets", ["key_id"])
    op.create_table(
        "person_days",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("user_mark", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("deep", sa.Integer(), nullable=False),
        sa.Column("taken_nanousd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "user_mark", name=op.f("pk_person_days")),
        sqlite_with_rowid=False,
    )
    close_explicit_models()


def downgrade() -> None:
    op.drop_table("person_days")
    op.drop_index(op.f("ix_old_key_secrets_key_id"), "old_key_secrets")
    op.drop_table("old_key_secrets")
    for name in ("limits", "allowed_models", "expires_at"):
        op.drop_column("keys", name)


def close_explicit_models() -> None:
    connection = op.get_bind()
    keys = sa.table("keys", sa.column("id"), sa.column("allowed_tiers"), sa.column("allowed_models", sa.JSON()))
    for row in connection.execute(sa.select(keys.c.id, keys.c.allowed_tiers)).all():
        tiers = json.loads(row.allowed_tiers) if isinstance(row.allowed_tiers, str) else row.allowed_tiers
        if set(tiers) != EVERY_TIER:
            connection.execute(sa.update(keys).where(keys.c.id == row.id).values(allowed_models=[]))

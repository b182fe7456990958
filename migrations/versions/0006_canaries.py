"""Canaries, and what a request says of the answer before it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    make_canaries()


def downgrade() -> None:
    drop_canaries()


def make_canaries() -> None:
    op.create_table(
        "canaries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("control", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("on_success", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version"], ["policy_versions.version"], name="fk_canaries_version_policy_versions"),
        sa.ForeignKeyConstraint(["control"], ["policy_versions.version"], name="fk_canaries_control_policy_versions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_canaries")),
    )
    op.create_index(op.f("ix_canaries_state"), "canaries", ["state"])
    op.add_column("policy_versions", sa.Column("validated_at", sa.BigInteger(), nullable=True))
    op.add_column("policy_versions", sa.Column("wiring", sa.String(length=32), nullable=True))
    widen_acts(16, 32)


def drop_canaries() -> None:
    op.drop_table("canaries")
    op.drop_column("policy_versions", "wiring")
    op.drop_column("policy_versions", "validated_at")
    op.execute("DELETE FROM policy_events WHERE act LIKE 'canary%' OR act LIKE 'shadow%' OR act = 'validated'")
    widen_acts(32, 16)


def widen_acts(old: int, new: int) -> None:
    with op.batch_alter_table("policy_events") as batch:
        batch.alter_column(
            "act", existing_type=sa.String(length=old), type_=sa.String(length=new), existing_nullable=False
        )

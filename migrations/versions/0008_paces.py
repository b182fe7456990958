"""Prices of a dollar, step by step, and what versions of the policy were predicted to do.

Safe before deploying the code that uses them: nothing else reads or writes these tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pace_steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("interval", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("is_dry", sa.Boolean(), nullable=False),
        sa.Column("is_frozen", sa.Boolean(), nullable=False),
        sa.Column("price", sa.Double(), nullable=False),
        sa.Column("error", sa.Double(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("spent_nanousd", sa.BigInteger(), nullable=True),
        sa.Column("due_nanousd", sa.BigInteger(), nullable=True),
        sa.Column("overspent_nanousd", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pace_steps")),
        sa.UniqueConstraint("segment", "interval", name=op.f("uq_pace_steps_segment_interval")),
    )
    op.create_index("ix_pace_steps_interval", "pace_steps", ["interval"])
    op.create_table(
        "predictions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("made_by", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"], ["policy_versions.version"], name=op.f("fk_predictions_version_policy_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
    )
    op.create_index("ix_predictions_version", "predictions", ["version"])


def downgrade() -> None:
    op.drop_table("predictions")
    op.drop_table("pace_steps")

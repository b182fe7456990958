"""Who did what to policy versions, when and why.

Safe before deploying the code that writes it: until then, every version that there is was activated when it was made.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("act", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Integer(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"], ["policy_versions.version"], name=op.f("fk_policy_events_version_policy_versions")
        ),
        sa.ForeignKeyConstraint(
            ["previous"], ["policy_versions.version"], name=op.f("fk_policy_events_previous_policy_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_events")),
    )
    op.execute(
        "INSERT INTO policy_events (act, version, previous, author, note, created_at) "
        "SELECT 'activated', version, parent, author, note, created_at FROM policy_versions ORDER BY version"
    )


def downgrade() -> None:
    op.drop_table("policy_events")

"""The oldest schema whose code may use this one, so that an older release starts on a newer schema that only grew.

Safe before deploying the code that reads it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

FLOOR = "0024"  # since then the schema only grew


def upgrade() -> None:
    table = op.create_table(
        "schema_floor",
        sa.Column("one", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_schema_floor")),
    )
    op.bulk_insert(table, [{"one": 1, "revision": FLOOR}])


def downgrade() -> None:
    op.drop_table("schema_floor")

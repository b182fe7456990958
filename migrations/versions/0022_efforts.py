"""Which effort the model of a request's first tier was asked for.

Safe before deploying the code that needs it: what is added is empty, and of requests of before no effort is known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("requests", sa.Column("effort", sa.SmallInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("requests", "effort")

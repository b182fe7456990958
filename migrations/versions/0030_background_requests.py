"""Whether a background job answered a request.

Safe before deploying the code that needs it: what is added is empty, and of requests of before it is not known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("requests", sa.Column("background", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("requests", "background")

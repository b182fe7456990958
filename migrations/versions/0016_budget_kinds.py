"""Whether a budget is hard or soft.

Safe before deploying the code that uses it: every budget of before is hard, as it was.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("budgets", sa.Column("kind", sa.String(8), nullable=False, server_default="hard"))


def downgrade() -> None:
    op.drop_column("budgets", "kind")

"""What one request of a key may cost.

Safe before deploying the code that uses it: until then, no key has a limit.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("keys", sa.Column("max_cost_nanousd", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("keys", "max_cost_nanousd")

"""Every quarter is marked to be rolled up again, because rollups are kept by the cause of failed calls now.

Deploy together with the code that uses it: workers of before would roll up without it. Nothing but marks is written;
reports read the lines of what is marked, so they are exact at once and fast again when the marks are worked off.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BY_CAUSE = "26, 27"


def upgrade() -> None:
    op.execute("INSERT INTO rollup_marks (quarter) SELECT start FROM rollups WHERE grouping_id = 0 AND grain = 0")


def downgrade() -> None:
    op.execute(f"DELETE FROM rollups WHERE grouping_id IN ({BY_CAUSE})")  # noqa: S608 - numbers of our own

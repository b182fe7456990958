"""What whole votes of the parallel tier looked like, so that reports can set coverage beside selection.

Safe before deploying the code that uses it: nothing else reads or writes this table.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

REQUEST_ID = sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "coverage",
        sa.Column("request_id", REQUEST_ID, nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        *(
            sa.Column(name, sa.SmallInteger(), nullable=False)
            for name in ("samples", "valid", "selected", "largest", "used")
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_coverage")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("coverage")

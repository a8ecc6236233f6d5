"""When orders were asked about last, so that a restart need not ask about all of them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "asked_pages",
        sa.Column("page", sa.Integer, primary_key=True),
        sa.Column("seconds", sa.LargeBinary, nullable=False),
    )

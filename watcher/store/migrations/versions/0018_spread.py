"""How far the durations that a service's orders teach lie apart: 0 where it is not known."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the sum of the squares of the durations' logarithms."""
    squares = sa.Column("squares", sa.Float, nullable=False, server_default=sa.text("0"))
    op.add_column("lessons", squares)

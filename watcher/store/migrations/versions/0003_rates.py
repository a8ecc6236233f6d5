"""What was learnt of how fast each panel may be asked."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rates",
        sa.Column("panel", sa.Integer, sa.ForeignKey("panels.id"), primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("rate", sa.Float, nullable=False),
        sa.Column("ceiling", sa.Float),
        sa.Column("punishes_until", sa.Float, nullable=False),
    )

"""What archiving needs: where archived orders went, and refills found by their action."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "archived_orders",
        sa.Column("panel", sa.Integer, sa.ForeignKey("panels.id"), primary_key=True),
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("refills_by_action", "refills", ["action"])

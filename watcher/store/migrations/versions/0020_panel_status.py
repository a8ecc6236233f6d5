"""The status of each panel, written by its leader and read by the other nodes of a cluster."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "panel_status",
        sa.Column("panel", sa.Text, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )

"""What people have paused, and what they and keys did."""

import sqlalchemy as sa
from alembic import op

from watcher.store.dialect import BY_KEY, NEW_IDS, Whole

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pauses",
        sa.Column("what", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("until", sa.Float),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        **BY_KEY,
    )
    op.create_table(
        "audit",
        sa.Column("id", Whole, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("did", sa.Text, nullable=False),
        sa.Column("panel", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("detail", sa.Text),
        **NEW_IDS,
    )
    op.create_index("audit_at", "audit", ["at"])

"""Nodes and leaders of a cluster; each node keeps the times of its own checks."""

import sqlalchemy as sa
from alembic import op

from watcher.store.dialect import ROOM, Whole

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("epoch", Whole, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("keys", sa.Text, nullable=False),
        **ROOM,
    )
    op.create_table(
        "leaders",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("epoch", Whole, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
    )
    pages = op.get_bind().execute(sa.text("SELECT page, seconds FROM asked_pages")).all()
    op.drop_table("asked_pages")
    asked = op.create_table(
        "asked_pages",
        sa.Column("node", sa.Text, primary_key=True),
        sa.Column("page", Whole, primary_key=True),
        sa.Column("seconds", sa.LargeBinary, nullable=False),
    )
    op.bulk_insert(asked, [{"node": "", "page": page, "seconds": s} for page, s in pages])

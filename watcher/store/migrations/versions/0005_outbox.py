"""Messages to people and programs: what they are to be told, and what is on its way."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _notifications()
    _events()
    op.create_index("service_changes_at", "service_changes", ["at"])
    op.create_index(
        "refills_rejected",
        "refills",
        ["finished_at"],
        sqlite_where=sa.text("status = 'rejected'"),
    )
    op.create_index(
        "actions_refused",
        "actions",
        ["settled_at"],
        sqlite_where=sa.text("kind = 'refill' AND state = 'rejected'"),
    )


def _notifications() -> None:
    op.create_table(
        "notify_targets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("since", sa.Float, nullable=False),
    )
    op.create_table(
        "troubles",
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("panel", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("began_at", sa.Float, nullable=False),
        sa.Column("told_at", sa.Float),
        sa.Column("gone_at", sa.Float),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("queued_at", sa.Float, nullable=False),
        sa.Column("next_at", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.CheckConstraint("state IN ('queued', 'sent', 'dead')", name="outbox_state"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "outbox_queued", "outbox", ["target", "id"], sqlite_where=sa.text("state = 'queued'")
    )


def _events() -> None:
    op.create_table(
        "event_targets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("cursor", sa.Integer, nullable=False),
    )
    op.create_table(
        "event_lanes",
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Float, nullable=False),
        sa.Column("error", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("event_lanes_key", "event_lanes", ["key"])
    op.create_table(
        "dead_events",
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("change", sa.Integer, primary_key=True),
        sa.Column("key", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("dead_events_key", "dead_events", ["key"])

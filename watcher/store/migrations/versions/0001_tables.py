"""The first tables."""

import sqlalchemy as sa
from alembic import op

from watcher.store.schema import APPLICATION_ID, Money

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    op.create_table(
        "panels",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
    )
    _create_orders()
    _create_actions()
    _create_services()


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("panel", sa.Integer, sa.ForeignKey("panels.id"), nullable=False),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("service", sa.Text),
        sa.Column("link", sa.Text),
        sa.Column("quantity", sa.Integer),
        sa.Column("submitted_at", sa.Float, nullable=False),
        sa.Column("tracked_at", sa.Float, nullable=False),
        sa.UniqueConstraint("panel", "order_id"),
    )
    op.create_table(
        "order_states",
        sa.Column("key", sa.Integer, sa.ForeignKey("orders.key"), primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_text", sa.Text),
        sa.Column("charge", Money),
        sa.Column("currency", sa.Text),
        sa.Column("start_count", sa.Integer),
        sa.Column("remains", sa.Integer),
        sa.Column("count", sa.Integer),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("progressed_at", sa.Float, nullable=False),
        sa.Column("finished_at", sa.Float),
        sa.Column("changed_at", sa.Float, nullable=False),
        sa.Column("checked_at", sa.Float),
        sa.Column("problem", sa.Text),
        sa.Column("refills", sa.Integer, nullable=False),
        sa.Column("last_change", sa.Integer),
    )
    op.create_index(
        "order_states_not_closed",
        "order_states",
        ["key"],
        sqlite_where=sa.text("phase <> 'closed'"),
    )
    op.create_table(
        "history",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("previous", sa.Integer),
        sa.Column("key", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
    )


def _create_actions() -> None:
    op.create_table(
        "actions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("panel", sa.Integer, sa.ForeignKey("panels.id"), nullable=False),
        sa.Column("order_id", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("rule", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("params", sa.Text),
        sa.Column("idempotency_key", sa.Text, unique=True),
        sa.Column("planned_at", sa.Float, nullable=False),
        sa.Column("sent_at", sa.Float),
        sa.Column("settled_at", sa.Float),
        sa.Column("result", sa.Text),
        sa.Column("answer", sa.Text),
        sa.CheckConstraint("kind IN ('submit', 'refill', 'cancel')", name="actions_kind"),
        sa.CheckConstraint(
            "state IN ('planned', 'sending', 'accepted', 'rejected', 'unresolved')",
            name="actions_state",
        ),
        sa.CheckConstraint("kind = 'submit' OR order_id IS NOT NULL", name="actions_order"),
        sqlite_autoincrement=True,
    )
    op.create_index("actions_by_state", "actions", ["state", "panel"])
    op.create_index("actions_by_order", "actions", ["panel", "order_id"])
    op.create_index(
        "actions_one_unsettled",
        "actions",
        ["panel", "order_id", "kind"],
        unique=True,
        sqlite_where=sa.text(
            "state IN ('planned', 'sending', 'unresolved') AND order_id IS NOT NULL"
        ),
    )
    _create_refills()
    _create_firings()


def _create_refills() -> None:
    op.create_table(
        "refills",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("panel", sa.Integer, sa.ForeignKey("panels.id"), nullable=False),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("refill_id", sa.Text, nullable=False),
        sa.Column("action", sa.Integer, sa.ForeignKey("actions.id")),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_text", sa.Text),
        sa.Column("requested_at", sa.Float, nullable=False),
        sa.Column("finished_at", sa.Float),
        sa.UniqueConstraint("panel", "refill_id"),
    )
    op.create_index("refills_by_order", "refills", ["panel", "order_id"])
    op.create_index("refills_by_status", "refills", ["status"])


def _create_firings() -> None:
    op.create_table(
        "firings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("key", sa.Integer, sa.ForeignKey("orders.key"), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("dry_run", sa.Boolean, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("firings_key", "firings", ["key"])
    op.create_index("firings_at", "firings", ["at"])


def _create_services() -> None:
    op.create_table(
        "services",
        sa.Column("panel", sa.Integer, sa.ForeignKey("panels.id"), primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("rate", Money),
        sa.Column("min", sa.Integer),
        sa.Column("max", sa.Integer),
        sa.Column("refill", sa.Boolean),
        sa.Column("cancel", sa.Boolean),
        sa.Column("dripfeed", sa.Boolean),
        sa.Column("desc", sa.Text),
        sa.Column("average_time", sa.Text),
        sa.Column("seen_at", sa.Float, nullable=False),
        sa.Column("gone_at", sa.Float),
        sa.Column("refill_disabled_at", sa.Float),
        sa.Column("refill_disabled_text", sa.Text),
    )
    op.create_table(
        "service_changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("panel", sa.Integer, sa.ForeignKey("panels.id"), nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("old", sa.Text),
        sa.Column("new", sa.Text),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("service_changes_by_service", "service_changes", ["panel", "service"])
    op.create_table(
        "balances",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("panel", sa.Integer, sa.ForeignKey("panels.id"), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("amount", Money, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
    )
    op.create_index("balances_by_panel", "balances", ["panel", "at"])

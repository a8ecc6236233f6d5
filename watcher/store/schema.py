"""The tables. What the migrations build is compared with this in a test."""

from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

APPLICATION_ID = 0x57415443  # "WATC": tells our files from other programs'
BACKUP_ID = 0x57415442  # "WATB": a copy that was made as a backup; no daemon runs on it
OUR_IDS = (APPLICATION_ID, BACKUP_ID)


def money_text(value: Decimal) -> str:
    """The text that gives the same Decimal again."""
    if not value.is_finite():
        raise InvalidOperation(f"{value} is not an amount of money")
    return str(value)


class Money(TypeDecorator[Decimal]):
    """Decimal as text, since SQLite has no exact number; NUMERIC where a database has one."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return money_text(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


metadata = MetaData()

panels = Table(
    "panels",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)

# What never changes of an order. `key` is what all else refers to.
orders = Table(
    "orders",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("panel", Integer, ForeignKey("panels.id"), nullable=False),
    Column("order_id", Text, nullable=False),
    Column("service", Text),
    Column("link", Text),
    Column("quantity", Integer),
    Column("submitted_at", Float, nullable=False),
    Column("tracked_at", Float, nullable=False),
    Column("origin", Text),  # None: nothing of its life is from before it was tracked
    UniqueConstraint("panel", "order_id"),
    Index("orders_by_panel", "panel"),
    Index("orders_by_service", "service"),
    Index("orders_by_link", "link"),
)

# What changes, apart and narrow: a change rewrites its row's page.
order_states = Table(
    "order_states",
    metadata,
    Column("key", Integer, ForeignKey("orders.key"), primary_key=True),
    Column("status", Text, nullable=False),
    Column("status_text", Text),
    Column("charge", Money),
    Column("currency", Text),
    Column("start_count", Integer),
    Column("remains", Integer),
    Column("count", Integer),
    Column("phase", Text, nullable=False),
    Column("progressed_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("changed_at", Float, nullable=False),
    Column("checked_at", Float),
    Column("problem", Text),
    Column("refills", Integer, nullable=False),
    Column("last_change", Integer),  # its newest row in `history`
)
RESTORED = "restored from a backup: the rule may have acted since"  # the detail of such a firing
NOT_CLOSED = text("phase <> 'closed'")
Index("order_states_not_closed", order_states.c.key, sqlite_where=NOT_CLOSED)
# For finding orders. What nearly every order goes through is not in it: that would cost a write
# at each of its steps, and the newest orders in such a status are found without an index.
USUAL = ("unknown", "pending", "processing", "in_progress", "completed")
RARE = text(f"status NOT IN ({', '.join(repr(status) for status in USUAL)})")
HAS_PROBLEM = text("problem IS NOT NULL")
Index("order_states_rare", order_states.c.status, sqlite_where=RARE)
Index("order_states_problem", order_states.c.key, sqlite_where=HAS_PROBLEM)

# A chain: each row names the one before it of the same order, and the order names the last. An
# index by order would double what a change costs, since it touches one more page at random.
history = Table(
    "history",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("previous", Integer),
    Column("key", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("changes", Text, nullable=False),  # {field: [old, new]}, money as text
)

# The intent log. Ids are never used twice: people and notes refer to them.
actions = Table(
    "actions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("panel", Integer, ForeignKey("panels.id"), nullable=False),
    Column("order_id", Text),
    Column("state", Text, nullable=False),
    Column("rule", Text),
    Column("reason", Text, nullable=False),
    Column("params", Text),
    Column("idempotency_key", Text, unique=True),
    Column("planned_at", Float, nullable=False),
    Column("sent_at", Float),
    Column("settled_at", Float),
    Column("result", Text),
    Column("answer", Text),
    Column("params_hash", Text),  # of params that were large and are cut down
    CheckConstraint("kind IN ('submit', 'refill', 'cancel')", name="actions_kind"),
    CheckConstraint(
        "state IN ('planned', 'sending', 'accepted', 'rejected', 'unresolved')",
        name="actions_state",
    ),
    CheckConstraint("kind = 'submit' OR order_id IS NOT NULL", name="actions_order"),
    Index("actions_by_state", "state", "panel"),
    Index("actions_by_order", "panel", "order_id"),
    sqlite_autoincrement=True,
)
Index(
    "actions_one_unsettled",
    actions.c.panel,
    actions.c.order_id,
    actions.c.kind,
    unique=True,
    sqlite_where=text("state IN ('planned', 'sending', 'unresolved') AND order_id IS NOT NULL"),
)

LARGE_PARAMS = 2000  # characters; of a settled action, more are cut down
HAS_LARGE_PARAMS = text(f"length(params) > {LARGE_PARAMS}")
Index("actions_large", actions.c.settled_at, sqlite_where=HAS_LARGE_PARAMS)

refills = Table(
    "refills",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("panel", Integer, ForeignKey("panels.id"), nullable=False),
    Column("order_id", Text, nullable=False),
    Column("refill_id", Text, nullable=False),
    Column("action", Integer, ForeignKey("actions.id")),
    Column("status", Text, nullable=False),
    Column("status_text", Text),
    Column("requested_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("silent_since", Float),  # when the panel was asked and first did not tell of it
    UniqueConstraint("panel", "refill_id"),
    Index("refills_by_order", "panel", "order_id"),
    Index("refills_by_status", "status"),
    Index("refills_by_action", "action"),  # without it, each action removed reads all refills
)

# Which orders were moved to an archive file, and when: that names the file.
archived_orders = Table(
    "archived_orders",
    metadata,
    Column("panel", Integer, ForeignKey("panels.id"), primary_key=True),
    Column("order_id", Text, primary_key=True),
    Column("at", Float, nullable=False),
    sqlite_with_rowid=False,
)

firings = Table(
    "firings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("key", Integer, ForeignKey("orders.key"), nullable=False),
    Column("at", Float, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("detail", Text, nullable=False),
    Index("firings_key", "key"),
    Index("firings_at", "at"),
)

services = Table(
    "services",
    metadata,
    Column("panel", Integer, ForeignKey("panels.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("rate", Money),
    Column("min", Integer),
    Column("max", Integer),
    Column("refill", Boolean),
    Column("cancel", Boolean),
    Column("dripfeed", Boolean),
    Column("desc", Text),
    Column("average_time", Text),
    Column("seen_at", Float, nullable=False),
    Column("gone_at", Float),
    Column("refill_disabled_at", Float),
    Column("refill_disabled_text", Text),
)

service_changes = Table(
    "service_changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("panel", Integer, ForeignKey("panels.id"), nullable=False),
    Column("service", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("old", Text),
    Column("new", Text),
    Column("at", Float, nullable=False),
    Index("service_changes_by_service", "panel", "service"),
)

balances = Table(
    "balances",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("panel", Integer, ForeignKey("panels.id"), nullable=False),
    Column("at", Float, nullable=False),
    Column("amount", Money, nullable=False),
    Column("currency", Text, nullable=False),
    Index("balances_by_panel", "panel", "at"),
)

rates = Table(
    "rates",
    metadata,
    Column("panel", Integer, ForeignKey("panels.id"), primary_key=True),
    Column("at", Float, nullable=False),
    Column("rate", Float, nullable=False),
    Column("ceiling", Float),
    Column("punishes_until", Float, nullable=False),
)

# Sessions of the page that somebody has ended before their time, by the digest of their cookie.
ended_sessions = Table(
    "ended_sessions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("until", Float, nullable=False),  # it would have been over then
)

# What a panel's orders have taught of a service: of a stage (changes, exposure, logarithms of
# durations), of how long a quantity takes, of how orders end. It weighs as much as it did `at`.
lessons = Table(
    "lessons",
    metadata,
    Column("panel", Integer, ForeignKey("panels.id"), primary_key=True),
    Column("service", Text, primary_key=True),
    Column("what", Text, primary_key=True),
    Column("changes", Float, nullable=False),
    Column("exposure", Float, nullable=False),
    Column("logs", Float, nullable=False),
    Column("at", Float, nullable=False),
    sqlite_with_rowid=False,
)

# When orders were asked about last, by their keys: see `watcher.orders.columns.check_times`.
asked_pages = Table(
    "asked_pages",
    metadata,
    Column("page", Integer, primary_key=True),
    Column("seconds", LargeBinary, nullable=False),
)

# Who is told of what is wrong; what happened before a target was there is not told.
notify_targets = Table(
    "notify_targets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("since", Float, nullable=False),
)

# What is wrong, and which target knows of it: few rows, those that last.
troubles = Table(
    "troubles",
    metadata,
    Column("target", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("event", Text, nullable=False),
    Column("panel", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("began_at", Float, nullable=False),
    Column("told_at", Float),
    Column("gone_at", Float),
)

# Messages to people, on their way or told. Ids are never used twice: a receiver knows them.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("target", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("body", Text, nullable=False),  # a list of Notice as JSON
    Column("queued_at", Float, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    CheckConstraint("state IN ('queued', 'sent', 'dead')", name="outbox_state"),
    sqlite_autoincrement=True,
)
Index("outbox_queued", outbox.c.target, outbox.c.id, sqlite_where=text("state = 'queued'"))

# Programs that are told of changed orders: rows of `history`, up to which they were read. What did
# not arrive waits in its order's lane, from `first` on; what was given up is a dead letter.
event_targets = Table(
    "event_targets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("cursor", Integer, nullable=False),
)

event_lanes = Table(
    "event_lanes",
    metadata,
    Column("target", Text, primary_key=True),
    Column("key", Integer, primary_key=True),
    Column("first", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("error", Text),
    Index("event_lanes_key", "key"),
    sqlite_with_rowid=False,
)

dead_events = Table(
    "dead_events",
    metadata,
    Column("target", Text, primary_key=True),
    Column("change", Integer, primary_key=True),  # its row in `history`
    Column("key", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("error", Text, nullable=False),
    Index("dead_events_key", "key"),
    sqlite_with_rowid=False,
)

# What is counted over the database's whole life.
counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# By these what happened lately is found, for telling people.
Index("service_changes_at", service_changes.c.at)
Index("refills_rejected", refills.c.finished_at, sqlite_where=text("status = 'rejected'"))
Index(
    "actions_refused",
    actions.c.settled_at,
    sqlite_where=text("kind = 'refill' AND state = 'rejected'"),
)

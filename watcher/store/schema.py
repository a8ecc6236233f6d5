"""The tables. A new database is created from them; migrations bring an older one to them."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)

from watcher.orders.fields import FieldSource
from watcher.store.dialect import BY_KEY, NEW_IDS, ROOM, Money, Sorted, Whole, partial_index
from watcher.store.table_parts import columns_of as _fields
from watcher.store.table_parts import key_columns as _key
from watcher.store.table_parts import metadata as metadata
from watcher.store.table_parts import needed as _needed
from watcher.store.table_parts import optional as _optional
from watcher.store.table_parts import panel_column as _panel
from watcher.store.table_parts import table as _table

panels = _table("panels", *_key(Whole, "id"), Column("name", Text, nullable=False, unique=True))

# The fixed part of an order. All other tables refer to its `key`.
orders = _table(
    "orders",
    Column("key", Whole, primary_key=True),
    _panel(),
    Column("order_id", Sorted, nullable=False),
    Column("tracked_at", Float, nullable=False),
    *_fields(FieldSource.CALLER),
    UniqueConstraint("panel", "order_id"),
    Index("orders_by_panel", "panel"),
    Index("orders_by_service", "service"),
    Index("orders_by_link", "link"),
)
HAS_REFERENCE, HAS_CUSTOMER = text("reference IS NOT NULL"), text("customer IS NOT NULL")
IS_PERSONAL = text("(customer IS NOT NULL OR note IS NOT NULL)")
partial_index("orders_by_reference", orders.c.reference, where=HAS_REFERENCE)
partial_index("orders_by_customer", orders.c.customer, where=HAS_CUSTOMER)
partial_index("orders_personal", orders.c.submitted_at, where=IS_PERSONAL)

# The tags in `orders`, to find orders by them.
order_tags = _table(
    "order_tags",
    *_key(Sorted, "tag"),
    Column("key", Whole, ForeignKey("orders.key"), primary_key=True),
    Index("order_tags_key", "key"),
    **BY_KEY,
)

# The changing part of an order, in a narrow table: a change rewrites its row's page.
order_states = _table(
    "order_states",
    Column("key", Whole, ForeignKey("orders.key"), primary_key=True),
    Column("changed_at", Float, nullable=False),
    *_fields(FieldSource.PANEL, FieldSource.WATCHER),
    Column("last_change", Whole),  # its newest row in `history`
    **ROOM,
)
RESTORED = "restored from a backup: the rule may have acted since"  # the detail of such a firing
NOT_CLOSED = text("phase <> 'closed'")
partial_index("order_states_not_closed", order_states.c.key, where=NOT_CLOSED)
# Indexes to find orders. They leave out the statuses that nearly every order passes through: these
# would cost a write at each step, and the newest orders in them are found without an index.
USUAL = ("unknown", "pending", "processing", "in_progress", "completed")
RARE = text(f"status NOT IN ({', '.join(repr(status) for status in USUAL)})")
HAS_PROBLEM = text("problem IS NOT NULL")
partial_index("order_states_rare", order_states.c.status, where=RARE)
partial_index("order_states_problem", order_states.c.key, where=HAS_PROBLEM)

# A chain: each row names the previous one of its order, and the order names the last. An index by
# order would double the cost of a change, since it touches one more page at random.
history = _table(
    "history",
    Column("id", Whole, primary_key=True),
    Column("previous", Whole),
    Column("key", Whole, nullable=False),
    Column("at", Float, nullable=False),
    Column("changes", Text, nullable=False),  # {field: [old, new]}, money as text
)

# Each start of a daemon, with the last id of `history` before it: see `watcher.store.cursors`.
epochs = _table("epochs", *_key(Whole, "id"), *_needed(Whole, "first", "mark"))

_STATES = "state IN ('planned', 'sending', 'accepted', 'rejected', 'unresolved')"
# The intent log. Ids are never reused: people and notes refer to them.
actions = _table(
    "actions",
    Column("id", Whole, primary_key=True),
    Column("kind", Text, nullable=False),
    _panel(),
    Column("order_id", Sorted),
    Column("state", Text, nullable=False),
    Column("rule", Text),
    Column("reason", Text, nullable=False),
    Column("params", Text),
    Column("idempotency_key", Sorted, unique=True),
    Column("planned_at", Float, nullable=False),
    *_optional(Float, "sent_at", "settled_at"),
    *_optional(Text, "result", "answer"),
    Column("params_hash", Text),  # of large params that were cut down
    Column("labels", Text),  # of the order that it will place, until it is settled
    CheckConstraint("kind IN ('submit', 'refill', 'cancel')", name="actions_kind"),
    CheckConstraint(_STATES, name="actions_state"),
    CheckConstraint("kind = 'submit' OR order_id IS NOT NULL", name="actions_order"),
    Index("actions_by_state", "state", "panel"),
    Index("actions_by_order", "panel", "order_id"),
    **NEW_IDS,
)
UNSETTLED = text("state IN ('planned', 'sending', 'unresolved') AND order_id IS NOT NULL")
_ONE = actions.c.panel, actions.c.order_id, actions.c.kind
partial_index("actions_one_unsettled", *_ONE, where=UNSETTLED, unique=True)

LARGE_PARAMS = 2000  # characters; longer params of a settled action are cut down
HAS_LARGE_PARAMS = text(f"length(params) > {LARGE_PARAMS}")
partial_index("actions_large", actions.c.settled_at, where=HAS_LARGE_PARAMS)

refills = _table(
    "refills",
    Column("key", Whole, primary_key=True),
    _panel(),
    Column("order_id", Sorted, nullable=False),
    Column("refill_id", Text, nullable=False),
    Column("action", Whole, ForeignKey("actions.id")),
    Column("status", Text, nullable=False),
    Column("status_text", Text),
    Column("requested_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("silent_since", Float),  # when an answer of the panel first lacked it
    UniqueConstraint("panel", "refill_id"),
    Index("refills_by_order", "panel", "order_id"),
    Index("refills_by_status", "status"),
    Index("refills_by_action", "action"),  # without it, deleting an action reads all refills
)

# Which orders were moved to an archive file, and when: the time gives the file's name.
archived_orders = _table(
    "archived_orders",
    _panel(primary_key=True),
    Column("order_id", Sorted, primary_key=True),
    Column("at", Float, nullable=False),
    **BY_KEY,
)

firings = _table(
    "firings",
    Column("id", Whole, primary_key=True),
    *_needed(Text, "rule", "action"),
    Column("key", Whole, ForeignKey("orders.key"), nullable=False),
    Column("at", Float, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("detail", Text, nullable=False),
    Index("firings_key", "key"),
    Index("firings_at", "at"),
)

services = _table(
    "services",
    _panel(primary_key=True),
    Column("id", Text, primary_key=True),
    *_needed(Text, "name", "type", "category"),
    Column("rate", Money),
    *_optional(Whole, "min", "max"),
    *_optional(Boolean, "refill", "cancel", "dripfeed"),
    *_optional(Text, "desc", "average_time"),
    Column("seen_at", Float, nullable=False),
    *_optional(Float, "gone_at", "refill_disabled_at"),
    Column("refill_disabled_text", Text),
)

service_changes = _table(
    "service_changes",
    Column("id", Whole, primary_key=True),
    _panel(),
    *_needed(Text, "service", "field"),
    *_optional(Text, "old", "new"),
    Column("at", Float, nullable=False),
    Index("service_changes_by_service", "panel", "service"),
)

balances = _table(
    "balances",
    Column("id", Whole, primary_key=True),
    _panel(),
    Column("at", Float, nullable=False),
    Column("amount", Money, nullable=False),
    Column("currency", Text, nullable=False),
    Index("balances_by_panel", "panel", "at"),
)

rates = _table(
    "rates",
    _panel(primary_key=True),
    *_needed(Float, "at", "rate", "punishes_until"),
    *_optional(Float, "ceiling"),
)

# Sessions of the page that were ended early, by digest; `until` is when they would expire.
ended_sessions = _table("ended_sessions", *_key(Text, "digest"), *_needed(Float, "until"))

# Statistics of services, learnt from a panel's orders: of a stage (changes, exposure, logarithms of
# durations), of the time for a quantity, of endings. Weights are as of `at`.
lessons = _table(
    "lessons",
    _panel(primary_key=True),
    *_key(Text, "service", "what"),
    *_needed(Float, "changes", "exposure", "logs", "at"),
    Column("squares", Float, nullable=False, server_default=text("0")),
    **BY_KEY,
)

# When orders were last checked, by key: see `watcher.orders.columns.check_times`. Each node of a
# cluster has pages of its own; of an order that is on several, the newest time counts.
asked_pages = _table(
    "asked_pages", *_key(Text, "node"), *_key(Whole, "page"), *_needed(LargeBinary, "seconds")
)

# Notification targets; nothing from before a target existed is sent to it.
notify_targets = _table("notify_targets", *_key(Text, "name"), *_needed(Float, "since"))

# Alerts, and which target knows of each: few rows, only alerts that last.
troubles = _table(
    "troubles",
    *_key(Text, "target", "key"),
    *_needed(Text, "event", "panel", "subject", "text"),
    Column("began_at", Float, nullable=False),
    *_optional(Float, "told_at", "gone_at"),
)

# Messages to people, queued or delivered. Ids are never reused: receivers know them.
outbox = _table(
    "outbox",
    Column("id", Whole, primary_key=True),
    *_needed(Text, "target", "state"),
    Column("body", Text, nullable=False),  # a list of Notice as JSON
    *_needed(Float, "queued_at", "next_at"),
    Column("attempts", Whole, nullable=False),
    Column("error", Text),
    CheckConstraint("state IN ('queued', 'sent', 'dead')", name="outbox_state"),
    **NEW_IDS,
)
partial_index("outbox_queued", outbox.c.target, outbox.c.id, where=text("state = 'queued'"))

# Event targets, with the row of `history` up to which each was read. Undelivered changes wait in
# their order's lane, from `first` on; those given up are dead letters.
event_targets = _table("event_targets", *_key(Text, "name"), *_needed(Whole, "cursor"))

event_lanes = _table(
    "event_lanes",
    *_key(Text, "target"),
    *_key(Whole, "key"),
    *_needed(Whole, "first", "attempts"),
    *_needed(Float, "next_at"),
    *_optional(Text, "error"),
    Index("event_lanes_key", "key"),
    **BY_KEY,
)

dead_events = _table(
    "dead_events",
    *_key(Text, "target"),
    *_key(Whole, "change"),  # its row in `history`
    *(*_needed(Whole, "key"), *_needed(Float, "at"), *_needed(Text, "error")),
    Index("dead_events_key", "key"),
    **BY_KEY,
)

counters = _table("counters", *_key(Text, "name"), *_needed(Whole, "value"), **BY_KEY)

# To find recent records for notifications.
Index("service_changes_at", service_changes.c.at)
partial_index("refills_rejected", refills.c.finished_at, where=text("status = 'rejected'"))
partial_index(
    "actions_refused", actions.c.settled_at, where=text("kind = 'refill' AND state = 'rejected'")
)

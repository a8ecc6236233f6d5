"""The gauges that tell the daemon's state."""

import platform
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from watcher import __version__
from watcher.metrics.spelling import Family, Labels, Value
from watcher.model import Kind, Status
from watcher.panels.health import Fault, HealthState

_STATUSES = [(status, status.value) for status in Status]
_KINDS = [(kind, kind.value) for kind in Kind]


class PanelState(msgspec.Struct, frozen=True, kw_only=True):
    """A panel at the moment of a scrape. Times are Unix seconds, 0 is "never" or "none"."""

    name: str
    up: bool
    health: HealthState = HealthState.UP
    faults: Sequence[Fault] = ()
    problem: str | None = None
    last_success: float
    poll_interval: float
    backoff_until: float
    due: int
    oldest_due: float
    oldest_open: float
    stalled: int
    statuses: dict[Status, int]
    pending: dict[Kind, int]
    unresolved: dict[Kind, int]
    balance: float | None
    currency: str
    threshold: float | None
    balance_at: float


class RuleState(msgspec.Struct, frozen=True):
    """A rule's counts since the start."""

    name: str
    evaluations: int
    firings: int
    failures: int


class DaemonState(msgspec.Struct, frozen=True, kw_only=True):
    """All that is told by gauges."""

    revision: str
    sqlite: str  # its version
    reload_ok: bool
    reload_at: float
    backup_at: float
    integrity_ok: bool
    files_ok: bool
    db_bytes: int
    wal_bytes: int
    queued: dict[str, int]
    behind: dict[str, int]
    panels: Sequence[PanelState]
    rules: Sequence[RuleState]


def told(state: DaemonState) -> Iterator[Family]:
    """The gauges, and counts that others keep."""
    yield from _daemon(state)
    yield from _rules(state.rules)
    yield from _panels(state.panels)
    yield from _health(state.panels)
    yield from _orders(state.panels)
    yield from _balances(state.panels)


def _daemon(state: DaemonState) -> Iterator[Family]:
    versions = (platform.python_version(), state.sqlite)
    yield _gauge(
        "build_info",
        "Constant 1; build and runtime versions as labels.",
        {(__version__, state.revision, *versions): 1},
        "version", "revision", "python", "sqlite",
    )  # fmt: skip
    yield _gauge(
        "notifications_queued",
        "Notifications waiting in the outbox.",
        {(notifier,): count for notifier, count in state.queued.items()},
        "notifier",
    )
    yield _gauge(
        "events_behind",
        "Changes not looked at yet, and orders whose events wait.",
        {(target,): count for target, count in state.behind.items()},
        "target",
    )
    for name, text, value in (
        (
            "config_last_reload_successful",
            "1 if the configuration on disk is the one in use.",
            state.reload_ok,
        ),
        (
            "config_last_reload_success_timestamp_seconds",
            "Unix time of the last accepted configuration.",
            state.reload_at,
        ),
        ("db_size_bytes", "Size of the database file.", state.db_bytes),
        ("db_wal_size_bytes", "Size of the write-ahead log.", state.wal_bytes),
        (
            "db_last_backup_timestamp_seconds",
            "Unix time of the last completed backup; 0 before the first.",
            state.backup_at,
        ),
        ("db_integrity_ok", "1 if the last integrity check passed.", state.integrity_ok),
        (
            "db_handle_ok",
            "1 if the database's files are still those that were opened.",
            state.files_ok,
        ),
    ):
        yield _gauge(name, text, {(): value})


def _rules(rules: Sequence[RuleState]) -> Iterator[Family]:
    for name, text, field in (
        ("rule_evaluations", "Evaluations of a rule.", "evaluations"),
        ("rule_firings", "Evaluations in which a rule fired.", "firings"),
        ("rule_failures", "Evaluations that raised an error.", "failures"),
    ):
        yield _family(
            name,
            "counter",
            text,
            ("rule",),
            {(rule.name,): getattr(rule, field) for rule in rules},
        )


def _panels(panels: Sequence[PanelState]) -> Iterator[Family]:
    for name, text, field in (
        ("panel_up", "1 if the last poll of the panel succeeded.", "up"),
        (
            "panel_poll_last_success_timestamp_seconds",
            "Unix time of the last successful status poll; 0 before the first.",
            "last_success",
        ),
        ("panel_poll_interval_seconds", "Configured time between polls.", "poll_interval"),
        (
            "panel_backoff_until_timestamp_seconds",
            "Unix time until which the panel is left alone; 0 if not backing off.",
            "backoff_until",
        ),
        ("poll_due_orders", "Orders due for a poll and not yet polled.", "due"),
        (
            "poll_oldest_due_timestamp_seconds",
            "Due time of the order waiting longest for a poll; 0 if none.",
            "oldest_due",
        ),
        (
            "orders_oldest_open_timestamp_seconds",
            "Creation time of the oldest order not final; 0 if none.",
            "oldest_open",
        ),
        (
            "orders_stalled",
            "Open orders without progress for longer than their threshold.",
            "stalled",
        ),
    ):
        yield _gauge(
            name, text, {(panel.name,): getattr(panel, field) for panel in panels}, "panel"
        )


def _health(panels: Sequence[PanelState]) -> Iterator[Family]:
    yield _gauge(
        "panel_state",
        "1 for the state that the panel is in, 0 for the others.",
        {(p.name, state.value): p.health is state for p in panels for state in HealthState},
        "panel", "state",
    )  # fmt: skip


def _orders(panels: Sequence[PanelState]) -> Iterator[Family]:
    yield _gauge(
        "orders",
        "Watched orders by normalised status.",
        {(p.name, status): p.statuses.get(s, 0) for p in panels for s, status in _STATUSES},
        "panel", "status",
    )  # fmt: skip
    yield _gauge(
        "actions_pending",
        "Actions recorded and not yet sent.",
        {(p.name, kind): p.pending.get(k, 0) for p in panels for k, kind in _KINDS},
        "panel", "action",
    )  # fmt: skip
    yield _gauge(
        "actions_unresolved",
        "Actions sent whose outcome is unknown; never resent by itself.",
        {(p.name, kind): p.unresolved.get(k, 0) for p in panels for k, kind in _KINDS},
        "panel", "action",
    )  # fmt: skip


def _balances(panels: Sequence[PanelState]) -> Iterator[Family]:
    read = [(p, p.balance) for p in panels if p.balance is not None]
    yield _gauge(
        "panel_balance",
        "Account balance last reported by the panel.",
        {(p.name, p.currency): balance for p, balance in read},
        "panel", "currency",
    )  # fmt: skip
    yield _gauge(
        "panel_balance_threshold",
        "Configured low-balance threshold.",
        {(p.name, p.currency): p.threshold for p, _ in read if p.threshold is not None},
        "panel", "currency",
    )  # fmt: skip
    yield _gauge(
        "panel_balance_last_success_timestamp_seconds",
        "Unix time of the last balance reading.",
        {(p.name,): p.balance_at for p in panels},
        "panel",
    )


def _gauge(name: str, text: str, values: Mapping[Labels, Value], *labels: str) -> Family:
    return _family(name, "gauge", text, labels, values)


def _family(
    name: str, kind: str, text: str, labels: Labels, values: Mapping[Labels, Value]
) -> Family:
    return Family(f"watcher_{name}", kind, text, labels, [*values], [*values.values()])

"""Gauges of the daemon's state, built from a snapshot at each scrape."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from math import inf

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from watcher import __version__
from watcher.common.pauses import ManualPause
from watcher.metrics.cluster_gauges import ClusterState
from watcher.model import Kind, Status
from watcher.panels.breaker import BreakerState
from watcher.panels.health import HealthState, PanelProblem

Values = Mapping[tuple[str, ...], float]  # label values -> value

_STATUSES = [(status, status.value) for status in Status]
_KINDS = [(kind, kind.value) for kind in Kind]


class PanelState(msgspec.Struct, frozen=True, kw_only=True):
    """One panel at the moment of a scrape. Times are Unix seconds; 0 means never or none.

    Of a panel that another node leads, it is what that node reported at `told_at`.
    """

    name: str
    up: bool
    health: HealthState = HealthState.UP
    faults: Sequence[PanelProblem] = ()
    problem: str | None = None
    last_success: float
    poll_interval: float
    backoff_until: float
    limited_until: float = 0.0  # it was asked too fast: by its own words, nothing until then
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
    balance_every: float | None = None  # None: the panel reports no balance
    spent: float | None = None  # in the last 24 hours
    lasts: float | None = None  # seconds that the balance lasts at the present spending
    check_within: float = inf
    longest_wait: float = 0.0  # between two checks of an order, as far as the budget allows
    needed_rate: int = 0  # requests a minute that `check_within` takes
    still_since: float = 0.0  # it answers, but nothing changes; 0 while changes come
    still_expected: float = 0.0  # changes since then
    breaker: BreakerState = BreakerState.CLOSED
    per_minute: float = 0.0  # requests, at the present rate
    open: int = 0
    guarded: int = 0
    problems: int = 0  # orders whose status the panel does not report
    problem_id: str = ""  # one of them
    amount: Decimal | None = None  # the balance, to the digit
    held: Mapping[str, float] = {}  # rule -> until when the brake pauses it here
    told_at: float = 0.0  # 0: this node leads the panel

    @property
    def stands_still(self) -> bool:
        return self.still_since > 0.0


class RuleState(msgspec.Struct, frozen=True):
    """One rule's counts since the daemon started."""

    name: str
    evaluations: int
    firings: int
    failures: int
    per_hour: int = 0
    held: Mapping[str, float] = {}  # panel -> until when the brake pauses the rule there
    switched_off: str | None = None  # the error of its condition


class ReceiverState(msgspec.Struct, frozen=True, kw_only=True):
    """A target of [[notify]] or [[events]]. `fails_since` is 0 if the last attempt succeeded."""

    name: str
    waiting: int
    error: str | None = None
    fails_since: float = 0.0
    dead: int = 0


class Gauge(msgspec.Struct, frozen=True):
    """A gauge defined together with its values, so a new one needs no other change."""

    name: str
    text: str
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]


class DaemonState(msgspec.Struct, frozen=True, kw_only=True):
    """The state behind the gauges and `attention`. Copies only: a thread may read it."""

    revision: str
    engine: tuple[str, str]  # the database's name and version
    started_at: float
    reload_problems: Sequence[str]
    reload_at: float
    backup_at: float
    backup_every: float  # infinite if the database is backed up elsewhere
    backup_problem: str | None
    integrity_ok: bool
    files_problem: str | None
    db_failed_at: float
    db_bytes: int
    wal_bytes: int
    notifiers: Sequence[ReceiverState]
    receivers: Sequence[ReceiverState]
    panels: Sequence[PanelState]
    rules: Sequence[RuleState]
    pauses: Sequence[ManualPause] = ()  # what people have paused now
    gauges: Sequence[Gauge] = ()
    cluster: ClusterState | None = None


def families(state: DaemonState) -> Iterator[Metric]:
    """Yield the gauges, and the counters that other parts of the daemon keep."""
    yield from _daemon(state)
    yield from _rules(state.rules)
    yield from _panels(state.panels)
    yield from _health(state.panels)
    yield from _orders(state.panels)
    yield from _balances(state.panels)
    for gauge in state.gauges:
        yield _gauge(gauge.name, gauge.text, gauge.values, *gauge.labels)


def _daemon(state: DaemonState) -> Iterator[Metric]:
    engine, version = state.engine
    sqlite = version if engine == "sqlite" else ""
    build = (__version__, state.revision, platform.python_version(), sqlite)
    queued: Values = {("log",): 0, **{(one.name,): one.waiting for one in state.notifiers}}
    behind: Values = {(one.name,): one.waiting for one in state.receivers}
    # fmt: off
    yield _gauge(
        "build_info", "Constant 1; build and runtime versions as labels.", {build: 1},
        "version", "revision", "python", "sqlite")
    yield _gauge(
        "db_info", "Constant 1; the database's engine and version as labels.",
        {state.engine: 1}, "engine", "engine_version")
    yield _gauge(
        "notifications_queued", "Notifications waiting in the outbox.", queued, "notifier")
    yield _gauge(
        "events_behind", "Changes not looked at yet, and orders whose events wait.",
        behind, "target")
    for name, text, value in (
        ("config_last_reload_successful",
         "1 if the configuration on disk is the one in use.", not state.reload_problems),
        ("config_last_reload_success_timestamp_seconds",
         "Unix time of the last accepted configuration.", state.reload_at),
        ("db_size_bytes", "Size of the database file.", state.db_bytes),
        ("db_wal_size_bytes", "Size of the write-ahead log.", state.wal_bytes),
        ("db_last_backup_timestamp_seconds",
         "Unix time of the last completed backup; 0 before the first.", state.backup_at),
        ("db_integrity_ok", "1 if the last integrity check passed.", state.integrity_ok),
        ("db_handle_ok",
         "1 if the database's files are still those that were opened.",
         state.files_problem is None),
    ):
        # fmt: on
        if name != "db_last_backup_timestamp_seconds" or state.backup_every < inf:
            yield _gauge(name, text, {(): value})


def _rules(rules: Sequence[RuleState]) -> Iterator[Metric]:
    for name, text, field in (
        ("rule_evaluations", "Evaluations of a rule.", "evaluations"),
        ("rule_firings", "Evaluations in which a rule fired.", "firings"),
        ("rule_failures", "Evaluations that raised an error.", "failures"),
    ):
        counter = CounterMetricFamily(f"watcher_{name}", text, labels=("rule",))
        for rule in rules:
            counter.add_metric((rule.name,), getattr(rule, field))
        yield counter


def _panels(panels: Sequence[PanelState]) -> Iterator[Metric]:
    # fmt: off
    for name, text, field in (
        ("panel_up", "1 if the last poll of the panel succeeded.", "up"),
        ("panel_stands_still",
         "1 while the panel answers, but none of the expected changes comes.", "stands_still"),
        ("panel_poll_last_success_timestamp_seconds",
         "Unix time of the last successful status poll; 0 before the first.", "last_success"),
        ("panel_poll_interval_seconds", "Configured time between polls.", "poll_interval"),
        ("panel_backoff_until_timestamp_seconds",
         "Unix time until which the panel is left alone; 0 if not backing off.", "backoff_until"),
        ("poll_due_orders", "Orders due for a poll and not yet polled.", "due"),
        ("poll_oldest_due_timestamp_seconds",
         "Due time of the order waiting longest for a poll; 0 if none.", "oldest_due"),
        ("orders_oldest_open_timestamp_seconds",
         "Creation time of the oldest order not final; 0 if none.", "oldest_open"),
        ("orders_stalled",
         "Open orders without progress for longer than their threshold.", "stalled"),
        ("panel_balance_last_success_timestamp_seconds",
         "Unix time of the last balance reading.", "balance_at"),
    ):
        # fmt: on
        values: Values = {(panel.name,): getattr(panel, field) for panel in panels}
        yield _gauge(name, text, values, "panel")


def _health(panels: Sequence[PanelState]) -> Iterator[Metric]:
    yield _gauge(
        "panel_state",
        "1 for the state that the panel is in, 0 for the others.",
        {(p.name, state.value): p.health is state for p in panels for state in HealthState},
        "panel", "state",
    )  # fmt: skip


def _orders(panels: Sequence[PanelState]) -> Iterator[Metric]:
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


def _balances(panels: Sequence[PanelState]) -> Iterator[Metric]:
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


def _gauge(name: str, text: str, values: Values, *labels: str) -> Metric:
    gauge = GaugeMetricFamily(f"watcher_{name}", text, labels=labels)
    for of, value in values.items():
        gauge.add_metric(of, value)
    return gauge

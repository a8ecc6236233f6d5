"""The gauges that tell the daemon's state."""

import platform
import sqlite3
from collections.abc import Iterator, Sequence

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from watcher import __version__
from watcher.model import Kind, Status


class PanelState(msgspec.Struct, frozen=True, kw_only=True):
    """A panel at the moment of a scrape. Times are Unix seconds, 0 is "never" or "none"."""

    name: str
    up: bool
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
    reload_ok: bool
    reload_at: float
    backup_at: float
    integrity_ok: bool
    db_bytes: int
    wal_bytes: int
    queued: dict[str, int]
    behind: dict[str, int]
    panels: Sequence[PanelState]
    rules: Sequence[RuleState]


class Snapshot(Collector):
    """What is counted, and a state as it was at one moment: `collect` may run in a thread."""

    def __init__(self, counted: Collector, state: DaemonState | None) -> None:
        self._counted = counted
        self._state = state

    def collect(self) -> Iterator[Metric]:
        yield from self._counted.collect()
        if self._state is not None:
            yield from _daemon(self._state)
            yield from _rules(self._state.rules)
            yield from _panels(self._state.panels)
            yield from _orders(self._state.panels)
            yield from _balances(self._state.panels)


def _daemon(state: DaemonState) -> Iterator[Metric]:
    build = _gauge(
        "build_info",
        "Constant 1; build and runtime versions as labels.",
        "version", "revision", "python", "sqlite",
    )  # fmt: skip
    versions = (platform.python_version(), sqlite3.sqlite_version)
    build.add_metric([__version__, state.revision, *versions], 1)
    yield build
    queued = _gauge("notifications_queued", "Notifications waiting in the outbox.", "notifier")
    for notifier, count in state.queued.items():
        queued.add_metric([notifier], count)
    yield queued
    behind = _gauge(
        "events_behind", "Changes not looked at yet, and orders whose events wait.", "target"
    )
    for target, count in state.behind.items():
        behind.add_metric([target], count)
    yield behind
    for name, text, value in (
        (
            "config_last_reload_successful",
            "1 if the configuration on disk is the one in use.",
            float(state.reload_ok),
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
        (
            "db_integrity_ok",
            "1 if the last integrity check passed.",
            float(state.integrity_ok),
        ),
    ):
        gauge = _gauge(name, text)
        gauge.add_metric([], value)
        yield gauge


def _rules(rules: Sequence[RuleState]) -> Iterator[Metric]:
    for name, text, field in (
        ("rule_evaluations", "Evaluations of a rule.", "evaluations"),
        ("rule_firings", "Evaluations in which a rule fired.", "firings"),
        ("rule_failures", "Evaluations that raised an error.", "failures"),
    ):
        counter = CounterMetricFamily(f"watcher_{name}", text, labels=["rule"])
        for rule in rules:
            counter.add_metric([rule.name], getattr(rule, field))
        yield counter


def _panels(panels: Sequence[PanelState]) -> Iterator[Metric]:
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
        gauge = _gauge(name, text, "panel")
        for panel in panels:
            gauge.add_metric([panel.name], float(getattr(panel, field)))
        yield gauge


def _orders(panels: Sequence[PanelState]) -> Iterator[Metric]:
    orders = _gauge("orders", "Watched orders by normalised status.", "panel", "status")
    pending = _gauge("actions_pending", "Actions recorded and not yet sent.", "panel", "action")
    unresolved = _gauge(
        "actions_unresolved",
        "Actions sent whose outcome is unknown; never resent by itself.",
        "panel", "action",
    )  # fmt: skip
    for panel in panels:
        for status in Status:
            orders.add_metric([panel.name, status], panel.statuses.get(status, 0))
        for kind in Kind:
            pending.add_metric([panel.name, kind], panel.pending.get(kind, 0))
            unresolved.add_metric([panel.name, kind], panel.unresolved.get(kind, 0))
    yield from (orders, pending, unresolved)


def _balances(panels: Sequence[PanelState]) -> Iterator[Metric]:
    balance = _gauge(
        "panel_balance", "Account balance last reported by the panel.", "panel", "currency"
    )
    threshold = _gauge(
        "panel_balance_threshold", "Configured low-balance threshold.", "panel", "currency"
    )
    at = _gauge(
        "panel_balance_last_success_timestamp_seconds",
        "Unix time of the last balance reading.",
        "panel",
    )
    for panel in panels:
        at.add_metric([panel.name], panel.balance_at)
        if panel.balance is None:
            continue
        balance.add_metric([panel.name, panel.currency], panel.balance)
        if panel.threshold is not None:
            threshold.add_metric([panel.name, panel.currency], panel.threshold)
    yield from (balance, threshold, at)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"watcher_{name}", text, labels=labels)

"""Definitions of all metrics.

Counters and histograms are updated where events happen. Gauges are built from a snapshot at each
scrape, so a removed panel leaves no series behind.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    exposition,
)
from prometheus_client.core import Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from watcher.errors import (
    BadKey,
    NotSent,
    RateLimited,
    Refused,
    RemoteFault,
    ServerFault,
    TimedOut,
)
from watcher.metrics.gauges import DaemonState, families
from watcher.metrics.rendering import Parts, TextFormat, slices
from watcher.model import FINAL, Kind, Order, Origin, Status, Transition
from watcher.orders.fields import FieldKind, FieldSource, names_of

_REQUEST_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60)
_LAG_SECONDS = (0.1, 1, 5, 15, 60, 300, 900, 1800, 3600, 14400, 86400)
_TASK_SECONDS = (0.001, 0.01, 0.1, 0.5, 1, 5, 30, 120)
_LOOP_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_DB_SECONDS = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)
_BATCH_ORDERS = (1, 10, 25, 50, 75, 90, 99, 100)
_ORDER_SECONDS = (60, 600, 3600, 6 * 3600, 86400, 3 * 86400, 7 * 86400, 30 * 86400)

# Calls of a panel's API: the values of the label `action`.
REQUESTS = ("status", "refill_status", "refill", "cancel", "add", "balance", "services")
_NUMBERS = {  # fields of an answer that hold numbers
    "status": names_of(FieldKind.MONEY, FieldKind.WHOLE, source=FieldSource.PANEL),
    "balance": ("balance",),
    "services": ("rate", "min", "max"),
}
_FAILURES = (NotSent, RateLimited, Refused, BadKey, RemoteFault, TimedOut, ServerFault)
_UNBROKEN = 0.002  # seconds that a scrape keeps other tasks waiting
_MOST_CURRENCIES = 8  # per panel; any further currency counts as "other"
_OUTCOMES = ("accepted", "rejected", "unresolved", "not_sent")


class Metrics:
    """All metrics of one daemon; app.py creates it and passes it on."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._parted: dict[str, list[Parts[Counter] | Parts[Histogram]]] = {}  # by first label
        self._rendering = asyncio.Lock()  # one scrape at a time
        counter, histogram = self._counter, self._histogram
        # fmt: off
        self.requests = counter(
            "panel_requests", "API requests completed, failed ones included.", "panel", "action")
        self.request_failures = counter(
            "panel_request_failures", "API requests that failed.", "panel", "action", "reason")
        self.request_seconds = histogram(
            "panel_request_duration_seconds", "API request latency.",
            _REQUEST_SECONDS, "panel", "action")
        self.unread = counter(
            "panel_unread_values",
            "Values in answers that can't be read as the numbers they should be.",
            "panel", "action", "field")
        self.batch_orders = histogram(
            "poll_batch_orders", "Orders asked for in one multi-status request.",
            _BATCH_ORDERS, "panel")
        self.lag = histogram(
            "poll_lag_seconds", "Delay of a poll against the time it was due.",
            _LAG_SECONDS, "panel")
        self.updates = counter(
            "order_updates", "Polled orders whose status or remains changed.", "panel")
        self.finished = counter(
            "orders_finished", "Orders that reached a final status.", "panel", "status")
        self.unknown_status = counter(
            "order_unknown_status", "Status texts the panel sent that no mapping knows.", "panel")
        self.completion = histogram(
            "order_completion_duration_seconds", "Time from creation to a final status.",
            _ORDER_SECONDS, "panel")
        self.spend = counter(
            "spend", "Charges of watched orders, in units of the currency.", "panel", "currency")
        self.actions = counter(
            "actions", "Refill and cancel requests decided on.", "panel", "action")
        self.action_results = counter(
            "action_results", "Refill and cancel requests by outcome.",
            "panel", "action", "outcome")
        self.shop_requests = counter(
            "shop_requests", "Requests of shops at /api/v2, refused ones included.",
            "shop", "action")
        self.shop_failures = counter(
            "shop_request_failures", "Requests of shops answered by an error.", "shop", "action")
        self.web_faults = counter(
            "web_client_faults",
            "Requests that broke off or can't be decoded, connections refused or silent.", "reason")
        self.notifications = counter("notifications", "Notifications attempted.", "notifier")
        self.notification_failures = counter(
            "notification_failures", "Notification attempts that failed.", "notifier")
        self.events = counter("events", "Events attempted.", "target")
        self.event_failures = counter("event_failures", "Event attempts that failed.", "target")
        self.lateness = histogram(
            "scheduler_lateness_seconds", "Start of a scheduled task after its due time.",
            _TASK_SECONDS, "task")
        self.missed = counter("scheduler_runs_missed", "Scheduled runs skipped.", "task")
        self.loop_lag = Histogram(
            "watcher_event_loop_lag_seconds", "Delay of a timer on the event loop.",
            buckets=_LOOP_SECONDS, registry=self._registry)
        self.db_seconds = histogram(
            "db_operation_duration_seconds", "SQLite operation time, queueing included.",
            _DB_SECONDS, "operation")
        self.db_failures = 0  # the sum of the next one
        self.db_errors = counter("db_errors", "SQLite operations that failed.", "operation")
        # fmt: on
        for reason in ("broken", "crowded", "silent"):
            self.web_faults.labels(reason)
        for notified in (self.notifications, self.notification_failures):
            notified.labels("log")
        self._shops: set[str] = set()
        self._currencies: dict[str, set[str]] = {}
        self._state: Callable[[], DaemonState] | None = None

    def watch(self, state: Callable[[], DaemonState]) -> None:
        """Add the gauges; call `state` at each scrape."""
        self._state = state

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics and their content type: OpenMetrics if `accept` names it.

        Other tasks run every few milliseconds. The gauges are of one moment.
        """
        form: TextFormat = openmetrics if "application/openmetrics-text" in accept else exposition
        async with self._rendering:
            text, began = [], perf_counter()
            for part in slices(self.collect(), form):
                text.append(part)
                if perf_counter() - began > _UNBROKEN:
                    await asyncio.sleep(0)
                    began = perf_counter()
        return b"".join(text), form.CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics: the gauges' values are those of the first step."""
        state = self._state and self._state()
        yield from self._registry.collect()
        for parted in self._parted.values():
            for metric in parted:
                yield from metric.collect()
        if state is not None:
            yield from families(state)

    def prepare(self, panel: str, requests: Collection[str], actions: Iterable[Kind]) -> None:
        """Create the panel's series at zero; `requests` are the calls that its API supports."""
        for request in requests:
            self.requests.labels(panel, request)
            for failure in _FAILURES:
                self.request_failures.labels(panel, request, failure.reason)
            for field in _NUMBERS.get(request, ()):
                self.unread.labels(panel, request, field)
        for kind in actions:
            self.actions.labels(panel, kind)
            for outcome in _OUTCOMES:
                self.action_results.labels(panel, kind, outcome)
        for status in FINAL:
            self.finished.labels(panel, status)
        for metric in (self.batch_orders, self.lag, self.updates, self.unknown_status):
            metric.labels(panel)

    def forget(self, label: str, name: str) -> None:
        """Remove the series of a panel, shop, notifier or target that is no longer configured."""
        if label == "panel":
            self._currencies.pop(name, None)
        for metric in self._parted[label]:
            metric.forget(name)

    def prepare_shops(self, shops: Collection[str], actions: Collection[str]) -> None:
        """Create these shops' series at zero; remove those of all other shops."""
        for gone in self._shops - set(shops):
            self.forget("shop", gone)
        self._shops = set(shops)
        for shop in shops:
            for action in actions:
                for counter in (self.shop_requests, self.shop_failures):
                    counter.labels(shop, action)

    def count_request(self, panel: str, action: str, seconds: float, reason: str | None) -> None:
        """Count a completed request to a panel; `reason` is None if it succeeded."""
        self.requests.labels(panel, action).inc()
        self.request_seconds.labels(panel, action).observe(seconds)
        if reason is not None:
            self.request_failures.labels(panel, action, reason).inc()

    def count_operation(self, operation: str, seconds: float, failed: bool) -> None:
        """Count a completed database operation."""
        self.db_seconds.labels(operation).observe(seconds)
        self.db_errors.labels(operation).inc(int(failed))
        self.db_failures += failed

    def count_start(self, task: str, late: float) -> None:
        """Count the start of a scheduled task, `late` seconds after its due time."""
        self.lateness.labels(task).observe(late)
        self.missed.labels(task).inc(0)

    def count_web_fault(self, reason: str) -> None:
        """Count a connection or request that was refused or could not be read."""
        self.web_faults.labels(reason).inc()

    def count_transition(self, transition: Transition) -> None:
        """Count a change of an order."""
        before, after = transition.before, transition.after
        if before.status is not after.status or before.remains != after.remains:
            self.updates.labels(after.panel).inc()
        if after.status is Status.UNKNOWN and before.status_text != after.status_text:
            self.unknown_status.labels(after.panel).inc()
        self._count_spend(before, after)

    def count_finish(self, order: Order) -> None:
        """Count an order that reached a final status."""
        self.finished.labels(order.panel, order.status).inc()
        if order.finished_at is not None and order.origin is not Origin.UNDATED:
            taken = order.finished_at - order.submitted_at
            self.completion.labels(order.panel).observe(max(0.0, taken))

    def _count_spend(self, before: Order, after: Order) -> None:
        """Add the increase of the charge; a refund adds nothing, as a counter only grows."""
        if after.charge is None or after.currency is None or _was_spent_before(before, after):
            return
        more = after.charge - (before.charge or 0)
        if more > 0:
            self.spend.labels(after.panel, self._currency(after)).inc(float(more))

    def _currency(self, order: Order) -> str:
        """Return the order's currency, or "other" if its panel has used too many for a label."""
        known = self._currencies.setdefault(order.panel, set())
        currency = order.currency or ""
        if len(known) < _MOST_CURRENCIES:
            known.add(currency)
        return currency if currency in known else "other"

    def _counter(self, name: str, text: str, *labels: str) -> Parts[Counter]:
        counter = Parts(Counter, name, text, labels)
        self._parted.setdefault(labels[0], []).append(counter)
        return counter

    def _histogram(
        self, name: str, text: str, bounds: Sequence[float], *labels: str
    ) -> Parts[Histogram]:
        histogram = Parts(Histogram, name, text, labels, buckets=bounds)
        self._parted.setdefault(labels[0], []).append(histogram)
        return histogram


def _was_spent_before(before: Order, after: Order) -> bool:
    """Return whether the order's first known charge may be from before it was tracked."""
    if before.charge is not None or after.origin is Origin.WHOLE:
        return False
    was_seen_open = before.status not in FINAL and before.status is not Status.UNKNOWN
    return after.origin is Origin.DATED or (after.status in FINAL and not was_seen_open)

"""Every metric's definition.

Counters and histograms are written where things happen; gauges that tell a state are read from
a snapshot at each scrape, so that what is gone (a removed panel) leaves no series behind.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
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
from watcher.metrics.counted import read
from watcher.metrics.spelling import OPENMETRICS, PLAIN, Format, Speller
from watcher.metrics.state import DaemonState, told
from watcher.model import FINAL, Kind, Order, Origin, Status, Transition

_REQUEST_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60)
_LAG_SECONDS = (0.1, 1, 5, 15, 60, 300, 900, 1800, 3600, 14400, 86400)
_TASK_SECONDS = (0.001, 0.01, 0.1, 0.5, 1, 5, 30, 120)
_LOOP_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_DB_SECONDS = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)
_BATCH_ORDERS = (1, 10, 25, 50, 75, 90, 99, 100)
_ORDER_SECONDS = (60, 600, 3600, 6 * 3600, 86400, 3 * 86400, 7 * 86400, 30 * 86400)

# Actions of the API that a panel is asked for, the label `action` of its requests.
REQUESTS = ("status", "refill_status", "refill", "cancel", "add", "balance", "services")
_NUMBERS = {  # that an answer has
    "status": ("charge", "start_count", "remains"),
    "balance": ("balance",),
    "services": ("rate", "min", "max"),
}
_FAILURES = (NotSent, RateLimited, Refused, BadKey, RemoteFault, TimedOut, ServerFault)
_MOST_CURRENCIES = 8  # a panel; what else it calls its money counts under "other"
_SLICE = 0.002  # seconds that a scrape may hold up the loop at a time
_OUTCOMES = ("accepted", "rejected", "unresolved", "not_sent")


class Metrics:
    """One object, made by app.py and handed to whoever counts."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()  # of what is counted: no two have a name
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        PlatformCollector(registry=self._process)
        GCCollector(registry=self._process)
        self._counted: list[Counter | Histogram] = []
        self._speller = Speller()
        self._spelling = asyncio.Lock()
        self.requests = self._counter(
            "panel_requests",
            "API requests completed, failed ones included.",
            "panel", "action",
        )  # fmt: skip
        self.request_failures = self._counter(
            "panel_request_failures", "API requests that failed.", "panel", "action", "reason"
        )
        self.unread = self._counter(
            "panel_unread_values",
            "Values in answers that can't be read as the numbers they should be.",
            "panel", "action", "field",
        )  # fmt: skip
        self.request_seconds = self._histogram(
            "panel_request_duration_seconds",
            "API request latency.",
            _REQUEST_SECONDS,
            "panel", "action",
        )  # fmt: skip
        self.batch_orders = self._histogram(
            "poll_batch_orders",
            "Orders asked for in one multi-status request.",
            _BATCH_ORDERS,
            "panel",
        )
        self.lag = self._histogram(
            "poll_lag_seconds",
            "Delay of a poll against the time it was due.",
            _LAG_SECONDS,
            "panel",
        )
        self.updates = self._counter(
            "order_updates", "Polled orders whose status or remains changed.", "panel"
        )
        self.finished = self._counter(
            "orders_finished", "Orders that reached a final status.", "panel", "status"
        )
        self.unknown_status = self._counter(
            "order_unknown_status", "Status texts the panel sent that no mapping knows.", "panel"
        )
        self.completion = self._histogram(
            "order_completion_duration_seconds",
            "Time from creation to a final status.",
            _ORDER_SECONDS,
            "panel",
        )
        self.spend = self._counter(
            "spend", "Charges of watched orders, in units of the currency.", "panel", "currency"
        )
        self.actions = self._counter(
            "actions", "Refill and cancel requests decided on.", "panel", "action"
        )
        self.action_results = self._counter(
            "action_results", "Refill and cancel requests by outcome.", "panel", "action", "outcome"
        )
        self.shop_requests = self._counter(
            "shop_requests",
            "Requests of shops at /api/v2, refused ones included.",
            "shop", "action",
        )  # fmt: skip
        self.shop_failures = self._counter(
            "shop_request_failures", "Requests of shops answered by an error.", "shop", "action"
        )
        self.web_faults = self._counter(
            "web_client_faults",
            "Requests that broke off or can't be decoded, connections refused or silent.",
            "reason",
        )
        for reason in ("broken", "crowded", "silent"):
            self.web_faults.labels(reason)
        self.notifications = self._counter("notifications", "Notifications attempted.", "notifier")
        self.notification_failures = self._counter(
            "notification_failures", "Notification attempts that failed.", "notifier"
        )
        self.events = self._counter("events", "Events attempted.", "target")
        self.event_failures = self._counter(
            "event_failures", "Event attempts that failed.", "target"
        )
        self.lateness = self._histogram(
            "scheduler_lateness_seconds",
            "Start of a scheduled task after its due time.",
            _TASK_SECONDS,
            "task",
        )
        self.missed = self._counter("scheduler_runs_missed", "Scheduled runs skipped.", "task")
        self.loop_lag = self._histogram(
            "event_loop_lag_seconds", "Delay of a timer on the event loop.", _LOOP_SECONDS
        )
        self.db_seconds = self._histogram(
            "db_operation_duration_seconds",
            "SQLite operation time, queueing included.",
            _DB_SECONDS,
            "operation",
        )
        self.db_errors = self._counter("db_errors", "SQLite operations that failed.", "operation")
        for counter in (self.notifications, self.notification_failures):
            counter.labels("log")
        self._shops: set[str] = set()
        self._currencies: dict[str, set[str]] = {}
        self._state: Callable[[], DaemonState] | None = None

    def watch(self, state: Callable[[], DaemonState]) -> None:
        """Tell the state from here on, read anew at each scrape."""
        self._state = state

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """All metrics as text, and its content type: OpenMetrics where `accept` has that."""
        form = OPENMETRICS if "application/openmetrics-text" in accept else PLAIN
        pieces: list[bytes] = []
        async with self._spelling:
            began = time.perf_counter()
            for piece in self.spell(form):
                pieces += piece
                if time.perf_counter() - began > _SLICE:
                    await asyncio.sleep(0)
                    began = time.perf_counter()
        return b"".join(pieces), form.content_type

    def spell(self, form: Format = PLAIN) -> Iterator[list[bytes]]:
        """All metrics as text, piece by piece: the state is that of the first one's moment."""
        state = self._state and self._state()
        yield [form.others(self._process)]
        for family in chain(map(read, self._counted), told(state) if state else ()):
            yield [form.head(family).encode()]
            yield from self._speller.lines(family)
        yield [form.end]

    def prepare(self, panel: str, requests: Collection[str], actions: Iterable[Kind]) -> None:
        """The panel's series, at zero from the start; `requests` are what it can be asked."""
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
        """The panel, shop, notifier or target is no longer configured: its series go."""
        if label == "panel":
            self._currencies.pop(name, None)
        for metric in self._counted:
            if label in metric._labelnames:
                metric.remove_by_labels({label: name})

    def prepare_shops(self, shops: Collection[str], actions: Collection[str]) -> None:
        """These shops' series, at zero from the start; those of others go."""
        for gone in self._shops - set(shops):
            self.forget("shop", gone)
        self._shops = set(shops)
        for shop in shops:
            for action in actions:
                for counter in (self.shop_requests, self.shop_failures):
                    counter.labels(shop, action)

    def count_request(self, panel: str, action: str, seconds: float, reason: str | None) -> None:
        """One request to a panel is over; `reason` tells why it failed."""
        self.requests.labels(panel, action).inc()
        self.request_seconds.labels(panel, action).observe(seconds)
        if reason is not None:
            self.request_failures.labels(panel, action, reason).inc()

    def count_operation(self, operation: str, seconds: float, failed: bool) -> None:
        """One operation of the database is over."""
        self.db_seconds.labels(operation).observe(seconds)
        self.db_errors.labels(operation).inc(int(failed))

    def count_start(self, task: str, late: float) -> None:
        """A scheduled task was started, `late` seconds after it was due."""
        self.lateness.labels(task).observe(late)
        self.missed.labels(task).inc(0)

    def count_web_fault(self, reason: str) -> None:
        """Count a connection or request that was refused or could not be read."""
        self.web_faults.labels(reason).inc()

    def count_transition(self, transition: Transition) -> None:
        """An order changed."""
        before, after = transition.before, transition.after
        if before.status is not after.status or before.remains != after.remains:
            self.updates.labels(after.panel).inc()
        if after.status is Status.UNKNOWN and before.status_text != after.status_text:
            self.unknown_status.labels(after.panel).inc()
        self._count_spend(before, after)

    def count_finish(self, order: Order) -> None:
        """An order reached a final status."""
        self.finished.labels(order.panel, order.status).inc()
        if order.finished_at is not None and order.origin is not Origin.UNDATED:
            taken = order.finished_at - order.submitted_at
            self.completion.labels(order.panel).observe(max(0.0, taken))

    def _count_spend(self, before: Order, after: Order) -> None:
        """A charge that falls (a refund) is no spend: a counter only grows."""
        if after.charge is None or after.currency is None or _was_spent_before(before, after):
            return
        more = after.charge - (before.charge or 0)
        if more > 0:
            self.spend.labels(after.panel, self._currency(after)).inc(float(more))

    def _currency(self, order: Order) -> str:
        """The order's, unless its panel has had too many: a label's values have to be few."""
        known = self._currencies.setdefault(order.panel, set())
        currency = order.currency or ""
        if len(known) < _MOST_CURRENCIES:
            known.add(currency)
        return currency if currency in known else "other"

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        counter = Counter(f"watcher_{name}", text, labels, registry=self.registry)
        self._counted.append(counter)
        return counter

    def _histogram(self, name: str, text: str, bounds: Sequence[float], *labels: str) -> Histogram:
        histogram = Histogram(
            f"watcher_{name}", text, labels, buckets=bounds, registry=self.registry
        )
        self._counted.append(histogram)
        return histogram


def _was_spent_before(before: Order, after: Order) -> bool:
    """Whether the order's first charge may have left the account before it was tracked."""
    if before.charge is not None or after.origin is Origin.WHOLE:
        return False
    was_seen_open = before.status not in FINAL and before.status is not Status.UNKNOWN
    return after.origin is Origin.DATED or (after.status in FINAL and not was_seen_open)

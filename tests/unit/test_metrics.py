"""What /metrics holds: few series whatever panels send, at zero from the start."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec
from prometheus_client.samples import Sample

from tests.support.series import series
from tests.unit.factories import an_order
from watcher.metrics import REQUESTS, Metrics
from watcher.model import Kind, Order, Origin, Status, Transition


def samples(metrics: Metrics, name: str) -> Iterator[Sample]:
    return (s for s in series(metrics) if s.name == name)


def charged(panel: str, currency: str) -> Transition:
    before = an_order(panel=panel)
    after = msgspec.structs.replace(before, charge=Decimal(1), currency=currency)
    return Transition(before=before, after=after, at=0.0, changes={})


def test_a_panel_that_invents_currencies_adds_few_series():
    metrics = Metrics()
    for number in range(1000):
        metrics.count_transition(charged("p", f"C{number}"))
    found = {s.labels["currency"]: s.value for s in samples(metrics, "watcher_spend_total")}
    assert len(found) == 9
    assert found["C0"] == 1
    assert found["other"] == 992
    assert sum(found.values()) == 1000


def test_one_panels_currencies_leave_room_for_anothers():
    metrics = Metrics()
    for number in range(20):
        metrics.count_transition(charged("p", f"C{number}"))
    metrics.count_transition(charged("q", "EUR"))
    assert {"panel": "q", "currency": "EUR"} in [
        s.labels for s in samples(metrics, "watcher_spend_total")
    ]


def test_what_can_be_asked_is_there_at_zero():
    metrics = Metrics()
    metrics.prepare("p", ["status", "balance"], [Kind.REFILL])
    requests = {
        s.labels["action"]: s.value for s in samples(metrics, "watcher_panel_requests_total")
    }
    assert requests == {"status": 0, "balance": 0}
    failures = list(samples(metrics, "watcher_panel_request_failures_total"))
    assert {s.labels["action"] for s in failures} == {"status", "balance"}
    assert {s.labels["reason"] for s in failures} >= {"timeout", "unreachable", "bad_key"}
    assert not any(s.value for s in failures)


def test_a_panel_that_goes_takes_all_its_series_along():
    metrics = Metrics()
    for panel in ("p", "q"):
        metrics.prepare(panel, REQUESTS, list(Kind))
        metrics.count_request(panel, "status", 0.1, "timeout")
        metrics.count_transition(charged(panel, "USD"))
    metrics.forget("panel", "p")
    assert {s.labels["panel"] for s in series(metrics) if "panel" in s.labels} == {"q"}


def test_a_panel_has_at_most_so_many_series():
    """docs/performance.md tells of 200 panels: orders and services add none."""
    metrics = Metrics()
    alone = len(list(series(metrics)))
    metrics.prepare("p", REQUESTS, list(Kind))
    for request in REQUESTS:
        for reason in ("timeout", "unreadable", None):
            metrics.count_request("p", request, 0.1, reason)
    for number in range(1000):
        metrics.count_transition(charged("p", f"C{number}"))
    assert len(list(series(metrics))) - alone <= 260


def test_errors_of_the_database_begin_at_zero():
    """An alert sees no rise of a series that begins with one."""
    metrics = Metrics()
    metrics.count_operation("record", 0.1, failed=False)
    assert [s.value for s in samples(metrics, "watcher_db_errors_total")] == [0]
    metrics.count_operation("record", 0.1, failed=True)
    assert [s.value for s in samples(metrics, "watcher_db_errors_total")] == [1]


def test_missed_runs_begin_at_zero():
    metrics = Metrics()
    metrics.count_start("poll", 0.1)
    assert [s.value for s in samples(metrics, "watcher_scheduler_runs_missed_total")] == [0]
    assert [s.value for s in samples(metrics, "watcher_scheduler_lateness_seconds_count")] == [1]


def spend(before: Order, **after: object) -> float:
    """What an order counts as spend that is first seen with a charge."""
    metrics = Metrics()
    charge = {"charge": Decimal(3), "currency": "USD"}
    changed = msgspec.structs.replace(before, **{**charge, **after})
    metrics.count_transition(Transition(before=before, after=changed, at=0.0, changes={}))
    return sum(s.value for s in samples(metrics, "watcher_spend_total"))


def test_no_charge_of_before_an_order_was_tracked_is_spend():
    new = {"status": Status.UNKNOWN, "checked_at": None}
    done = {"status": Status.COMPLETED}
    assert spend(an_order(**new), **done) == 3.0, "it was placed here"
    assert spend(an_order(**new, origin=Origin.UNDATED), status=Status.PENDING) == 3.0
    assert spend(an_order(**new, origin=Origin.UNDATED), **done) == 0.0
    assert spend(an_order(**new, origin=Origin.DATED), status=Status.PENDING) == 0.0
    finished = an_order(**done, origin=Origin.UNDATED)
    assert spend(finished) == 0.0, "the panel told the charge at a later check"
    dated = an_order(origin=Origin.DATED, charge=Decimal(1), currency="USD")
    assert spend(dated) == 2.0, "what is added later is spend"


def test_the_time_that_an_order_took_is_counted_only_where_it_is_known():
    metrics = Metrics()
    metrics.count_finish(an_order(status=Status.COMPLETED, finished_at=9.0))
    metrics.count_finish(an_order(status=Status.COMPLETED, origin=Origin.DATED))
    metrics.count_finish(an_order(status=Status.COMPLETED, origin=Origin.UNDATED, finished_at=9.0))
    name = "watcher_order_completion_duration_seconds_count"
    assert [s.value for s in samples(metrics, name)] == [1.0]
    (finished,) = samples(metrics, "watcher_orders_finished_total")
    assert finished.value == 3.0

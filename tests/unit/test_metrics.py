"""What /metrics holds: few series whatever panels send, at zero from the start; how it is made."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest
from prometheus_client import exposition
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from tests.support.series import series
from tests.unit.factories import an_order
from tests.unit.states import a_panel, a_state
from watcher.metrics import REQUESTS, Metrics
from watcher.metrics.gauges import DaemonState, PanelState, ReceiverState, RuleState, families
from watcher.metrics.rendering import slices
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


# --- the scrape ----------------------------------------------------------------------------------


def measured(name: str, **fields: object) -> PanelState:
    values = {"up": True, "due": 3, "statuses": {Status.PENDING: 5}, "balance": 12.5}
    return a_panel(
        **{"name": name, "pending": {Kind.REFILL: 1}, "unresolved": {}, **values, **fields}
    )


def measured_state(panels: int) -> DaemonState:
    several = [measured(f"p{number}", threshold=5.0) for number in range(panels)]
    return a_state(
        integrity_ok=False,
        receivers=[ReceiverState(name="shop", waiting=2)],
        panels=[*several, measured("silent", balance=None)],
        rules=[RuleState("refill", 10, 2, 0)],
    )


def some_metrics(panels: int) -> Metrics:
    metrics = Metrics()
    metrics.watch(lambda: measured_state(panels))
    for number in range(panels):
        metrics.prepare(f"p{number}", REQUESTS, list(Kind))
        metrics.count_request(f"p{number}", "status", 0.3 * number, "timeout")
        metrics.request_failures.labels(f"p{number}", "add", "timeout").inc(number)
    return metrics


def test_a_state_has_a_value_for_each_label():
    """The library takes too few as well as too many."""
    metrics = some_metrics(1)
    labels = {
        sample.name: set(sample.labels)
        for family in families(measured_state(1))
        for sample in family.samples
    }
    assert labels["watcher_panel_balance"] == {"panel", "currency"}
    for sample in series(metrics):
        assert labels.get(sample.name, set(sample.labels)) == set(sample.labels), sample.name
        assert all(sample.labels.values()), sample


@pytest.mark.parametrize("form", [exposition, openmetrics])
async def test_all_is_told_first_the_process_then_what_is_counted_then_the_state(form):
    metrics = some_metrics(2)
    body, content_type = await metrics.scrape(form.CONTENT_TYPE_LATEST)
    assert content_type == form.CONTENT_TYPE_LATEST
    text = body.decode()
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP")]
    at = [names.index(name) for name in names if name.startswith("watcher_build_info")]
    assert names[0] == "process_virtual_memory_bytes"
    assert names.index("watcher_db_errors" + ("" if form is openmetrics else "_total")) < at[0]
    assert text.endswith("# EOF\n") is (form is openmetrics)
    assert 'watcher_orders{panel="p0",status="pending"} 5.0\n' in text


async def test_others_get_their_turn_meanwhile():
    metrics = some_metrics(100)
    scrape = asyncio.create_task(metrics.scrape(""))
    round_robin = 0
    while not scrape.done():
        await asyncio.sleep(0)
        round_robin += 1
    assert round_robin > 3


async def test_a_scrape_tells_the_state_of_its_moment():
    """What changes meanwhile belongs to the next scrape."""
    metrics, panels = Metrics(), 200
    metrics.watch(lambda: measured_state(panels))
    first = asyncio.create_task(metrics.scrape(""))
    await asyncio.sleep(0)
    second = asyncio.create_task(metrics.scrape(""))
    panels = 1
    assert b'panel_up{panel="p199"}' in (await first)[0]
    assert b'panel_up{panel="p199"}' not in (await second)[0]


async def test_series_that_come_and_go_do_not_break_a_scrape():
    metrics = some_metrics(50)
    scrape = asyncio.create_task(metrics.scrape(""))
    number = 0
    while not scrape.done():
        metrics.forget("panel", f"p{number}")
        metrics.prepare(f"q{number}", REQUESTS, list(Kind))
        number += 1
        await asyncio.sleep(0)
    assert (await scrape)[0].endswith(b"\n")
    assert number > 1
    assert not list(a_panels_requests(metrics, "p0"))
    assert list(a_panels_requests(metrics, "q0"))


@pytest.mark.parametrize("form", [exposition, openmetrics])
def test_slices_make_what_the_library_makes_in_one_go(form):
    """Each series once, in the library's own words, each name's help and type once."""
    metrics = some_metrics(60)  # some families are of several slices
    whole = form.generate_latest(Whole(metrics)).decode().splitlines()
    ours = (metric for metric in metrics.collect() if metric.name.startswith("watcher_"))
    sliced = b"".join(slices(ours, form)).decode().splitlines()
    assert sorted(sliced) == sorted(whole)
    heads = [line for line in sliced if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))


class Whole(Collector):
    """Each metric in one piece."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        merged: dict[str, Metric] = {}
        for metric in self._metrics.collect():
            if metric.name.startswith("watcher_"):  # others change while they are read
                merged.setdefault(metric.name, metric)
                if merged[metric.name] is not metric:
                    merged[metric.name].samples += metric.samples
        yield from merged.values()


def a_panels_requests(metrics: Metrics, panel: str) -> Iterator[Sample]:
    found = samples(metrics, "watcher_panel_requests_total")
    return (s for s in found if s.labels["panel"] == panel)

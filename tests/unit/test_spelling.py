"""The text of /metrics: letter by letter as prometheus-client spells it, scrape after scrape."""

import asyncio
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from watcher.metrics import REQUESTS, Metrics
from watcher.metrics.counted import read
from watcher.metrics.spelling import OPENMETRICS, PLAIN, Family, Format, Speller
from watcher.metrics.state import DaemonState, PanelState, RuleState, told
from watcher.model import Kind, Status

FORMATS = (PLAIN, OPENMETRICS)
# Zero has no sign here: it would be a change that no comparison shows.
FLOATS = st.floats().map(lambda number: number + 0.0) | st.integers(-(2**70), 2**70)
AMOUNTS = st.floats(min_value=0.0) | st.just(float("nan")) | st.integers(0, 10)
NASTY = st.text(max_size=5) | st.sampled_from(['"', "\\", "\n", "%s", "{0}", "}", "\\n", "é", "🙂"])
NAMES = st.sampled_from(["panel", "action", "Le", "lf", "_x", "a1", "zone"])
# Few, so that several steps meet the same.
VALUES = st.sampled_from(['say "no"', "C:\\new", "two\nlines", "100 %s", "{1}", "", "ключ"])


def spelled(speller: Speller, families: Iterable[Family], form: Format) -> str:
    pieces: list[bytes] = []
    for family in families:
        pieces += [form.head(family).encode(), *chain.from_iterable(speller.lines(family))]
    return b"".join([*pieces, form.end]).decode()


# --- as the library does -------------------------------------------------------------------------


class Counted(NamedTuple):
    """Metrics of each kind, with and without labels."""

    registry: CollectorRegistry
    counter: Counter
    histogram: Histogram
    plain_counter: Counter
    plain_histogram: Histogram

    def spelled(self, speller: Speller, form: Format) -> str:
        return spelled(speller, [read(metric) for metric in self[1:]], form)


def counted(names: tuple[str, str], bounds: list[float], about: str) -> Counted:
    disable_created_metrics()
    registry = CollectorRegistry()
    return Counted(
        registry,
        Counter("counter", about, names, registry=registry),
        Histogram("histogram", about, names, buckets=bounds, registry=registry),
        Counter("plain_counter", about, registry=registry),
        Histogram("plain_histogram", about, buckets=bounds, registry=registry),
    )


def step(metrics: Counted, move: str, labels: tuple[str, str], amount: float) -> None:
    match move:
        case "count":
            metrics.counter.labels(*labels).inc(amount)
            metrics.plain_counter.inc(amount)
        case "observe":
            metrics.histogram.labels(*labels).observe(amount)
            metrics.plain_histogram.observe(amount)
        case "remove":
            metrics.counter.remove(*labels)
            metrics.histogram.remove(*labels)
        case "forget":
            name = metrics.counter._labelnames[0]
            metrics.counter.remove_by_labels({name: labels[0]})
            metrics.histogram.remove_by_labels({name: labels[0]})


MOVES = st.sampled_from(["count", "count", "observe", "observe", "remove", "forget"])
STEPS = st.lists(st.tuples(MOVES, st.tuples(VALUES | NASTY, VALUES), AMOUNTS), max_size=8)
BOUNDS = st.lists(
    st.floats(0.0, 1e12) | st.integers(0, 10**12).map(float), min_size=1, max_size=4, unique=True
).map(sorted)


@given(
    st.tuples(NAMES, NAMES).filter(lambda names: names[0] != names[1]),
    BOUNDS,
    NASTY,
    st.lists(STEPS, min_size=1, max_size=4),
)
def test_what_is_counted_is_spelled_as_the_library_does(names, bounds, about, scrapes):
    """Scrape after scrape, in both formats: what changed, what did not, what has gone."""
    metrics, speller = counted(names, bounds, about), Speller()
    for steps in scrapes:
        for move, labels, amount in steps:
            step(metrics, move, labels, amount)
        for form in FORMATS:
            expected = form.generate(metrics.registry).decode()
            assert metrics.spelled(speller, form) == expected


class AsLibrary(Collector):
    """Families, for the library to spell."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            kind = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}[family.kind]
            metric = kind(family.name, family.text, labels=family.labels)
            for labels, value in zip(family.children, family.values, strict=True):
                metric.add_metric(labels, value)
            yield metric


@given(
    st.sampled_from(["gauge", "counter"]),
    NASTY,
    st.lists(st.dictionaries(st.tuples(VALUES | NASTY, VALUES), FLOATS), max_size=4),
)
def test_a_state_is_spelled_as_the_library_does(kind, about, scrapes):
    speller = Speller()
    for values in scrapes:
        names = ("panel", "currency")
        family = Family("told", kind, about, names, [*values], [*values.values()])
        for form in FORMATS:
            expected = form.generate(AsLibrary([family])).decode()
            assert spelled(speller, [family], form) == expected


# --- what is kept --------------------------------------------------------------------------------


def lines(speller: Speller, metric: Counter | Histogram) -> list[bytes]:
    return list(chain.from_iterable(speller.lines(read(metric))))


def test_what_did_not_change_is_not_spelled_again():
    metrics, speller = counted(("panel", "action"), [1.0], ""), Speller()
    for panel in ("p", "q"):
        metrics.histogram.labels(panel, "add").observe(0.5)
    before = lines(speller, metrics.histogram)
    metrics.histogram.labels("p", "add").observe(0.5)
    after = lines(speller, metrics.histogram)
    assert after[0] != before[0]
    assert after[1] is before[1]


def test_an_observation_that_leaves_the_sum_as_it_is_is_told():
    metrics, speller = counted(("panel", "action"), [1.0], ""), Speller()
    for amount in (0.0, 1e300, 0.0, 2.0):
        metrics.plain_histogram.observe(amount)
        (told,) = lines(speller, metrics.plain_histogram)
    assert b"plain_histogram_count 4.0\n" in told
    assert b'plain_histogram_bucket{le="1.0"} 2.0\n' in told


def test_what_came_back_between_two_scrapes_begins_anew():
    metrics, speller = counted(("panel", "action"), [1.0], ""), Speller()
    metrics.counter.labels("p", "add").inc(7)
    assert lines(speller, metrics.counter) == [b'counter_total{action="add",panel="p"} 7.0\n']
    metrics.counter.remove("p", "add")
    metrics.counter.labels("p", "add")
    assert lines(speller, metrics.counter) == [b'counter_total{action="add",panel="p"} 0.0\n']


def test_the_place_of_what_has_gone_is_anothers():
    metrics, speller = counted(("panel", "action"), [1.0], ""), Speller()
    metrics.counter.labels("p", "add").inc(7)
    lines(speller, metrics.counter)
    metrics.counter.remove("p", "add")
    metrics.counter.labels("q", "add").inc(7)
    assert lines(speller, metrics.counter) == [b'counter_total{action="add",panel="q"} 7.0\n']


def test_nothing_is_kept_of_what_has_gone():
    metrics, speller = counted(("panel", "action"), [1.0], ""), Speller()
    tracemalloc.start()
    try:
        for number in range(100):
            panel = f"{number:010000}"
            metrics.counter.labels(panel, "add").inc()
            lines(speller, metrics.counter)
            metrics.counter.remove(panel, "add")
        lines(speller, metrics.counter)
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < 100_000  # one panel's alone are 30,000


# --- the whole -----------------------------------------------------------------------------------


def a_panel(name: str, **fields: object) -> PanelState:
    values: dict[str, object] = {
        "up": True,
        "last_success": 1.75e9,
        "poll_interval": 0.5,
        "backoff_until": 0.0,
        "due": 3,
        "oldest_due": 1.75e9,
        "oldest_open": 0.0,
        "stalled": 0,
        "statuses": {Status.PENDING: 5},
        "pending": {Kind.REFILL: 1},
        "unresolved": {},
        "balance": 12.5,
        "currency": "USD",
        "threshold": None,
        "balance_at": 1.75e9,
    }
    return PanelState(name=name, **{**values, **fields})


def a_state(panels: int) -> DaemonState:
    return DaemonState(
        revision="r",
        sqlite="3",
        reload_ok=True,
        reload_at=1.75e9,
        backup_at=0.0,
        integrity_ok=False,
        files_ok=True,
        db_bytes=12_345_678,
        wal_bytes=0,
        queued={"log": 0},
        behind={"shop": 2},
        panels=[
            *(a_panel(f"p{number}", threshold=5.0) for number in range(panels)),
            a_panel("silent", balance=None),
        ],
        rules=[RuleState("refill", 10, 2, 0)],
    )


def some_metrics(panels: int) -> Metrics:
    metrics = Metrics()
    metrics.watch(lambda: a_state(panels))
    for number in range(panels):
        metrics.prepare(f"p{number}", REQUESTS, list(Kind))
        metrics.count_request(f"p{number}", "status", 0.3 * number, "timeout")
        metrics.request_failures.labels(f"p{number}", "add", "timeout").inc(number)
    return metrics


def test_a_state_has_a_value_for_each_label():
    for family in told(a_state(2)):
        assert {len(labels) for labels in family.children} == {len(family.labels)}, family.name
        assert len(family.children) == len(family.values)


@pytest.mark.parametrize("form", FORMATS)
async def test_all_is_told_first_the_process_then_what_is_counted_then_the_state(form: Format):
    metrics = some_metrics(2)
    body, content_type = await metrics.scrape(form.content_type)
    assert content_type == form.content_type
    process, counted = body.decode().split("# HELP watcher_", 1)
    expected = [form.generate(metrics.registry), form.generate(AsLibrary(told(a_state(2))))]
    assert "process_cpu_seconds_total" in process
    assert f"# HELP watcher_{counted}" == expected[0].removesuffix(form.end).decode() + (
        expected[1].decode()
    )


async def test_others_get_their_turn_meanwhile():
    metrics = some_metrics(100)
    scrape = asyncio.create_task(metrics.scrape(""))
    turns = 0
    while not scrape.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 3


@pytest.mark.parametrize("rounds", range(0, 60, 4))
async def test_two_scrapes_at_once_do_not_mix(rounds: int, monkeypatch: pytest.MonkeyPatch):
    """A panel goes while one is under way, and another begins."""
    monkeypatch.setattr("watcher.metrics._SLICE", 0.0)
    monkeypatch.setattr("watcher.metrics.spelling._PORTION", 10)
    metrics = some_metrics(5)
    first = asyncio.create_task(metrics.scrape(""))
    for _ in range(rounds):
        await asyncio.sleep(0)
    metrics.forget("panel", "p0")
    second = asyncio.create_task(metrics.scrape(""))
    left = set(PLAIN.generate(metrics.registry).splitlines())
    assert left <= set((await first)[0].splitlines())
    assert left <= set((await second)[0].splitlines())
    assert b'request_failures_total{action="add",panel="p0"' not in (await second)[0]

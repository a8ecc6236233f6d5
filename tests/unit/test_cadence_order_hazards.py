"""Many orders in one step come to the same as each by itself."""

from dataclasses import dataclass
from math import isclose, log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cadence_kit import sight_of, wait_of
from tests.unit.factories import DAY, an_order, rows_of
from watcher.model import FINAL, Order, Phase, Status
from watcher.orders.columns.table import OrderTable
from watcher.orders.schedule import (
    EntryState,
    HazardModel,
    ModelRow,
    PollQueue,
    Stage,
    unchanged,
    waits,
)
from watcher.orders.schedule.bucket_queue import FINE

NOW = 1_800_000_000.0
LESSONS = [
    ModelRow("1", "pending", 5.0, 2.0, 7.0),
    ModelRow("1", "stopped", 9.0, 1.0, 30.0),
    ModelRow("1", "duration", 4.0, 0.0, 9.0),
    ModelRow("2", "moving", 3.0, 100.0),
    ModelRow("2", "ending", 3.0, 1.0, 1.0),
]


@dataclass
class Case:
    """An order as its panel told of it last, and when that was. Seconds before now."""

    order: Order
    started: float | None
    asked_ago: float


@st.composite
def cases(draw: st.DrawFn) -> Case:
    age = draw(st.floats(0, 30 * DAY))
    moved = draw(st.floats(0, 1)) * age
    started = draw(st.none() | st.floats(0, 1))
    status = draw(st.sampled_from(Status))
    quantity = draw(st.none() | st.sampled_from([0, 1, 10, 1000, 10**7]))
    remains = draw(st.none() | st.sampled_from([-3, 0, 1, 600, 999, 1000, 10**7]))
    order = an_order(
        service=draw(st.sampled_from([None, "1", "2", "unheard of"])),
        status=status,
        phase=Phase.GUARDED if status in FINAL and draw(st.booleans()) else Phase.OPEN,
        quantity=quantity,
        remains=remains,
        submitted_at=NOW - age,
        progressed_at=NOW - moved,
    )
    began = None if started is None else NOW - moved - started * (age - moved)
    return Case(order, began, draw(st.sampled_from([5.0, 60.0, 3600.0])))


def lessons() -> HazardModel:
    learnt = HazardModel(NOW)
    learnt.load(LESSONS)
    return learnt


def asked(cases: list[Case]) -> tuple[PollQueue, "np.ndarray[tuple[int], np.dtype[np.intp]]"]:
    """These orders, each under way after it was asked about before."""
    poll_queue = PollQueue(OrderTable("p"), NOW, within=1800.0, ids_per_minute=6000.0)
    records = poll_queue.records
    slots = np.array(records.extend(rows_of([case.order for case in cases])), dtype=np.intp)
    for slot, case in zip(slots, cases, strict=True):
        records.started[slot] = np.nan if case.started is None else case.started
        records.checked_at[slot] = NOW - case.asked_ago
        records.state[slot] = EntryState.ASKED
        records.failures[slot] = 3
    return poll_queue, slots


@given(st.lists(cases(), min_size=1, max_size=20))
def test_the_waits_of_many_are_those_of_each(some: list[Case]):
    learnt, (poll_queue, slots) = lessons(), asked(some)
    found = waits(learnt, poll_queue.records, slots, NOW)
    alone = [
        waits(learnt, poll_queue.records, slots[at : at + 1], NOW)[0] for at in range(len(some))
    ]
    assert found.tolist() == pytest.approx(alone, rel=1e-12)


@given(cases())
def test_no_news_of_one_of_many_teach_what_no_news_of_it_alone_does(case: Case):
    """But that the order's stage is that of now for all the time since it was asked about."""
    order, gap = case.order, case.asked_ago / 60.0
    together, alone = lessons(), lessons()
    poll_queue, slots = asked([case])
    before = list(together.of(order.service).exposure)
    unchanged(poll_queue, together, slots, NOW)
    stage = sight_of(alone, order, case.started, NOW).stage
    more = [b - a for a, b in zip(before, together.of(order.service).exposure, strict=True)]
    assert [at for at, exposure in enumerate(more) if exposure] in ([stage], [])
    assert sum(together.exposure) - sum(alone.exposure) == pytest.approx(sum(more))
    sight = sight_of(alone, order, case.started, NOW - case.asked_ago)
    if stage is sight.stage and order.submitted_at < NOW - 3600.0:
        alone.answered(sight, order, NOW)
        told = alone.of(order.service).exposure[stage] - before[stage]
        # Where T is bounded (below by two minutes, or as time passes zero) it is not the same.
        assert isclose(more[stage], told, rel_tol=1e-6) or more[stage] <= log1p(gap * 60.0)
    assert poll_queue.records.checked_at[slots[0]] == NOW
    assert poll_queue.records.failures[slots[0]] == 0
    wait = wait_of(together, order, case.started, NOW)
    assert poll_queue.records.turn[slots[0]] == pytest.approx(poll_queue.time.v + wait)
    assert [row.service for row in together.changed_rows()] == [order.service or ""] * len(
        list(together.rows([order.service]))
    )


def test_who_is_no_longer_under_way_is_left_alone():
    learnt, (poll_queue, slots) = lessons(), asked([Case(an_order(), None, 60.0)] * 2)
    poll_queue.leave(int(slots[0]))
    unchanged(poll_queue, learnt, slots, NOW)
    assert poll_queue.records.state[0] == EntryState.OUT
    assert poll_queue.records.state[1] == EntryState.WAITING
    unchanged(poll_queue, learnt, slots, NOW)
    assert sum(learnt.exposure) == pytest.approx(sum(lessons().exposure) + log1p(1 / 30), abs=1.0)


def test_an_order_that_came_twice_into_a_bucket_is_asked_about_once():
    """As one does that had to rest after its turn had come, while a void place of its was left."""
    poll_queue, slots = asked([Case(an_order(), None, 60.0)] * 2)
    poll_queue.answered(slots, [1.0, 1.0], NOW - 60.0)
    poll_queue._keys.add(np.array([poll_queue.records.turn[0] * FINE]), np.array([0]))
    poll_queue.begin()
    assert sorted(poll_queue.take(100, NOW + 60.0)) == [0, 1]
    assert poll_queue.take(100, NOW + 60.0) == []


@given(st.integers(1, 60))
def test_services_beyond_the_room_of_the_tables_keep_their_numbers(count: int):
    learnt = lessons()
    for number in range(count):
        learnt.load([ModelRow(f"new {number}", "pending", float(number), 1.0, 2.0)])
    assert [learnt.of(f"new {n}").changes[Stage.PENDING] for n in range(count)] == [*range(count)]
    assert learnt.of("1").changes[Stage.STOPPED] == 9.0
    assert learnt.of("1").row == 0

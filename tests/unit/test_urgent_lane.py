"""Orders that somebody wants checked now: first, within the rate, and nobody starves."""

from random import Random

import numpy as np

from tests.unit.factories import an_order
from watcher.orders.columns.table import OrderTable
from watcher.orders.schedule import MIN_GAP, PollQueue
from watcher.orders.schedule.urgent_lane import BURST

NOW = 1_800_000_000.0
LIMIT = 100  # ids a request


def a_queue(count: int, *, seed: int = 1) -> PollQueue:
    """Orders that were last checked in the minutes before, with very different waits."""
    random = Random(seed)
    poll_queue = PollQueue(
        OrderTable("p"), NOW, within=1800.0, ids_per_minute=60.0 * LIMIT, idle_every=20.0
    )
    slots = [poll_queue.records.add(an_order(id=str(n))) for n in range(count)]
    for slot in slots:
        poll_queue.records.checked_at[slot] = NOW - random.uniform(MIN_GAP, 600.0)
    waits = np.array([10 ** random.uniform(0.0, 1.5) for _ in slots])
    poll_queue.join(slots, waits, [random.random() for _ in slots], NOW)
    poll_queue.begin()
    return poll_queue


def a_request(poll_queue: PollQueue, now: float, limit: int = LIMIT) -> list[int]:
    """The orders of the next request, answered at once."""
    taken = poll_queue.take(limit, now)
    if taken:
        poll_queue.answered(taken, [10.0] * len(taken), now)
    return taken


def test_five_hundred_orders_take_the_next_five_requests():
    poll_queue = a_queue(3000)
    wanted = set(range(1000, 1500))
    for slot in wanted:
        poll_queue.urgent.want(slot, NOW)
    requests = [a_request(poll_queue, NOW + second) for second in range(5)]
    assert {slot for taken in requests for slot in taken} == wanted
    assert not any(slot in poll_queue.urgent for slot in wanted)


def test_no_due_check_is_later_by_more_than_a_minute():
    plain, urgent = a_queue(6000), a_queue(6000)
    wanted = set(range(1000, 1500))
    for slot in wanted:
        urgent.urgent.want(slot, NOW)
    firsts: list[dict[int, float]] = []
    for poll_queue in (plain, urgent):
        first: dict[int, float] = {}
        for second in range(900):
            for slot in a_request(poll_queue, NOW + second):
                first.setdefault(slot, NOW + second)
        firsts.append(first)
    before, after = firsts
    others = before.keys() - wanted
    assert len(others) > 5000
    assert max(after[slot] - before[slot] for slot in others) <= 60.0


def test_many_urgent_orders_do_not_stop_the_others():
    poll_queue = a_queue(400)
    for slot in range(200):
        poll_queue.urgent.want(slot, NOW)
    late = NOW + 1800.0  # all others are due
    served = [a_request(poll_queue, late + second, limit=1) for second in range(int(BURST) + 21)]
    urgent = [taken[0] < 200 for taken in served]
    assert all(urgent[: int(BURST)])
    assert urgent[int(BURST) + 1 :].count(False) == 10, "they alternate"


def test_the_gap_between_two_checks_is_kept():
    poll_queue = a_queue(3)
    poll_queue.records.checked_at[1] = NOW - 2.0
    poll_queue.urgent.want(1, NOW)
    assert 1 not in poll_queue.take(LIMIT, NOW)
    assert 1 in poll_queue.take(LIMIT, NOW - 2.0 + MIN_GAP)


def test_an_urgent_order_stays_first_until_it_is_answered():
    poll_queue = a_queue(300)
    poll_queue.urgent.want(7, NOW)
    poll_queue.urgent.want(7, NOW)
    assert poll_queue.take(1, NOW) == [7]
    poll_queue.put_back([7])
    assert poll_queue.take(1, NOW + 1.0) == [7]
    poll_queue.answered([7], [1.0], NOW + 1.0)
    assert 7 not in poll_queue.urgent
    assert poll_queue.expected_at(7, NOW + 1.0) > NOW + 1.0


def test_an_order_that_is_under_way_is_not_asked_about_twice():
    poll_queue = a_queue(1)
    late = NOW + 1800.0
    assert poll_queue.take(LIMIT, late) == [0]
    poll_queue.urgent.want(0, late)
    assert poll_queue.take(LIMIT, late) == []
    poll_queue.put_back([0])
    assert poll_queue.expected_at(0, late) == late
    assert poll_queue.take(LIMIT, late + 1.0) == [0]


def test_an_order_that_left_is_urgent_no_more():
    poll_queue = a_queue(2)
    poll_queue.urgent.want(0, NOW)
    poll_queue.leave(0)
    assert 0 not in poll_queue.urgent
    assert 0 not in poll_queue.take(LIMIT, NOW)

"""The schedule of one panel: nobody starves, batches are full, the gap is kept."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from math import inf, nan
from operator import ne, or_
from random import Random
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.factories import HOUR, a_finished_order, an_order
from watcher.model import Phase
from watcher.orders.columns.table import OrderTable
from watcher.orders.schedule import MIN_GAP, Entry, EntryState, PollQueue, after_problem, deadlines

WITHIN = 1800.0
NOW = 1_800_000_000.0


def an_agenda(
    count: int = 0, *, units: float = 1.0, ids: float = 600.0, idle: float = 0.001, **order: object
) -> tuple[PollQueue, list[int]]:
    poll_queue = PollQueue(OrderTable("p"), NOW, within=WITHIN, ids_per_minute=ids, idle_every=idle)
    entries = [new(poll_queue, str(n), **order) for n in range(count)]
    for entry in entries:
        poll_queue.join([entry], [units], [1.0], NOW)
    poll_queue.begin()
    return poll_queue, entries


def new(poll_queue: PollQueue, order_id: str = "1", **order: object) -> int:
    """The slot of an order that has not joined yet."""
    return poll_queue.records.add(an_order(id=order_id, **order))


def ids(poll_queue: PollQueue, slots: list[int]) -> list[str]:
    return [poll_queue.records.id(slot) for slot in slots]


def test_nothing_to_watch_is_nothing_to_ask():
    poll_queue, _ = an_agenda()
    assert poll_queue.next_at(NOW) is None
    assert poll_queue.take(100, NOW) == []


def test_the_lowest_keys_go_first():
    poll_queue, _ = an_agenda()
    for number in (3, 1, 2, 0):
        poll_queue.join([new(poll_queue, str(number))], [number + 1.0], [1.0], NOW)
    later = NOW + 60.0
    assert ids(poll_queue, poll_queue.take(2, later)) == ["0", "1"]
    later += 1.0
    assert ids(poll_queue, poll_queue.take(2, later)) == ["2", "3"]
    assert poll_queue.take(2, later) == []


def test_a_check_is_followed_by_a_rest():
    poll_queue, (entry,) = an_agenda(1, units=0.1)
    later = NOW + HOUR
    assert poll_queue.take(100, later) == [entry]
    poll_queue.answered([entry], [0.1], later)
    assert poll_queue.next_at(later) == later + MIN_GAP
    assert poll_queue.take(100, later + MIN_GAP - 0.01) == []
    assert poll_queue.take(100, later + MIN_GAP) == [entry]


def test_where_orders_are_wanted_sooner_the_rest_is_shorter():
    poll_queue = PollQueue(OrderTable("p"), NOW, within=1.0, ids_per_minute=1e4, idle_every=0.001)
    entry = new(poll_queue)
    poll_queue.join([entry], [0.01], [1.0], NOW)
    poll_queue.begin()
    poll_queue.take(100, NOW + 1)
    poll_queue.answered([entry], [0.01], NOW + 1)
    assert poll_queue.next_at(NOW + 1) == NOW + 2


def joining(**slots: float) -> tuple[PollQueue, list[int]]:
    """An agenda that awaits more than these orders, last asked about so many seconds ago."""
    poll_queue = PollQueue(
        OrderTable("p"), NOW, within=WITHIN, ids_per_minute=1e4, idle_every=0.001
    )
    entries = [new(poll_queue, order_id) for order_id in slots]
    for slot, ago in zip(entries, slots.values(), strict=True):
        poll_queue.records.checked_at[slot] = NOW - ago
    poll_queue.join(entries, [0.01] * len(entries), [1.0] * len(entries), NOW)
    return poll_queue, entries


def test_who_has_joined_has_its_turn_while_others_are_awaited():
    poll_queue, entries = joining(one=MIN_GAP, other=MIN_GAP)
    first = new(poll_queue, "new")
    poll_queue.appoint(first, NOW)
    later = NOW + 1.0
    assert poll_queue.next_at(later) == later
    assert set(poll_queue.take(100, later)) == {first, *entries}


def test_turns_are_rare_while_others_are_awaited_because_loading_goes_first():
    poll_queue, entries = joining(one=MIN_GAP, other=MIN_GAP)
    later = NOW + 1.0
    (taken,) = poll_queue.take(1, later)
    assert poll_queue.next_at(later) == later + MIN_GAP
    assert poll_queue.take(1, later + MIN_GAP - 0.1) == []
    assert [*poll_queue.take(1, later + MIN_GAP), taken] in (entries, entries[::-1])


def test_who_is_late_or_new_waits_for_nobody_while_others_are_awaited():
    poll_queue, (_, _, late) = joining(one=MIN_GAP, other=MIN_GAP, late=2 * WITHIN)
    later = NOW + 1.0
    assert late in poll_queue.take(2, later)
    first = new(poll_queue, "new")
    poll_queue.appoint(first, later)
    assert poll_queue.next_at(later) == later
    assert poll_queue.take(100, later) == [first], "it costs no more than it must"
    poll_queue.begin()
    assert poll_queue.next_at(later) == later
    assert len(poll_queue.take(100, later)) == 1


def test_the_turns_before_all_have_joined_say_nothing_of_how_long_a_unit_is():
    poll_queue = PollQueue(
        OrderTable("p"), NOW, within=WITHIN, ids_per_minute=10.0, idle_every=0.001
    )
    poll_queue.join([new(poll_queue, str(n)) for n in range(600)], [1.0] * 600, [0.5] * 600, NOW)
    for _ in follow(poll_queue, 100, until=NOW + 599.0):
        pass
    poll_queue.begin()
    assert poll_queue.time.minutes_a_unit == 60.0
    for _ in follow(poll_queue, 100, until=NOW + 900.0):
        pass
    assert poll_queue.time.minutes_a_unit == 60.0, "it is not measured yet"


def test_few_orders_are_not_asked_about_for_the_sake_of_asking():
    poll_queue, _ = an_agenda(5, units=(30 / 0.4) ** 0.5, idle=60.0)
    first = poll_queue.next_at(NOW)
    assert first is not None
    assert 59.0 <= first - NOW <= 60.0
    assert poll_queue.take(100, NOW + 50.0) == []
    assert len(poll_queue.take(100, first)) == 5


def test_a_request_that_is_due_is_filled_with_whoever_comes_next():
    poll_queue, _ = an_agenda(1, units=1.0, idle=60.0)
    poll_queue.join([new(poll_queue, "far")], [1000.0], [1.0], NOW)
    assert len(poll_queue.take(100, NOW + 60.0)) == 2
    assert poll_queue.time.v < 10.0, "it did not make virtual time jump"


def test_what_failed_is_first_again():
    poll_queue, entries = an_agenda(10, units=5.0)
    later = NOW + 60.0
    taken = poll_queue.take(4, later)
    poll_queue.put_back(taken)
    assert poll_queue.next_at(later) == later
    assert set(ids(poll_queue, poll_queue.take(4, later))) == set(ids(poll_queue, taken))
    assert all(Entry(poll_queue.records, slot).checked_at is None for slot in entries)


def test_appointments_are_kept_and_come_first():
    poll_queue, _ = an_agenda(3, units=0.1, idle=60.0)
    poll_queue.appoint(new(poll_queue, "later"), NOW + 0.1)
    poll_queue.appoint(new(poll_queue, "now"), NOW)
    assert poll_queue.next_at(NOW) == NOW
    assert ids(poll_queue, poll_queue.take(2, NOW))[0] == "now"
    assert ids(poll_queue, poll_queue.take(2, NOW + 0.1))[0] == "later"


def test_an_appointment_that_is_void_is_no_reason_to_ask():
    poll_queue, _ = an_agenda()
    gone, moved = new(poll_queue, "gone"), new(poll_queue, "moved")
    poll_queue.appoint(gone, NOW + 5.0)
    poll_queue.appoint(moved, NOW + 6.0)
    poll_queue.appoint(moved, NOW + 100.0)
    poll_queue.leave(gone)
    poll_queue.records.remove(gone)
    assert poll_queue.next_at(NOW + 50.0) == NOW + 100.0
    poll_queue.appoint(new(poll_queue, "in its slot"), NOW + 60.0)
    assert poll_queue.next_at(NOW + 60.0) == NOW + 60.0
    assert ids(poll_queue, poll_queue.take(100, NOW + 60.0)) == ["in its slot"]


def test_an_entry_that_must_stand_alone_does():
    poll_queue, entries = an_agenda(3, units=0.1)
    for at, entry in enumerate(poll_queue.take(3, NOW + HOUR)):
        poll_queue.records.alone[entry] = at == 1
        poll_queue.appoint(entry, NOW + HOUR + at)
    sizes = [len(poll_queue.take(100, NOW + 2 * HOUR)) for _ in range(3)]
    assert sizes == [1, 1, 1]
    assert len(entries) == 3


def test_an_order_that_left_is_not_asked_about():
    poll_queue, entries = an_agenda(3)
    poll_queue.leave(entries[1])
    assert poll_queue.watched[Phase.OPEN] == 2
    assert set(ids(poll_queue, poll_queue.take(100, NOW + HOUR))) == {"0", "2"}


def test_caps_are_as_long_as_the_budget_makes_them():
    poll_queue, _ = an_agenda(1000, ids=20.0)
    assert poll_queue.cap(Phase.OPEN) == 60.0 * 1000 / (0.25 * 20)
    assert poll_queue.cap(Phase.GUARDED) == 12 * HOUR
    assert an_agenda(10)[0].cap(Phase.OPEN) == WITHIN


def test_a_start_is_no_rush_where_the_budget_is_small():
    """What was not asked about since a start gets its turn within its cap, not all at once."""
    poll_queue, entries = an_agenda(600, units=1e6, ids=1.0)
    cap = poll_queue.cap(Phase.OPEN)
    assert cap == 600 * 60 / 0.25
    now, late = NOW, []
    while now < NOW + cap:
        now += 600.0
        poll_queue.next_at(now)
        late.append(sum(poll_queue.records.state[slot] == EntryState.APPOINTED for slot in entries))
    assert late[-1] >= 590
    steps = [after - before for before, after in pairwise(late)]
    assert max(steps) < 20


def test_after_a_start_all_are_asked_about_soon_where_the_budget_allows_it():
    """How long each has waited before the start is not known: it may be its whole cap."""
    poll_queue, entries = an_agenda(600, units=1e6, ids=6000.0, idle=60.0)
    now, asked = NOW, list[int]()
    while now < NOW + WITHIN / 20 + 5.0:
        now += 1.0
        asked += poll_queue.take(100, now) if (poll_queue.next_at(now) or 0.0) <= now else []
    assert sorted(asked) == entries


def joined_again(ago: list[float], *, ids: float) -> tuple[PollQueue, list[int]]:
    """After a start: orders that were asked about so many seconds before it; NaN: not known."""
    poll_queue = PollQueue(OrderTable("p"), NOW, within=WITHIN, ids_per_minute=ids, idle_every=60.0)
    entries = [new(poll_queue, str(number)) for number in range(len(ago))]
    for slot, seconds in zip(entries, ago, strict=True):
        poll_queue.records.checked_at[slot] = NOW - seconds
    shares = [(number + 1) / len(ago) for number in range(len(ago))]
    poll_queue.join(entries, [1e9] * len(ago), shares, NOW)
    poll_queue.begin()
    return poll_queue, entries


def test_a_start_changes_nothing_for_whoever_was_asked_about_before_it():
    poll_queue, entries = joined_again([100.0, 1700.0, 1000.0], ids=6000.0)
    asked = [(at - NOW, taken[0]) for at, taken in follow(poll_queue, 1, until=NOW + WITHIN)]
    assert [slot for _, slot in asked[:3]] == [entries[1], entries[2], entries[0]]
    assert [at for at, _ in asked[:3]] == pytest.approx([100.0, 800.0, 1700.0], abs=1.0)


def test_who_became_late_while_nobody_watched_is_asked_about_at_once():
    poll_queue, entries = joined_again([5.0, 2 * WITHIN, WITHIN + 1.0, 10.0], ids=6000.0)
    (_, first), *_ = follow(poll_queue, 100, until=NOW + 10.0)
    assert set(entries[1:3]) <= set(first)


@pytest.mark.parametrize("ago", [2 * WITHIN, nan])
def test_many_late_ones_after_a_start_leave_half_of_the_budget_to_others(ago: float):
    poll_queue, entries = joined_again([ago] * 6000, ids=6000.0)
    assert poll_queue.cap(Phase.OPEN) == WITHIN
    requests = list(follow(poll_queue, 1, until=NOW + 130.0, every=0.01))
    assert {slot for _, taken in requests for slot in taken} == set(entries)
    soon = {slot for at, taken in requests if at <= NOW + 30.0 for slot in taken}
    assert len(soon) <= 2000, "two minutes it takes, at half of 6,000 a minute"


def test_orders_over_their_caps_are_called_up_a_few_at_a_time():
    poll_queue, entries = joined_again([2 * WITHIN] * 20_000, ids=1e5)
    now = NOW + WITHIN
    assert poll_queue.next_at(now) == now
    called = sum(poll_queue.records.state[slot] == EntryState.APPOINTED for slot in entries)
    assert called < 2000, "a heap of all of them takes 100 bytes each"
    taken = set[int]()
    while some := poll_queue.take(100, now):
        taken.update(some)
    assert taken == set(entries)


def test_no_look_at_the_caps_of_very_many_holds_others_up():
    poll_queue, entries = joined_again([WITHIN - 10.0 - n / 1000 for n in range(50_000)], ids=1e6)
    records, now = poll_queue.records, NOW + 300.0
    for slot in entries:  # they were asked about in their turn
        records.checked_at[slot] = NOW + 200.0
    filed, steps = list(records.filed), 0
    while (due := poll_queue.next_at(now)) is not None and due < now + 1.0:
        before, filed = filed, list(records.filed)
        assert sum(map(ne, before, filed)) <= 500
        now, steps = max(now, due), steps + 1
    assert 50 < steps < 200
    assert not any(records.state[slot] == EntryState.APPOINTED for slot in entries)


def test_what_was_filed_twice_for_its_cap_is_filed_once_again():
    """As an order is that left and came back at once, into the same slot."""
    poll_queue, (entry,) = joined_again([WITHIN - 10.0], ids=6000.0)
    poll_queue._deadlines._buckets.add(
        np.array([poll_queue.records.filed[entry]]), np.array([entry])
    )
    poll_queue.records.checked_at[entry] = NOW
    poll_queue.next_at(NOW + 20.0)
    slots, _ = poll_queue._deadlines._buckets.take(100)
    assert slots.tolist() == [entry]


def test_very_many_that_were_asked_about_before_their_turn_hold_nobody_up():
    poll_queue, entries = joined_again([100.0] * 20_000, ids=1e6)
    *hastened, last = entries
    for slot in hastened:
        poll_queue.appoint(slot, NOW)
    while taken := poll_queue.take(100, NOW):
        poll_queue.answered(taken, [2e9] * len(taken), NOW)
    now, steps = NOW, 0
    while (due := poll_queue.next_at(now)) is not None and due <= now + 0.01:
        now, steps = due, steps + 1
    assert 15 < steps < 30, "a thousand at once"
    assert [slot for _, slot in poll_queue.upcoming(1, now)] == [last]


@pytest.mark.parametrize("within", [MIN_GAP, 2 * MIN_GAP, WITHIN])
def test_the_caps_of_orders_that_were_asked_about_at_a_start_come_apart(within: float):
    poll_queue = PollQueue(OrderTable("p"), NOW, within=within, ids_per_minute=1e5, idle_every=60.0)
    entries = [new(poll_queue, str(number)) for number in range(600)]
    poll_queue.join(entries, [1e6] * 600, [number / 600 for number in range(600)], NOW)
    poll_queue.begin()
    requests = list(follow(poll_queue, 20, until=NOW + 4 * within))
    asked = {slot: [at for at, taken in requests if slot in taken] for slot in entries}
    waits = [after - before for times in asked.values() for before, after in pairwise(times)]
    assert MIN_GAP <= min(waits) <= max(waits) <= within + 2.0
    assert sum(map(len, asked.values())) < 600 * 8, "a start is no reason to ask for ever more"
    later = [(at, taken) for at, taken in requests if at >= NOW + within]
    assert sum(len(taken) == 20 for _, taken in later) >= 0.95 * len(later), "they are full"
    tenths = Counter((at - NOW) // (within / 10) for at, _ in later)
    assert max(tenths.values()) < len(later) / 8, "they don't all come at once"


def test_guarded_orders_that_were_asked_about_at_once_come_apart():
    """As after a standstill, in which there is time for all of them."""
    poll_queue = PollQueue(OrderTable("p"), NOW, within=WITHIN, ids_per_minute=1e4, idle_every=60.0)
    slots = np.array([new(poll_queue, str(n), phase=Phase.GUARDED) for n in range(600)])
    poll_queue.join(slots, [1e6] * 600, [1.0] * 600, NOW)
    poll_queue.begin()
    for part, some in enumerate(np.split(slots, 30)):
        poll_queue.answered(some, [1e6] * 20, NOW + 60.0 + part)
    end = NOW + deadlines.GUARDED_WITHIN + 180.0
    requests = list(follow(poll_queue, 20, until=end, every=10.0))
    assert {slot for _, taken in requests for slot in taken} == {*slots.tolist()}
    hours = Counter((at - NOW) // 3600.0 for at, _ in requests)
    assert max(hours.values()) < len(requests) / 3


def follow(
    poll_queue: PollQueue, limit: int, *, until: float, every: float = 0.1
) -> Iterator[tuple[float, list[int]]]:
    """The requests, each answered at once: when, and which orders; no sooner one after another."""
    now = NOW
    while now < until:
        due = poll_queue.next_at(now)
        now = max(now + every, due if due is not None else now)
        taken = poll_queue.take(limit, now)
        if taken:
            yield now, taken
            poll_queue.answered(taken, [1e6] * len(taken), now)


def test_a_cap_as_short_as_the_rest_is_held():
    poll_queue = PollQueue(
        OrderTable("p"), NOW, within=MIN_GAP, ids_per_minute=1e4, idle_every=60.0
    )
    entry = new(poll_queue)
    poll_queue.appoint(entry, NOW)
    now = NOW
    for _ in range(10):
        assert poll_queue.take(100, now) == [entry]
        poll_queue.answered([entry], [50.0], now)
        due = poll_queue.next_at(now)
        while due is not None and not (
            Entry(poll_queue.records, entry).state is EntryState.APPOINTED and due <= now
        ):
            now = due
            due = poll_queue.next_at(now)
        assert now - poll_queue.records.checked_at[entry] <= 1.1 * MIN_GAP


def test_people_are_told_when_an_order_is_expected_to_be_checked():
    poll_queue, (entry,) = an_agenda(1, units=(30 / 0.4) ** 0.5, idle=60.0)
    assert poll_queue.expected_at(entry, NOW) == NOW + 60.0
    poll_queue.take(1, NOW + 60.0)
    assert poll_queue.expected_at(entry, NOW + 60.0) == NOW + 60.0
    later = NOW + 2 * WITHIN
    poll_queue.answered([entry], [1e6], later)
    assert poll_queue.expected_at(entry, later) == later + WITHIN
    poll_queue.leave(entry)
    assert poll_queue.expected_at(entry, later) is None


def test_the_conversion_follows_the_budget_and_not_a_pause():
    poll_queue, entries = an_agenda(600, units=1.0)
    asked = NOW
    for _ in range(40 * 60):
        asked += 1.0
        for entry in poll_queue.take(10, asked):
            poll_queue.answered([entry], [1.0], asked)
    assert 0.8 <= poll_queue.time.minutes_a_unit <= 1.2, "600 orders at 600 a minute"
    told = poll_queue.time.minutes_a_unit
    poll_queue.put_back(poll_queue.take(10, asked + 1.0))
    poll_queue.put_back(poll_queue.take(10, asked + 6 * HOUR))
    assert poll_queue.time.minutes_a_unit == pytest.approx(told, rel=1e-4)
    assert len(entries) == 600


def test_pauses_after_problems_grow_to_six_hours():
    pauses = [after_problem(failures, 0.0) for failures in range(1, 12)]
    assert pauses[:3] == [60, 120, 240]
    assert pauses[-1] == 6 * HOUR


@pytest.mark.long
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 160),
    widest=st.sampled_from([1.0, 50.0, 5000.0]),
    limit=st.sampled_from([1, 7, 100]),
    every=st.sampled_from([2.0, 10.0]),
    guarded=st.floats(0, 1),
    failing=st.floats(0, 0.3),
    at_once=st.sampled_from([1, 3, 1000]),
)
@example(
    seed=0, count=160, widest=50.0, limit=1, every=10.0, guarded=0.0, failing=0.0, at_once=1000
).via("a plain turn takes nine tenths of the cap: second checks took the first ones' places")
def test_nobody_starves_batches_are_full_and_the_gap_is_kept(
    seed: int,
    count: int,
    widest: float,
    limit: int,
    every: float,
    guarded: float,
    failing: float,
    at_once: int,
):
    """Whatever the keys, the answers, the arrivals and the failures are.

    No order waits longer than its cap and a tenth of it, as long as requests succeed.
    """
    with patch.object(deadlines, "_OVERDUE_AT_ONCE", at_once):
        rng = Random(seed)
        poll_queue = PollQueue(
            OrderTable("p"),
            NOW,
            within=WITHIN,
            ids_per_minute=60.0 / every * limit,
            idle_every=0.001,
        )
        records, checked_at = poll_queue.records, poll_queue.records.checked_at
        waits_since: dict[int, float] = {}
        for number in range(count):
            make = a_finished_order if rng.random() < guarded else an_order
            entry = records.add(make(id=str(number)))
            wait, share = widest * rng.random() ** 4 + 0.01, rng.random()
            poll_queue.join([entry], [wait], [share], NOW)
            waits_since[entry] = NOW
        poll_queue.begin()
        now, allowed = NOW, 0.0
        while now < NOW + 3 * WITHIN:
            now += every
            due = poll_queue.next_at(now)
            taken = poll_queue.take(limit, now)
            assert bool(taken) == (due is not None and due <= now)
            assert len(set(taken)) == len(taken)
            if 0 < len(taken) < limit:
                left = waits_since.keys() - taken
                is_near = [records.state[entry] == EntryState.APPOINTED for entry in left]
                asked = [now - checked_at[entry] < MIN_GAP for entry in left]
                assert all(map(or_, is_near, asked)), "a deadline is this second, or it was asked"
            if rng.random() < failing:
                poll_queue.put_back(taken)
                allowed += every
                continue
            for entry in taken:
                assert not now - checked_at[entry] < MIN_GAP, "NaN before the first check"
                most = (
                    max(WITHIN, poll_queue.cap(records.phase_of(entry)))
                    if poll_queue.watched[Phase.OPEN]
                    else inf
                )
                assert now - waits_since[entry] <= 1.1 * most + 2 * every + allowed
                waits_since[entry] = now
            if taken:
                waits = [widest * rng.random() ** 4 + 0.01 for _ in taken]
                poll_queue.answered(taken, waits, now)
        for entry, since in waits_since.items():
            cap = poll_queue.cap(records.phase_of(entry))
            assert now - since <= 1.1 * cap + 2 * every + allowed

"""One panel's poll queue: which orders the next request carries (fair queueing, virtual time).

1. An answered order gets the virtual deadline V + sqrt(T / r), where V is the virtual deadline of
   the last order served. The next request takes the lowest ones, so it is full (unless a thousand
   stale entries come first). The budget sets the pace: when requests are scarce, V moves slowly.
2. No order is asked about twice within MIN_GAP, whatever its virtual deadline.
3. Orders with a real time come first, oldest first: ids that the panel refuses, orders never asked
   about, and orders that have waited longer than their cap.
4. V moves no faster than a unit in `idle` minutes: a panel with few orders gets few requests.
5. Before all of them go the orders that somebody waits for (`urgent_lane`).
6. While the panel stands still, what was not asked since it began comes first, then all open orders
   take turns. Once that ends, all come sooner, the likeliest to have changed first.

Virtual deadlines are in a bucket queue, its buckets a fraction of a unit wide. `virtual_time` moves
V, `deadlines` finds orders that have waited too long.
"""

import heapq
from collections.abc import Iterable
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from watcher.model import Phase
from watcher.orders.columns.table import OPEN, OrderTable
from watcher.orders.schedule.bucket_queue import FINE, BucketQueue
from watcher.orders.schedule.deadlines import GO_ON_AFTER, Deadlines
from watcher.orders.schedule.entries import EntryState, Floats, Slots
from watcher.orders.schedule.standstill import ROUND, Standstill
from watcher.orders.schedule.timed_queue import TimedQueue
from watcher.orders.schedule.urgent_lane import UrgentLane
from watcher.orders.schedule.virtual_time import VirtualTime

MIN_GAP = 10.0  # seconds between two checks of one order, at the least

_OUT, _ASKED, _RESTING = int(EntryState.OUT), int(EntryState.ASKED), int(EntryState.RESTING)
_WAITING, _APPOINTED = int(EntryState.WAITING), int(EntryState.APPOINTED)


class PollQueue:
    """The poll queue of one panel. Orders are slots of its records; times are Unix seconds."""

    def __init__(
        self,
        records: OrderTable,
        now: float,
        *,
        within: float,
        ids_per_minute: float,
        idle_every: float = 20.0,
    ) -> None:
        self.records = records
        self.time = VirtualTime(now, idle_every=idle_every)
        self.within = within
        self._demand = 0.0  # checks a unit of virtual time, of all that joined
        self.gap = min(MIN_GAP, within)
        self._keys = BucketQueue(records)
        self._deadlines = Deadlines(
            records, now, within=within, gap=self.gap, ids_per_minute=ids_per_minute
        )
        self.watched, self.cap = self._deadlines.watched, self._deadlines.cap
        self.promised, self.lag = self._deadlines.promised, self._deadlines.lag
        self._resting: list[tuple[float, list[int]]] = []  # a heap: until then, slots
        self._timed = TimedQueue(records)
        self.urgent = UrgentLane(records, self.gap)
        # Until `begin` it is not: loading has priority over checks by virtual deadline.
        self._is_whole = False
        self._in_turn_at = -inf  # when orders were last taken by virtual deadline
        self.standstill = Standstill()

    @property
    def needed(self) -> float:
        """The share of the budget that checking every open order within `within` takes."""
        return self._deadlines.needed

    def allow(self, ids_per_minute: float) -> None:
        """Set the budget: ids that the panel's limit allows a minute."""
        self._deadlines.ids_per_minute = ids_per_minute

    def appoint(self, slot: int, at: float) -> None:
        """Ask about the order at a real time. Adds a new order to the queue."""
        if self.records.state[slot] == _OUT:
            self._deadlines.enter(slot, at)
        self._timed.add(slot, at)

    def join(self, slots: ArrayLike, waits: ArrayLike, shares: ArrayLike, now: float) -> None:
        """Add orders, each due after a share (0 to 1) of its wait in units."""
        slots, waits, shares = np.asarray(slots), np.asarray(waits), np.asarray(shares)
        self._await_deadlines(slots, self.time.v + waits * shares)
        self._demand += float((1.0 / waits).sum())
        self._deadlines.join(slots, shares, now)

    def begin(self) -> None:
        """Estimate how long a unit is, once all orders of the start have joined.

        Before that, few orders had the budget of all.
        """
        self.time.expect(self._demand / self._deadlines.ids_per_minute)
        self._is_whole = True

    def answered(self, slots: ArrayLike, waits: ArrayLike, now: float) -> None:
        """Schedule orders that were asked about at `now`, each after its wait in units."""
        slots = np.asarray(slots, dtype=np.intp)
        np.asarray(self.records.checked_at)[slots] = now
        self.urgent.leave(slots.tolist())
        waits = np.asarray(waits)
        if self.standstill.since is not None:
            is_open = np.asarray(self.records.phase)[slots] == OPEN
            waits = np.where(is_open, ROUND, np.maximum(waits**2 / ROUND, ROUND))
            self.time.interrupt()  # V moves at another pace meanwhile
        self._await_deadlines(slots, self.time.v + waits)

    def resume(self, slots: Slots, waits: Floats) -> None:
        """Rank orders not asked about since a standstill began, or since it ended, anew."""
        is_meant = np.asarray(self.records.state)[slots] == _WAITING
        is_meant &= np.asarray(self.records.checked_at)[slots] <= self.standstill.turned_at
        self._await_deadlines(slots[is_meant], self.time.v + waits[is_meant])

    def put_back(self, asked: Iterable[int]) -> None:
        """Undo `take` after a failed request: the orders come first again, or are due as before."""
        self.time.interrupt()
        records, first = self.records, list[int]()
        for slot in asked:
            if records.state[slot] != _ASKED or self.urgent.put_back(slot):
                continue
            if records.failures[slot] or records.alone[slot] or records.is_new(slot):
                self.appoint(slot, records.turn[slot])
            else:
                first.append(slot)
        slots = np.array(first, dtype=np.intp)
        self._await_deadlines(slots, np.full(len(slots), self.time.v))
        self._deadlines.put_back(slots)

    def hasten(self, slot: int, at: float, now: float) -> None:
        """Ask about the order `at` that time, unless a check is under way or expected sooner."""
        expected = self.expected_at(slot, now)
        if self.records.state[slot] != _ASKED and expected is not None and at < expected:
            self.appoint(slot, at)

    def retry_refused(self, now: float) -> None:
        """Ask at once about all orders that wait after refusals."""
        records = self.records
        is_later = (np.asarray(records.state) == _APPOINTED) & (np.asarray(records.turn) > now)
        is_later &= np.asarray(records.failures) != 0
        for slot in np.flatnonzero(is_later):
            self.appoint(int(slot), now)

    def leave(self, slot: int) -> None:
        """Remove the order."""
        self.urgent.leave([slot])
        if self.records.state[slot] != _OUT:
            self.records.state[slot] = _OUT
            self.note_phase(self.records.phase_of(slot), -1)

    def note_phase(self, phase: Phase, by: int) -> None:
        """Add `by` to the number of orders in this phase."""
        self.watched[phase] += by

    def next_at(self, now: float) -> float | None:
        """Return when the next request is due; None if nothing is watched."""
        self._settle(now)
        times = [self._soonest().next_at(), self._deadlines.next_at(now), self._turn_at(now)]
        times.append(self.urgent.next_at())
        if self._resting:
            times.append(self._resting[0][0])
        soonest = min(times)
        return max(now, soonest) if soonest < inf else None

    def take(self, limit: int, now: float) -> list[int]:
        """Take the orders of the next request; none while nothing is due.

        They stay under way until `answered`, `appoint` or `put_back`. Until `begin`, orders are
        taken by virtual deadline only once in a gap, or loading would take three times as long.
        """
        self._settle(now)
        taken = self._take_appointed(limit, now)
        if taken and self.records.alone[taken[0]]:
            return taken
        if not (taken and self._is_whole) and self._turn_at(now) > now:
            return taken
        in_turn = self._keys.take_waiting(limit - len(taken), now - self.gap)
        self._rest(self._keys.early)
        if in_turn:
            self._in_turn_at = now
        self.time.move(self.records.turn[in_turn[-1]] if in_turn else self.time.v, now)
        return taken + in_turn

    def upcoming(self, count: int, now: float) -> list[tuple[float, int]]:
        """Return the times and slots of the orders that are expected to be asked about first."""
        appointed = [*self._timed.lowest(count), *self._deadlines.overdue.lowest(count)]
        resting = (slot for _, slots in self._resting for slot in slots)
        found = [*appointed, *self._keys.lowest(count), *resting]
        expected = {slot: self.expected_at(slot, now) for slot in found}
        timed = ((at, slot) for slot, at in expected.items() if at is not None)
        return heapq.nsmallest(count, timed)

    def expected_at(self, slot: int, now: float) -> float | None:
        """Return when the order is expected to be asked about."""
        records = self.records
        state, deadline = records.state[slot], records.turn[slot]
        if state == _ASKED:
            return now
        if state == _OUT:
            return None
        if state == _APPOINTED:
            return deadline
        by_key = max(now, self.time.expected(deadline))
        checked_at = records.checked_at[slot]
        if checked_at != checked_at:
            return by_key
        limits = self._deadlines.limits(records.phase_of(slot))
        latest = float(limits.latest(np.array([slot]), np.array([checked_at]))[0])
        return max(min(by_key, latest), checked_at + self.gap)

    def seconds(self, units: float, longest: float) -> float:
        """Return how long so many units take as things stand, between the gap and the longest."""
        return min(max(60.0 * self.time.minutes_a_unit * units, self.gap), longest)

    def _await_deadlines(self, slots: Slots, deadlines: Floats) -> None:
        np.asarray(self.records.turn)[slots] = deadlines
        np.asarray(self.records.state)[slots] = _WAITING
        self._keys.add(deadlines * FINE, slots)

    def _rest(self, slots: list[int]) -> None:
        """Hold the orders until MIN_GAP after their last check; a check's orders stay together."""
        records = self.records
        together: dict[float, list[int]] = {}
        for slot in dict.fromkeys(slots):
            records.state[slot] = _RESTING
            together.setdefault(records.checked_at[slot] + self.gap, []).append(slot)
        for rested in together.items():
            heapq.heappush(self._resting, rested)
        slots.clear()

    def _settle(self, now: float) -> None:
        """Move orders past MIN_GAP back to the queue; schedule those past their deadline."""
        while self._resting and self._resting[0][0] <= now:
            slots = np.array(heapq.heappop(self._resting)[1])
            slots = slots[np.asarray(self.records.state)[slots] == _RESTING]
            self._await_deadlines(slots, np.asarray(self.records.turn)[slots])
        self._deadlines.call_up(now)

    def _soonest(self) -> TimedQueue:
        """Return the timed queue whose first order is due next."""
        own, overdue = self._timed, self._deadlines.overdue
        return overdue if overdue.next_at() < own.next_at() else own

    def _take_appointed(self, limit: int, now: float) -> list[int]:
        """Take the orders that are due at a real time, the urgent ones first."""
        lane, records, taken = self.urgent, self.records, list[int]()
        yields = lane.is_greedy(now) and min(self._soonest().next_at(), self._turn_at(now)) <= now
        urgent = 0
        while len(taken) < limit:
            is_urgent = not yields and lane.next_at() <= now
            timed = lane if is_urgent else self._soonest()
            if timed.next_at() > now:
                break
            slot = timed.first()
            if records.alone[slot] and taken:
                break
            timed.pop()
            records.state[slot] = _ASKED
            taken.append(slot)
            urgent += is_urgent
            if records.alone[slot]:
                limit = 1
        lane.note(now, has_yielded=yields, took_all=urgent == limit)
        return taken

    def _turn_at(self, now: float) -> float:
        """Return when V may reach the lowest virtual deadline; infinity if there is none."""
        is_clear = self._keys.clear(now - self.gap)
        self._rest(self._keys.early)
        if not is_clear:
            return now + GO_ON_AFTER
        bucket = self._keys.first()
        if bucket is None:
            return inf
        at = self.time.earliest(bucket / FINE)
        return at if self._is_whole else max(at, self._in_turn_at + self.gap)

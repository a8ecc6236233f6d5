"""One panel's orders in virtual time: which of them the next request carries.

1. An order that was answered gets the key V + sqrt(T / r), where V is the key of the last order
   served. The next request is the lowest keys, so it is always full, and the budget sets the
   pace by itself: when requests are scarce, V moves slowly.
2. Whoever was asked rests for MIN_GAP first, whatever its key.
3. Appointments come before keys: ids that the panel refuses, orders never asked about, and
   orders that have waited longer than their cap, oldest first.
4. V moves no faster than a unit in `idle` minutes: nothing is asked for the sake of asking.

Keys are kept in buckets a fraction of a unit wide, and caps in buckets of real time.
"""

import heapq
from collections import deque
from collections.abc import Iterable
from itertools import islice

from watcher.cadence.buckets import FINE, Buckets
from watcher.cadence.entries import Entry, State
from watcher.model import Order, Phase

MIN_GAP = 10.0  # seconds between two checks of one order, at the least
GUARDED_WITHIN = 12 * 3600.0  # no finished order waits longer, if the budget allows it
PROBLEM_PAUSE = (60.0, 6 * 3600.0)  # the first and the longest pause of an id set aside
ACTIVE_SHARE, GUARDED_SHARE = 0.2, 0.1  # of the budget, which caps may take at the most
_SMOOTH_OVER = 10.0  # minutes over which the conversion to real time is smoothed
_A_NEW_ORDER = (30.0 / 0.4) ** 0.5  # units that an order waits about which nothing is known


_OUT, _ASKED, _RESTING = State.OUT, State.ASKED, State.RESTING
_WAITING, _APPOINTED = State.WAITING, State.APPOINTED


def after_problem(failures: int, now: float) -> float:
    """When to ask about an id again that the panel has refused `failures` times in a row."""
    first, longest = PROBLEM_PAUSE
    return now + min(longest, first * 2.0 ** min(failures - 1, 30))


class Agenda:
    """The schedule of one panel. Times are Unix seconds."""

    def __init__(
        self, now: float, *, within: float, ids_per_minute: float, idle_every: float = 20.0
    ) -> None:
        self.ids_per_minute = ids_per_minute  # what the panel's limit allows
        self.v = 0.0
        self.idle = max(idle_every, 0.001) / 60.0 / _A_NEW_ORDER  # minutes a unit, the least
        self.minutes_a_unit = self.idle  # k, for people
        self.active = self.guarded = 0
        self.within = within
        self._demand = 0.0  # checks a unit of virtual time, by those who joined
        self.gap = min(MIN_GAP, within)
        self._keys = Buckets()
        self._caps = Buckets()
        self._cap_width = max(0.05, min(5.0, within / 20))
        self._resting: deque[Entry] = deque()
        self._appointments: list[tuple[float, int, Entry]] = []
        self._serial = 0
        self._began = now
        self._moved_at = now  # when V was last moved
        self._interrupted = True  # since then, so that it says nothing of the budget
        self._measured = [0.0, 0.0]  # minutes, units

    def appoint(self, entry: Entry, at: float) -> None:
        """Ask about the entry at a real time. A new one joins the agenda."""
        if entry.state is _OUT:
            self._enter(entry, at + self.cap(entry.order.phase))
        entry.key = at
        entry.state = _APPOINTED
        self._serial += 1
        heapq.heappush(self._appointments, (at, self._serial, entry))

    def join(self, entry: Entry, units: float, share: float, now: float) -> None:
        """Take the entry up, this share (0 to 1) of its usual wait from now."""
        self._demand += 1.0 / units
        self._enter(entry, now + self.within * share)
        entry.key = self.v + units * share
        self._await_turn(entry)

    def begin(self) -> None:
        """All that is to join at once has joined: how long a unit will be follows from it."""
        self.minutes_a_unit = max(self.idle, self._demand / self.ids_per_minute)

    def answered(self, entry: Entry, units: float, now: float) -> None:
        """The entry was asked about at `now`; it waits for `units`."""
        entry.checked_at = now
        entry.key = self.v + units
        entry.state = _RESTING
        self._resting.append(entry)

    def put_back(self, entries: Iterable[Entry]) -> None:
        """The request failed, and was no check: first in turn again, or as it was appointed."""
        self._interrupted = True
        for entry in entries:
            if entry.state is not _ASKED:
                continue
            if entry.failures or entry.alone or entry.is_new:
                self.appoint(entry, entry.key)
            else:
                entry.key = self.v
                self._await_turn(entry)

    def hasten(self, entry: Entry, at: float, now: float) -> None:
        """Ask about the entry `at` that time, unless it is asked about or expected sooner."""
        expected = self.expected_at(entry, now)
        if entry.state is not _ASKED and expected is not None and at < expected:
            self.appoint(entry, at)

    def leave(self, entry: Entry) -> None:
        """The order is no longer watched."""
        if entry.state is not _OUT:
            entry.state = _OUT
            self.note_phase(entry.order.phase, -1)

    def note_phase(self, phase: Phase, by: int) -> None:
        """So many orders more are in this phase."""
        if phase is Phase.GUARDED:
            self.guarded += by
        else:
            self.active += by

    def promised_at(self, entry: Entry) -> float | None:
        """By when the entry is to be asked about, if the budget allows it."""
        if entry.is_new or entry.failures or entry.alone:
            return None if entry.state is _WAITING else entry.key
        return None if entry.checked_at is None else entry.checked_at + self._promise(entry.order)

    def lag(self, entries: Iterable[Entry], now: float) -> float:
        """Seconds by which the latest of the entries is late."""
        promises = (self.promised_at(entry) for entry in entries)
        return max((now - at for at in promises if at is not None and at < now), default=0.0)

    def next_at(self, now: float) -> float | None:
        """When the next request is due; None where nothing is watched."""
        self._settle(now)
        times = [self._appointments[0][0]] if self._appointments else []
        bucket = self._keys.first_waiting()
        if bucket is not None:
            times.append(self._turn_of(bucket))
        if self._resting:
            times.append((self._resting[0].checked_at or now) + self.gap)
        first_cap = self._caps.first()
        if first_cap is not None:
            times.append(first_cap * self._cap_width)
        return max(now, min(times)) if times else None

    def take(self, limit: int, now: float) -> list[Entry]:
        """The entries of the next request, none while nothing is due.

        They stay under way until `answered`, `appoint` or `put_back`.
        """
        self._settle(now)
        taken = self._take_appointed(limit, now)
        if taken and taken[0].alone:
            return taken
        if not taken and not self._is_turn(now):
            return taken
        in_turn = self._keys.take_waiting(limit - len(taken))
        self._move(in_turn[-1].key if in_turn else self.v, now)
        return taken + in_turn

    def upcoming(self, count: int, now: float) -> list[Entry]:
        """The entries that will be asked about first, as far as one can tell."""
        appointed = (entry for _, _, entry in heapq.nsmallest(count, self._appointments))
        found = [*appointed, *self._keys.lowest(count), *islice(self._resting, count)]
        times = {entry.order.id: (self.expected_at(entry, now), entry) for entry in found}
        timed = [(at, order_id, entry) for order_id, (at, entry) in times.items() if at is not None]
        return [entry for _, _, entry in heapq.nsmallest(count, timed)]

    def expected_at(self, entry: Entry, now: float) -> float | None:
        """When the entry will be asked about, as far as one can tell."""
        if entry.state is _ASKED:
            return now
        if entry.state is _OUT:
            return None
        if entry.state is _APPOINTED:
            return entry.key
        by_key = max(now, self._moved_at + (entry.key - self.v) * self.minutes_a_unit * 60.0)
        if entry.checked_at is None:
            return by_key
        latest = entry.checked_at + self.cap(entry.order.phase)
        return max(min(by_key, latest), entry.checked_at + self.gap)

    def seconds(self, units: float) -> float:
        """So many units in real time, no less than the gap and no more than `within`."""
        return min(max(60.0 * self.minutes_a_unit * units, self.gap), self.within)

    def cap(self, phase: Phase) -> float:
        """Seconds that an order waits at the most. Caps that no budget can meet would ruin it."""
        a_minute = max(self.ids_per_minute, 1e-9)
        if phase is Phase.GUARDED:
            within = max(self.within, GUARDED_WITHIN)
            return max(within, 60.0 * self.guarded / (GUARDED_SHARE * a_minute))
        return max(self.within, 60.0 * self.active / (ACTIVE_SHARE * a_minute))

    # --- below: how it is kept ---

    def _promise(self, order: Order) -> float:
        if order.phase is Phase.GUARDED and self.within < GUARDED_WITHIN:
            return GUARDED_WITHIN
        return self.within

    def _enter(self, entry: Entry, latest: float) -> None:
        self.note_phase(entry.order.phase, 1)
        self._file(entry, latest)

    def _await_turn(self, entry: Entry) -> None:
        entry.state = _WAITING
        self._keys.add(int(entry.key * FINE), entry)

    def _file(self, entry: Entry, latest: float) -> None:
        """Look at the entry's cap then."""
        self._caps.add(int(latest / self._cap_width), entry)

    def _settle(self, now: float) -> None:
        """Who has rested waits for its turn; who is over its cap gets an appointment."""
        resting = self._resting
        while resting and (resting[0].checked_at or 0.0) + self.gap <= now:
            entry = resting.popleft()
            if entry.state is _RESTING:
                self._await_turn(entry)
        while (bucket := self._caps.first()) is not None and bucket * self._cap_width <= now:
            open_cap, guarded_cap = self.cap(Phase.OPEN), self.cap(Phase.GUARDED)
            for entry in self._caps.pop():
                if entry.state is not _OUT:
                    guarded = entry.order.phase is Phase.GUARDED
                    self._hold_to_cap(entry, guarded_cap if guarded else open_cap, now)

    def _hold_to_cap(self, entry: Entry, cap: float, now: float) -> None:
        if entry.checked_at is None:  # since the start; these are spread, too
            latest = self._began + cap * (hash(entry.order.id) % 1024) / 1024
        else:
            latest = entry.checked_at + cap
        if latest > now + self._cap_width:
            # Not later than an open order's: a guarded one may be open again by then.
            self._file(entry, min(latest, now + self.within))
            return
        if entry.state is _RESTING:
            self._file(entry, now + self._cap_width)
            return
        self._file(entry, now + self.within)
        if entry.state is _WAITING:
            self.appoint(entry, latest)

    def _take_appointed(self, limit: int, now: float) -> list[Entry]:
        taken: list[Entry] = []
        heap = self._appointments
        while heap and len(taken) < limit and heap[0][0] <= now:
            at, _, entry = heap[0]
            stale = entry.state is not _APPOINTED or entry.key != at
            if not stale and entry.alone and taken:
                break
            heapq.heappop(heap)
            if stale:
                continue
            entry.state = _ASKED
            taken.append(entry)
            if entry.alone:
                break
        return taken

    def _is_turn(self, now: float) -> bool:
        """Whether V may have come as far as the first key."""
        bucket = self._keys.first_waiting()
        return bucket is not None and self._turn_of(bucket) <= now

    def _turn_of(self, bucket: int) -> float:
        """When V may come as far as this bucket, at the earliest."""
        return self._moved_at + (bucket / FINE - self.v) * self.idle * 60.0

    def _move(self, last: float, now: float) -> None:
        furthest = self.v + max(0.0, now - self._moved_at) / 60.0 / self.idle
        to = max(self.v, min(last, furthest))
        if not self._interrupted:
            self._measure((now - self._moved_at) / 60.0, to - self.v)
        self.v = to
        self._moved_at = now
        self._interrupted = False

    def _measure(self, minutes: float, moved: float) -> None:
        """k from the last ten minutes, at most doubled or halved at once."""
        self._measured[0] += minutes
        self._measured[1] += moved
        minutes, moved = self._measured
        if minutes < _SMOOTH_OVER:
            return
        measured = minutes / max(moved, 1e-9)
        k = self.minutes_a_unit
        self.minutes_a_unit = max(self.idle, min(2 * k, max(k / 2, measured)))
        self._measured = [0.0, 0.0]

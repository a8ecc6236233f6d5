"""Deadlines: the longest time that an order waits for its check, also after a start."""

from collections import Counter
from math import inf

import msgspec
import numpy as np

from watcher.model import Phase
from watcher.orders.columns.table import GUARDED, NONE, OPEN, PHASES, OrderTable
from watcher.orders.schedule.bucket_queue import BucketQueue
from watcher.orders.schedule.entries import EntryState, Floats, Slots
from watcher.orders.schedule.timed_queue import TimedQueue

GUARDED_WITHIN = 12 * 3600.0  # seconds that a finished order waits, if the budget suffices
# The share of the budget for deadlines that can't be met: they would use up all of it.
SHARES = {Phase.OPEN: 0.25, Phase.GUARDED: 0.1}
LATE_SHARES = {Phase.OPEN: 0.5, Phase.GUARDED: 0.1}  # after a start
_BLIND = 0.05  # of the cap: deadline of an open order whose last check is not known
_FIRST = 0.25  # of the cap: least wait after the first check of an order that was late at a start
_OVERDUE_AT_ONCE = 1000  # orders in `overdue` at which no more are added
_LOOKED_AT_ONCE = 500  # deadlines checked in one step: a millisecond or two
GO_ON_AFTER = 0.01  # seconds between two steps; other tasks run meanwhile
GOLDEN = (5.0**0.5 - 1.0) / 2.0  # the fractional parts of its multiples are evenly spread

_OUT, _WAITING = int(EntryState.OUT), int(EntryState.WAITING)
_PHASES = ((OPEN, Phase.OPEN), (GUARDED, Phase.GUARDED))


class DeadlineRules(msgspec.Struct, frozen=True, gc=False):
    """The rules for deadlines of one phase, in seconds; `began` and `calm_at` are Unix times."""

    began: float  # the start
    cap: float
    late_within: float  # for orders that are late at the start
    blind_within: float  # for orders whose last check is not known
    calm_at: float  # after checks before this time, deadlines are spread from `least` to `cap`
    least: float

    def latest(self, slots: Slots, asked: Floats) -> Floats:
        """Return the orders' deadlines, by the times of their last checks (NaN: not known)."""
        spread = slots * 619 % 1024 / 1024
        before = np.maximum(asked + self.cap, self.began + self.late_within * spread)
        before = np.where(np.isnan(asked), self.began + self.blind_within * spread, before)
        return np.where(asked >= self.began, asked + self._after(asked), before)

    def _after(self, asked: Floats) -> Floats:
        """Spread the next deadlines after a rush, which equal waits would repeat.

        Orders of one request stay together, so that the next request is full, too.
        """
        apart = self.least + (self.cap - self.least) * (asked * GOLDEN % 1.0)
        return np.where(asked >= self.calm_at, self.cap, apart)


class Deadlines:
    """One panel's deadlines: a bucket queue of real times.

    A check does not move its order: when a deadline has come, the order's deadline is recomputed.
    """

    def __init__(
        self, records: OrderTable, began: float, *, within: float, gap: float, ids_per_minute: float
    ) -> None:
        self.ids_per_minute = ids_per_minute  # what the panel's limit allows
        self.watched = {Phase.OPEN: 0, Phase.GUARDED: 0}
        self.overdue = TimedQueue(records)
        self._records = records
        self._began = began
        self._within, self._gap = within, gap
        # The longest waits if the budget suffices, in seconds, by the codes of phases.
        self._longest = np.full(len(PHASES), within)
        self._longest[GUARDED] = max(within, GUARDED_WITHIN)
        # Orders at the start, and how many of them were late or of unknown last check.
        self._joined, self._late = Counter[Phase](), Counter[Phase]()
        self._buckets = BucketQueue(records)
        self._width = max(0.05, min(0.5, within / 20))  # seconds

    @property
    def needed(self) -> float:
        """The share of the budget that a plain turn of all open orders within `within` takes."""
        return self._seconds(self.watched[Phase.OPEN], 1.0) / self._within

    def cap(self, phase: Phase) -> float:
        """Return the longest wait in this phase, in seconds.

        `within` is kept if a plain turn of all open orders fits into it.
        """
        if phase is Phase.OPEN and self.needed <= 1.0:
            return self._within
        needed = self._seconds(self.watched[phase], SHARES[phase])
        return max(float(self._longest[PHASES.index(phase)]), needed)

    def limits(self, phase: Phase) -> DeadlineRules:
        """Return the phase's deadlines as of now."""
        cap, late, is_open = self.cap(phase), self._late[phase], phase is Phase.OPEN
        late_within = min(cap, self._seconds(late, LATE_SHARES[phase]))
        # Guarded orders are asked about together more often: while the panel stands still.
        calm_at, least = inf, cap / 2
        if is_open:
            is_rush = 2 * late > self._joined[phase]
            calm_at = self._began + cap if is_rush else self._began
            # The tighter the budget, the longer: no second check takes a first one's place.
            least = min(cap, max(self._gap, cap * max(_FIRST, self.needed)))
        return DeadlineRules(
            began=self._began,
            cap=cap,
            late_within=late_within,
            blind_within=max(late_within, cap * _BLIND) if is_open else cap,
            calm_at=calm_at,
            least=least,
        )

    def promised(self, slots: Slots) -> Floats:
        """Return the times by which the orders should be asked about; NaN: not known."""
        records = self._records
        checked_at, phase = np.asarray(records.checked_at)[slots], np.asarray(records.phase)[slots]
        promised: Floats = checked_at + self._longest[phase]
        is_told = checked_at == checked_at
        is_apart = np.asarray(records.failures)[slots] != 0
        is_apart |= np.asarray(records.alone)[slots] != 0
        is_apart |= ~is_told & np.isnan(np.asarray(records.told_at)[slots])
        if is_apart.any():  # these have, or had, a real time
            waits = np.asarray(records.state)[slots] == _WAITING
            due = np.where(waits, np.nan, np.asarray(records.turn)[slots])
            promised = np.where(is_apart, due, promised)
        return promised

    def lag(self, slots: Slots, now: float) -> float:
        """Return the seconds by which the most overdue of the orders is late."""
        return float(np.fmax.reduce(now - self.promised(slots), initial=0.0))

    def enter(self, slot: int, at: float) -> None:
        """Add a new order that will be asked about at this time."""
        phase = self._records.phase_of(slot)
        self.watched[phase] += 1
        self._file(np.array([slot]), np.array([at + self.cap(phase)]))

    def join(self, slots: Slots, shares: Floats, now: float) -> None:
        """Add orders at the start; `shares` (0 to 1) spread those whose last check is not known."""
        phases = np.asarray(self._records.phase)[slots]
        asked = np.asarray(self._records.checked_at)[slots]
        for code, phase in _PHASES:
            self._note_joined(phase, asked[phases == code])
        for code, phase in _PHASES:
            limits, some = self.limits(phase), phases == code
            latest = limits.latest(slots[some], asked[some])
            unknown = now + limits.blind_within * shares[some]
            latest = np.where(np.isnan(asked[some]), unknown, latest)
            self._file(slots[some], latest.clip(now, now + self._within))

    def put_back(self, slots: Slots) -> None:
        """Check these orders' deadlines again: they were asked about in vain."""
        self._file(slots, np.full(len(slots), self._began))

    def call_up(self, now: float) -> None:
        """Move orders past their deadline to `overdue`, some at a time."""
        self.overdue.next_at()  # drops stale entries at the front, which must not count
        if len(self.overdue) < _OVERDUE_AT_ONCE and self._first_at() <= now:
            self._check_due(now)

    def next_at(self, now: float) -> float:
        """Return when to call `call_up` again; infinity if there is no need."""
        if len(self.overdue) >= _OVERDUE_AT_ONCE:
            return inf
        first = self._first_at()
        return first if first > now else now + GO_ON_AFTER

    def _note_joined(self, phase: Phase, asked: Floats) -> None:
        """Count the orders of a start, and those of them that are late."""
        self.watched[phase] += len(asked)
        self._joined[phase] += len(asked)
        late_before = self._began - self.cap(phase)
        self._late[phase] += int(np.count_nonzero(~(asked > late_before)))  # NaN: not known

    def _file(self, slots: Slots, latest: Floats) -> None:
        """Put the orders into the buckets of these times."""
        numbers = latest / self._width
        np.asarray(self._records.filed)[slots] = numbers.astype(int)
        self._buckets.add(numbers, slots)

    def _first_at(self) -> float:
        """Return the time of the first bucket; infinity if there is none."""
        bucket = self._buckets.first()
        return inf if bucket is None else bucket * self._width

    def _check_due(self, now: float) -> None:
        """Check the deadlines of some orders whose bucket is due; skip stale entries."""
        slots, numbers = self._buckets.take(_LOOKED_AT_ONCE, now / self._width)
        filed = np.asarray(self._records.filed)
        is_meant = (np.asarray(self._records.state)[slots] != _OUT) & (filed[slots] == numbers)
        meant = np.unique(slots[is_meant])  # an order that left and came back was filed twice
        filed[meant] = NONE
        phases = np.asarray(self._records.phase)[meant]
        for code, phase in _PHASES:
            some = meant[phases == code]
            if len(some):
                self._hold(some, self.limits(phase), now)

    def _hold(self, slots: Slots, limits: DeadlineRules, now: float) -> None:
        """Move orders past their deadline to `overdue`, and file each order anew."""
        checked_at = np.asarray(self._records.checked_at)[slots]
        latest = limits.latest(slots, checked_at)
        is_early = latest > now + self._width
        is_over = ~is_early & ~(checked_at + self._gap > now)
        again = np.where(is_early, latest, now + self._width)
        if is_over.any():
            asked_now = np.full(np.count_nonzero(is_over), now)
            again[is_over] = limits.latest(slots[is_over], asked_now)
        # Not later than for an open order: a guarded one may have reopened by then.
        self._file(slots, np.minimum(again, now + self._within))
        for slot, since in zip(slots[is_over].tolist(), latest[is_over].tolist(), strict=True):
            if self._records.state[slot] == _WAITING:
                self.overdue.add(slot, since)

    def _seconds(self, orders: int, share: float) -> float:
        """Return the seconds that it takes to check so many orders with a share of the budget."""
        return 60.0 * orders / (share * max(self.ids_per_minute, 1e-9))

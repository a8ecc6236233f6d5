"""How long an order waits for its check at the most, and how this is made good after a start."""

from collections import Counter
from collections.abc import Sequence
from math import inf

import msgspec

from watcher.cadence.appointments import Appointments
from watcher.cadence.buckets import Buckets
from watcher.cadence.entries import State
from watcher.model import Phase
from watcher.records import GUARDED, NONE, OPEN, PHASES, Records

GUARDED_WITHIN = 12 * 3600.0  # seconds: no finished order waits longer, if the budget allows it
# Of the budget, which caps may take at the most: caps that no budget can meet would ruin it.
SHARES = {Phase.OPEN: 0.2, Phase.GUARDED: 0.1}
LATE_SHARES = {Phase.OPEN: 0.5, Phase.GUARDED: 0.1}  # the same after a start
_BLIND = 0.05  # of its cap, in which an open order is asked about when its last check is not known
_FIRST = 0.25  # of its cap, which an order that was late at a start waits then at the least
_OVERDUE_AT_ONCE = 1000  # orders over their caps that are called up before others are looked for
_LOOKED_AT_ONCE = 500  # at so many is looked whether they are over: a millisecond or two
GO_ON_AFTER = 0.01  # seconds; others run meanwhile
_GOLDEN = (5.0**0.5 - 1.0) / 2.0  # its multiples, without their whole part, lie evenly in 0 to 1

_OUT, _WAITING = int(State.OUT), int(State.WAITING)
_PHASES = ((OPEN, Phase.OPEN), (GUARDED, Phase.GUARDED))


class Limits(msgspec.Struct, frozen=True, gc=False):
    """Of the orders of one phase at one panel. All in seconds; `began` and `calm_at` Unix time."""

    began: float  # the start
    cap: float
    late_within: float  # the start's late orders are asked about in this time,
    blind_within: float  # and those of which is not on record when they were asked about
    calm_at: float  # who is asked about before waits differently long for the next time,
    least: float  # for so long at the least

    def latest(self, slot: int, asked: float) -> float:
        """When the order is to be asked about again that was asked about then (NaN: not known)."""
        if asked >= self.began:
            return asked + self._after(asked)
        spread = slot * 619 % 1024 / 1024
        if asked != asked:
            return self.began + self.blind_within * spread
        return max(asked + self.cap, self.began + self.late_within * spread)

    def _after(self, asked: float) -> float:
        """Where most were late and asked about at once, their caps would come together ever after.

        So their next ones come apart, but not those of one request: the next is full, too.
        """
        if asked >= self.calm_at:
            return self.cap
        return self.least + (self.cap - self.least) * (asked * _GOLDEN % 1.0)


class Caps:
    """One panel's orders in buckets of real time: who has waited for as long as it may?

    An order that is asked about is not filed anew: it is looked at when its time has come.
    """

    def __init__(
        self, records: Records, began: float, *, within: float, gap: float, ids_per_minute: float
    ) -> None:
        self.ids_per_minute = ids_per_minute  # what the panel's limit allows
        self.watched = {Phase.OPEN: 0, Phase.GUARDED: 0}
        self.overdue = Appointments(records)
        self._records = records
        self._began = began
        self._within, self._gap = within, gap
        # That joined at the start, and of these had waited for too long or nobody knows how long.
        self._joined, self._late = Counter[Phase](), Counter[Phase]()
        self._buckets = Buckets(records)
        self._width = max(0.05, min(0.5, within / 20))  # seconds

    def cap(self, phase: Phase) -> float:
        """Seconds that one of these orders waits at the most: as promised, in a large budget."""
        needed = self._seconds(self.watched[phase], SHARES[phase])
        return max(self.promise(PHASES.index(phase)), needed)

    def limits(self, phase: Phase) -> Limits:
        """What holds for one of these orders now."""
        cap, late, is_open = self.cap(phase), self._late[phase], phase is Phase.OPEN
        late_within = min(cap, self._seconds(late, LATE_SHARES[phase]))
        is_rush = is_open and 2 * late > self._joined[phase]
        return Limits(
            began=self._began,
            cap=cap,
            late_within=late_within,
            blind_within=max(late_within, cap * _BLIND) if is_open else cap,
            calm_at=self._began + cap if is_rush else self._began,
            least=min(cap, max(self._gap, _FIRST * cap)),
        )

    def promise(self, phase: int) -> float:
        """Seconds that an order in the phase of this code waits, if the budget allows it."""
        return max(self._within, GUARDED_WITHIN) if phase == GUARDED else self._within

    def enter(self, slot: int, at: float) -> None:
        """A new order, which is to be asked about at that time."""
        phase = self._records.phase_of(slot)
        self.watched[phase] += 1
        self._file(slot, at + self.cap(phase))

    def join(self, slots: Sequence[int], shares: Sequence[float], now: float) -> None:
        """Many at once, on record; each comes so far (0 to 1) into the time for the unknown."""
        self._note_joined(slots)
        records, limits = self._records, self._limits()
        filed, checked_at, phase = records.filed, records.checked_at, records.phase
        for slot, share in zip(slots, shares, strict=True):
            limit, asked = limits[phase[slot]], checked_at[slot]
            latest = (
                limit.latest(slot, asked) if asked == asked else now + limit.blind_within * share
            )
            filed[slot] = int(min(max(latest, now), now + self._within) / self._width)
        self._buckets.add_all([filed[slot] for slot in slots], slots)

    def call_up(self, now: float) -> None:
        """Those that are over their caps are overdue: some of them, if they are many."""
        self.overdue.next_at()  # so that none counts that is stale, unless one is due before it
        left = _LOOKED_AT_ONCE
        while left and len(self.overdue) < _OVERDUE_AT_ONCE and self._first_at() <= now:
            left -= self._look(now, left)

    def next_at(self, now: float) -> float:
        """When some are to be called up; infinity where none are, or enough are overdue."""
        if len(self.overdue) >= _OVERDUE_AT_ONCE:
            return inf
        first = self._first_at()
        return first if first > now else now + GO_ON_AFTER

    def _limits(self) -> dict[int, Limits]:
        """By the phase's code."""
        return {code: self.limits(phase) for code, phase in _PHASES}

    def _note_joined(self, slots: Sequence[int]) -> None:
        """How many there are, and how many of them are late."""
        checked_at, phases = self._records.checked_at, self._records.phase
        for code, phase in _PHASES:
            times = [checked_at[slot] for slot in slots if phases[slot] == code]
            self.watched[phase] += len(times)
            late_before = self._began - self.cap(phase)
            self._joined[phase] += len(times)
            self._late[phase] += sum(not at > late_before for at in times)  # NaN: not known

    def _file(self, slot: int, latest: float) -> None:
        """Look at the order then."""
        number = self._records.filed[slot] = int(latest / self._width)
        self._buckets.add(number, slot)

    def _first_at(self) -> float:
        """When orders are to be looked at again; infinity where there are none."""
        bucket = self._buckets.first()
        return inf if bucket is None else bucket * self._width

    def _look(self, now: float, limit: int) -> int:
        """At so many, of the first bucket; a slot that is filed elsewhere by now is not meant."""
        records, number, limits = self._records, self._buckets.first(), self._limits()
        some = self._buckets.take(limit)
        for slot in some:
            if records.state[slot] != _OUT and records.filed[slot] == number:
                records.filed[slot] = NONE
                self._hold(slot, limits[records.phase[slot]], now)
        return len(some)

    def _hold(self, slot: int, limits: Limits, now: float) -> None:
        """Call the order up where it is over its cap, and look at it again."""
        checked_at, state = self._records.checked_at[slot], self._records.state[slot]
        latest = limits.latest(slot, checked_at)
        if latest > now + self._width:
            # Not later than an open order's: a guarded one may be open again by then.
            self._file(slot, min(latest, now + self._within))
            return
        if checked_at + self._gap > now:
            self._file(slot, now + self._width)
            return
        self._file(slot, min(limits.latest(slot, now), now + self._within))
        if state == _WAITING:
            self.overdue.add(slot, latest)

    def _seconds(self, orders: int, share: float) -> float:
        """That it takes to ask about so many with this share of the budget."""
        return 60.0 * orders / (share * max(self.ids_per_minute, 1e-9))

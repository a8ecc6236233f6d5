"""One panel's watched orders: in columns, in their schedule, and what they have taught."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf, nan

import msgspec

from watcher.cadence import (
    Agenda,
    Entry,
    Learnt,
    Prospect,
    prospect,
    status_class,
    unchanged,
    wait_of,
)
from watcher.model import Order
from watcher.records import OPEN, OrderRows, Records

_COUNTED_AT_ONCE = 2_000  # orders in one slice of a census: some milliseconds
MOST_STALLED = 10_000  # whose keys a census has


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """What one panel's shelf holds at a moment."""

    due: int = 0
    oldest_due: float | None = None
    oldest_open: float | None = None
    stalled: int = 0
    open: int = 0
    guarded: int = 0
    stalled_keys: "array[int]" = msgspec.field(  # of some of the stalled, in no order
        default_factory=lambda: array("q")
    )


class Batch(msgspec.Struct, frozen=True, gc=False):
    """The orders of one request: their ids, where they are, and what stands for their last rows.

    `numbers` are what was in the slots, which may be given to other orders meanwhile.
    """

    ids: list[str]
    slots: list[int]
    numbers: list[int]
    marks: list[int]
    late: float  # seconds by which the latest of them is late


NOTHING = Batch([], [], [], [], 0.0)


class Sight(msgspec.Struct, frozen=True, gc=False):
    """An order as it was when something was learnt of it, and what its schedule said then."""

    order: Order
    asked: float | None  # when its panel told of it last, as far as that is known
    started: float | None  # seen in progress since
    failures: int
    alone: bool


class Shelf:
    """One panel's orders."""

    number = -1  # until the book gives it one

    def __init__(self, agenda: Agenda, learnt: Learnt) -> None:
        self.agenda = agenda
        self.learnt = learnt
        self.records: Records = agenda.records

    def is_watched(self, slot: int) -> bool:
        return self.records.state[slot] != 0

    def fill(self, rows: OrderRows, now: float, random: Callable[[], float]) -> None:
        records, agenda, learnt = self.records, self.agenda, self.learnt
        told: list[int] = []
        for slot in records.extend(rows):
            told_at, asked_at = records.told_at[slot], records.checked_at[slot]
            if told_at <= now:
                told.append(slot)
                records.checked_at[slot] = max(told_at, asked_at) if asked_at <= now else nan
            else:  # never, or written before the clock was set back
                agenda.appoint(slot, now)
                records.checked_at[slot] = nan
        waits = [wait_of(learnt, records, slot, now) for slot in told]
        agenda.join(told, waits, [random() for _ in told], now)

    def take(self, limit: int, now: float) -> Batch:
        slots = self.agenda.take(limit, now)
        if not slots:
            return NOTHING
        number, mark = self.records.number, self.records.mark
        return Batch(
            ids=self.records.ids(slots),
            slots=slots,
            numbers=[number[slot] for slot in slots],
            marks=[mark[slot] for slot in slots],
            late=self.agenda.lag(slots, now),
        )

    def unchanged(self, batch: Batch, which: Sequence[int], now: float) -> None:
        number, slots = self.records.number, batch.slots
        if [number[slot] for slot in slots] != batch.numbers:  # an order left, another came
            which = [at for at in which if number[slots[at]] == batch.numbers[at]]
        unchanged(self.agenda, self.learnt, [slots[at] for at in which], now)

    def sight(self, slot: int) -> Sight:
        entry = Entry(self.records, slot)
        return Sight(entry.order, entry.checked_at, entry.started, entry.failures, entry.alone)

    def checked(self, slot: int, sight: Sight, after: Order, now: float) -> None:
        records = self.records
        if after is not sight.order:
            started = _started(sight, after, now)
            records.started[slot] = nan if started is None else started
        records.failures[slot] = records.alone[slot] = 0
        self.agenda.answered(slot, wait_of(self.learnt, records, slot, now), now)

    def asked(self) -> Iterator[tuple[Sequence[int], Sequence[float]]]:
        """The orders' keys and when each was asked about, slice by slice; NaN: not known."""
        keys, times = self.records.key, self.records.checked_at
        for start in range(0, len(keys), _COUNTED_AT_ONCE):
            end = start + _COUNTED_AT_ONCE
            yield keys[start:end], times[start:end]

    def prospect(self, slot: int, now: float) -> Prospect:
        return prospect(self.agenda, self.learnt, Entry(self.records, slot), now)

    def census(self, now: float, stalled_before: float) -> Iterator[Census]:
        census = Census()
        slots = list(self.records.slots())
        for start in range(0, max(1, len(slots)), _COUNTED_AT_ONCE):
            some = slots[start : start + _COUNTED_AT_ONCE]
            census = _count(census, self.agenda, some, now, stalled_before)
            yield census


def _started(sight: Sight, after: Order, now: float) -> float | None:
    """Since when the order is seen in progress, as was learnt at `now`."""
    if status_class(after.status) != 1:
        return None
    if status_class(sight.order.status) == 1:
        return sight.started
    if sight.asked is not None:
        return (now + sight.asked) / 2
    return now if sight.order.checked_at is not None else None


def _count(
    so_far: Census, agenda: Agenda, slots: Iterable[int], now: float, stalled_before: float
) -> Census:
    due, stalled, open_orders, guarded = so_far.due, so_far.stalled, so_far.open, so_far.guarded
    oldest_due = inf if so_far.oldest_due is None else so_far.oldest_due
    oldest_open = inf if so_far.oldest_open is None else so_far.oldest_open
    records, keys = agenda.records, so_far.stalled_keys
    for slot in slots:
        if not records.state[slot]:  # it has left meanwhile
            continue
        promised = agenda.promised_at(slot)
        if promised is not None and promised <= now:
            due += 1
            if promised < oldest_due:
                oldest_due = promised
        if records.phase[slot] != OPEN:
            guarded += 1
            continue
        open_orders += 1
        if records.progressed_at[slot] < stalled_before:
            stalled += 1
            if len(keys) < MOST_STALLED:
                keys.append(records.key[slot])
        if records.submitted_at[slot] < oldest_open:
            oldest_open = records.submitted_at[slot]
    return Census(
        due=due,
        oldest_due=None if oldest_due == inf else oldest_due,
        oldest_open=None if oldest_open == inf else oldest_open,
        stalled=stalled,
        open=open_orders,
        guarded=guarded,
        stalled_keys=keys,
    )

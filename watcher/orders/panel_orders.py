"""One panel's watched orders: in columns, in their schedule, and what they have taught."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf, nan

import msgspec
import numpy as np
from numpy.typing import NDArray

from watcher.model import Observation, Order, RowError
from watcher.orders.columns.table import OPEN, OrderRows, OrderTable
from watcher.orders.lifecycle import says_nothing_new
from watcher.orders.schedule import (
    Entry,
    Forecast,
    HazardModel,
    PollQueue,
    prospect,
    status_class,
    unchanged,
    units,
    waits,
)

_COUNTED_AT_ONCE = 2_000  # orders in one slice of a census: some milliseconds
MOST_STALLED = 10_000  # whose keys a census has


class PanelCounts(msgspec.Struct, frozen=True, kw_only=True):
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
    slots: NDArray[np.intp]
    numbers: NDArray[np.int64]
    marks: list[int]
    late: float  # seconds by which the latest of them is late


NOTHING = Batch([], np.zeros(0, np.intp), np.zeros(0, np.int64), [], 0.0)


class OrderGlimpse(msgspec.Struct, frozen=True, gc=False):
    """An order as it was when something was learnt of it, and what its schedule said then."""

    order: Order
    asked: float | None  # when its panel told of it last, as far as that is known
    started: float | None  # seen in progress since
    failures: int
    alone: bool


class PanelOrders:
    """One panel's orders."""

    number = -1  # until the book gives it one

    def __init__(self, poll_queue: PollQueue, learnt: HazardModel) -> None:
        self.poll_queue = poll_queue
        self.learnt = learnt
        self.records: OrderTable = poll_queue.records

    def is_watched(self, slot: int) -> bool:
        return self.records.state[slot] != 0

    def fill(self, rows: OrderRows, now: float, random: Callable[[], float]) -> None:
        records, poll_queue = self.records, self.poll_queue
        added = records.extend(rows)
        slots = np.arange(added.start, added.stop)
        told_at, checked_at = np.asarray(records.told_at)[slots], np.asarray(records.checked_at)
        asked_at = checked_at[slots]
        checked_at[slots] = np.where(asked_at <= now, np.maximum(told_at, asked_at), nan)
        is_told = told_at <= now  # else never, or written before the clock was set back
        checked_at[slots[~is_told]] = nan
        for slot in slots[~is_told].tolist():
            poll_queue.appoint(slot, now)
        told = slots[is_told]
        shares = [random() for _ in range(len(told))]
        poll_queue.join(told, waits(self.learnt, records, told, now), shares, now)

    def take(self, limit: int, now: float) -> Batch:
        taken = self.poll_queue.take(limit, now)
        if not taken:
            return NOTHING
        slots = np.array(taken, dtype=np.intp)
        return Batch(
            ids=self.records.ids(taken),
            slots=slots,
            numbers=np.asarray(self.records.number)[slots],
            marks=np.asarray(self.records.mark)[slots].tolist(),
            late=self.poll_queue.lag(slots, now),
        )

    def same(
        self,
        batch: Batch,
        old: Sequence[int],
        rows: Mapping[str, Observation | RowError],
        marks: Mapping[str, int],
    ) -> list[int]:
        records, known, found = self.records, set(old), list(old)
        slots, numbers = batch.slots.tolist(), batch.numbers.tolist()
        for at, order_id in enumerate(batch.ids):
            seen = None if at in known else rows.get(order_id)
            if not isinstance(seen, Observation) or records.number[slots[at]] != numbers[at]:
                continue
            told = records.told(slots[at])
            if told is not None and says_nothing_new(told, seen):
                records.mark[slots[at]] = marks.get(order_id, 0)
                found.append(at)
        return found

    def unchanged(self, batch: Batch, which: Sequence[int], now: float) -> None:
        at = np.array(which, dtype=np.intp)
        slots = batch.slots[at]
        # Where an order left, another may have come.
        is_same = np.asarray(self.records.number)[slots] == batch.numbers[at]
        unchanged(self.poll_queue, self.learnt, slots[is_same], now)

    def sight(self, slot: int) -> OrderGlimpse:
        entry = Entry(self.records, slot)
        return OrderGlimpse(
            entry.order, entry.checked_at, entry.started, entry.failures, entry.alone
        )

    def checked(self, slot: int, sight: OrderGlimpse, after: Order, now: float) -> None:
        records = self.records
        if after is not sight.order:
            started = _started(sight, after, now)
            records.started[slot] = nan if started is None else started
        records.failures[slot] = records.alone[slot] = 0
        started = Entry(records, slot).started
        self.poll_queue.answered(slot, units(self.learnt, after, started, now), now)

    def asked(self) -> Iterator[tuple[Sequence[int], Sequence[float]]]:
        """The orders' keys and when each was asked about, slice by slice; NaN: not known."""
        keys, times = self.records.key, self.records.checked_at
        for start in range(0, len(keys), _COUNTED_AT_ONCE):
            end = start + _COUNTED_AT_ONCE
            yield keys[start:end], times[start:end]

    def prospect(self, slot: int, now: float) -> Forecast:
        return prospect(self.poll_queue, self.learnt, Entry(self.records, slot), now)

    def panel_counts(self, now: float, stalled_before: float) -> Iterator[PanelCounts]:
        panel_counts = PanelCounts()
        for start in range(0, max(1, len(self.records.number)), _COUNTED_AT_ONCE):
            end = min(start + _COUNTED_AT_ONCE, len(self.records.number))
            panel_counts = _count(
                panel_counts, self.poll_queue, np.arange(start, end), now, stalled_before
            )
            yield panel_counts


def _started(sight: OrderGlimpse, after: Order, now: float) -> float | None:
    """Since when the order is seen in progress, as was learnt at `now`."""
    if status_class(after.status) != 1:
        return None
    if status_class(sight.order.status) == 1:
        return sight.started
    if sight.asked is not None:
        return (now + sight.asked) / 2
    return now if sight.order.checked_at is not None else None


def _count(
    so_far: PanelCounts,
    poll_queue: PollQueue,
    slots: NDArray[np.intp],
    now: float,
    stalled_before: float,
) -> PanelCounts:
    records = poll_queue.records
    slots = slots[np.asarray(records.state)[slots] != 0]  # the others are not watched
    promised = poll_queue.promised(slots)
    due = promised[promised <= now]
    still_open = slots[np.asarray(records.phase)[slots] == OPEN]
    stalled = still_open[np.asarray(records.progressed_at)[still_open] < stalled_before]
    keys = so_far.stalled_keys
    keys.extend(np.asarray(records.key)[stalled][: MOST_STALLED - len(keys)].tolist())
    return PanelCounts(
        due=so_far.due + len(due),
        oldest_due=_oldest(so_far.oldest_due, due),
        oldest_open=_oldest(so_far.oldest_open, np.asarray(records.submitted_at)[still_open]),
        stalled=so_far.stalled + len(stalled),
        open=so_far.open + len(still_open),
        guarded=so_far.guarded + len(slots) - len(still_open),
        stalled_keys=keys,
    )


def _oldest(so_far: float | None, times: NDArray[np.float64]) -> float | None:
    oldest = float(times.min(initial=inf if so_far is None else so_far))
    return None if oldest == inf else oldest

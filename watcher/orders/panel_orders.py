"""One panel's watched orders: their columns, their schedule and the model of their hazards."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import nan

import msgspec
import numpy as np
from numpy.typing import NDArray

from watcher.model import FINAL, REFILL_FINAL, Observation, Order, Phase, Refill, RowError
from watcher.orders.columns.table import OrderRows, OrderTable
from watcher.orders.lifecycle import says_nothing_new
from watcher.orders.schedule import (
    GOLDEN,
    Entry,
    Forecast,
    HazardModel,
    OrderGlimpse,
    PollQueue,
    glimpses,
    predict,
    refill_units,
    sooner,
    status_class,
    unchanged,
    waits,
)

_AT_ONCE = 2_000  # orders in one slice: less than a millisecond


class Batch(msgspec.Struct, frozen=True, gc=False):
    """The orders of one request.

    `numbers` identify the orders in the slots, since slots may be reused meanwhile. `marks` are the
    hashes of the orders' last rows.
    """

    ids: list[str]
    slots: NDArray[np.intp]
    numbers: NDArray[np.int64]
    marks: list[int]
    late: float  # seconds by which the most overdue one is late


NOTHING = Batch([], np.zeros(0, np.intp), np.zeros(0, np.int64), [], 0.0)


class PanelOrders:
    """One panel's orders. Methods ignore ids that are not watched."""

    number = -1  # until the watchlist assigns one

    def __init__(self, poll_queue: PollQueue, learnt: HazardModel) -> None:
        self.poll_queue = poll_queue
        self.learnt = learnt
        self.records: OrderTable = poll_queue.records
        self._turned_at = poll_queue.standstill.turned_at  # the last one after which these slots
        self._to_resume = range(0)  # are still to be ranked anew
        self._share = 0.0

    def is_watched(self, slot: int) -> bool:
        """Return whether the slot has an order."""
        return self.records.state[slot] != 0

    def entry(self, order_id: str) -> Entry | None:
        """Return the order's place in the schedule; None if it is not watched."""
        slot = self.records.find(order_id)
        return None if slot is None else Entry(self.records, slot)

    def order(self, order_id: str) -> Order | None:
        """Return the order; None if it is not watched."""
        slot = self.records.find(order_id)
        return None if slot is None else self.records.order(slot)

    def orders(self) -> Iterator[Order]:
        """Yield every order; changes during the iteration may be missed."""
        return (self.records.order(slot) for slot in self.records.slots() if self.is_watched(slot))

    def fill(self, rows: OrderRows, now: float) -> None:
        """Add very many orders, none of which is watched yet. Their checks are spread."""
        records, poll_queue = self.records, self.poll_queue
        added = records.extend(rows)
        slots = np.arange(added.start, added.stop)
        told_at, checked_at = np.asarray(records.told_at)[slots], np.asarray(records.checked_at)
        asked_at = checked_at[slots]
        checked_at[slots] = np.where(asked_at <= now, np.maximum(told_at, asked_at), nan)
        # Others were never answered about, or are from before the clock was set back.
        is_answered = told_at <= now
        checked_at[slots[~is_answered]] = nan
        for slot in slots[~is_answered].tolist():
            poll_queue.appoint(slot, now)
        answered = slots[is_answered]
        shares = self._next_shares(len(answered))
        poll_queue.join(answered, self._waits(answered, now), shares, now)

    def take(self, limit: int, now: float) -> Batch:
        """Take the orders of the next request: those due, filled with the next-due up to `limit`.

        They stay under way until `unchanged`, `checked`, `refused` or `put_back`.
        """
        if self._to_resume or self._turned_at != self.poll_queue.standstill.turned_at:
            self._resume()
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
        """Return the positions in the batch of orders for which an answer has nothing new.

        These are the `old` ones, and those whose row equals what is recorded; stores the `marks`
        of the latter.
        """
        records, known, found = self.records, set(old), list(old)
        slots, numbers = batch.slots.tolist(), batch.numbers.tolist()
        for at, order_id in enumerate(batch.ids):
            seen = None if at in known else rows.get(order_id)
            if not isinstance(seen, Observation) or records.number[slots[at]] != numbers[at]:
                continue
            last = records.last_observation(slots[at])
            if last is not None and says_nothing_new(last, seen):
                records.mark[slots[at]] = marks.get(order_id, 0)
                found.append(at)
        return found

    def unchanged(self, batch: Batch, which: Sequence[int], now: float) -> None:
        """Note an answer of `now` with nothing new for these orders (positions in the batch)."""
        at = np.array(which, dtype=np.intp)
        slots = batch.slots[at]
        # Another order may have taken the slot of one that left.
        is_same = np.asarray(self.records.number)[slots] == batch.numbers[at]
        unchanged(self.poll_queue, self.learnt, slots[is_same], now)

    def glimpses(self, ids: Iterable[str]) -> dict[str, OrderGlimpse]:
        """Return the orders as they are before an answer is recorded."""
        found = {order_id: self.records.find(order_id) for order_id in ids}
        known = {order_id: slot for order_id, slot in found.items() if slot is not None}
        slots = np.array([*known.values()], dtype=np.intp)
        return dict(zip(known, glimpses(self.learnt, self.records, slots), strict=True))

    def checked(self, answers: Iterable[tuple[OrderGlimpse, Order, int]], now: float) -> None:
        """Learn from answers of `now`, and reschedule the orders.

        For each: the order before, the order as recorded now, and the row's mark.
        """
        records, slots, joins, seen = self.records, list[int](), list[bool](), 0
        moved_at = self.poll_queue.standstill.moved_at
        for glimpse, after, mark in answers:
            asked = glimpse.asked
            seen += asked is not None and asked >= moved_at and _has_moved(glimpse.order, after)
            self.learnt.answered(glimpse, after, now)
            slot = records.find(after.id)
            if slot is None:
                continue
            if after is not glimpse.order:
                started = _started(glimpse, after, now)
                records.started[slot] = nan if started is None else started
            records.failures[slot] = records.alone[slot] = 0
            records.mark[slot] = mark
            slots.append(slot)
            joins.append(_joins(glimpse, after))
        if seen:
            self.poll_queue.standstill.note(0.0, seen, now)
        where, shares = np.array(slots, dtype=np.intp), np.ones(len(slots))
        shares[joins] = self._next_shares(sum(joins))
        self.poll_queue.answered(where, self._waits(where, now) * shares, now)

    def refused(self, order_id: str, due: float, *, alone: bool) -> None:
        """Note that the panel refused the id or left it out; `alone`: it spoils a whole batch."""
        slot = self.records.find(order_id)
        if slot is not None:
            self.records.failures[slot] += 1
            self.records.alone[slot] = alone
            self.poll_queue.urgent.leave([slot])
            self.poll_queue.appoint(slot, due)

    def put_back(self, ids: Iterable[str]) -> None:
        """Put orders that were taken and not answered first in the queue again."""
        found = (self.records.find(order_id) for order_id in ids)
        self.poll_queue.put_back([slot for slot in found if slot is not None])

    def hasten(self, order_id: str, due: float, now: float) -> None:
        """Check the order at `due`, unless a check is under way or due sooner."""
        slot = self.records.find(order_id)
        if slot is not None:
            self.poll_queue.hasten(slot, due, now)

    def want(self, order_id: str, now: float) -> None:
        """Check the order with the next request, ahead of all others, until it is answered."""
        slot = self.records.find(order_id)
        if slot is not None:
            self.poll_queue.urgent.want(slot, now)

    def next_refill_check(self, refill: Refill, now: float) -> float:
        """Return when to ask about the refill task again."""
        wait = refill_units(self.learnt, self._service_of(refill), refill.requested_at, now)
        return now + self.poll_queue.seconds(wait, self.poll_queue.within)

    def refill_checked(self, refill: Refill, asked: float, now: float) -> None:
        """Learn from an answer about a refill task that was open at `asked`."""
        is_final = refill.status in REFILL_FINAL
        service = self._service_of(refill)
        self.learnt.refill_answered(service, refill.requested_at, asked, now, changed=is_final)

    def refill_accepted(self, order_id: str) -> None:
        """Learn that the panel accepted a refill: a finished order had changed, seen or not."""
        order = self.order(order_id)
        if order is not None and order.phase is Phase.GUARDED:
            self.learnt.count_guarded(order.service)

    def next_check(self, order_id: str, now: float) -> float | None:
        """Return when the order is expected to be checked next."""
        slot = self.records.find(order_id)
        return None if slot is None else self.poll_queue.expected_at(slot, now)

    def predict(self, order_id: str, now: float) -> Forecast | None:
        """Return when and why the order will be checked next; None if it is not watched."""
        entry = self.entry(order_id)
        return predict(self.poll_queue, self.learnt, entry, now) if entry else None

    def upcoming(self, count: int, now: float) -> list[tuple[float, str]]:
        """Return the expected times and the ids of the orders that are checked first."""
        return [(at, self.records.id(slot)) for at, slot in self.poll_queue.upcoming(count, now)]

    def asked(self) -> Iterator[tuple[Sequence[int], Sequence[float]]]:
        """Yield the orders' keys and when each was asked about; NaN: not known."""
        keys, times = self.records.key, self.records.checked_at
        for start in range(0, len(keys), _AT_ONCE):
            yield keys[start : start + _AT_ONCE], times[start : start + _AT_ONCE]

    def _resume(self) -> None:
        """Once the panel stands still, or moves again, rank some of the orders anew."""
        turned_at = self.poll_queue.standstill.turned_at
        if self._turned_at != turned_at:
            self._turned_at, self._to_resume = turned_at, range(len(self.records.number))
        some, self._to_resume = self._to_resume[:_AT_ONCE], self._to_resume[_AT_ONCE:]
        slots = np.array(some, dtype=np.intp)
        slots = slots[np.asarray(self.records.state)[slots] != 0]
        self.poll_queue.resume(slots, sooner(self.poll_queue, self.learnt, slots))

    def _waits(self, slots: NDArray[np.intp], now: float) -> NDArray[np.float64]:
        poll_queue, shown = self.poll_queue, self.poll_queue.standstill.clock(now)
        return waits(self.learnt, self.records, slots, shown, poll_queue.time.minutes_a_unit)

    def _next_shares(self, count: int) -> NDArray[np.float64]:
        """Return shares (0 to 1) of waits, by which orders that came together part."""
        shares = (self._share + GOLDEN * np.arange(count + 1, dtype=np.float64)) % 1.0
        self._share = float(shares[-1])
        return shares[:-1]

    def _service_of(self, refill: Refill) -> str | None:
        order = self.order(refill.order)
        return order.service if order else None


def _joins(glimpse: OrderGlimpse, after: Order) -> bool:
    """Return whether the answer is the first about an older order, or about one as finished.

    Very many orders may be tracked at once. Those that wait equally long would come together again
    and again, ahead of all others.
    """
    if glimpse.asked is None:
        return status_class(after.status) != 0
    return after.status in FINAL and glimpse.order.status not in FINAL


def _has_moved(before: Order, after: Order) -> bool:
    return before.status is not after.status or before.remains != after.remains


def _started(glimpse: OrderGlimpse, after: Order, now: float) -> float | None:
    """Return since when the order is seen in progress, by an answer of `now`."""
    if status_class(after.status) != 1:
        return None
    if status_class(glimpse.order.status) == 1:
        return glimpse.started
    if glimpse.asked is not None:
        return (now + glimpse.asked) / 2
    return now if glimpse.order.checked_at is not None else None

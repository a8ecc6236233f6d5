"""Column store of orders: one column for each field; a row's number is the order's slot.

An `Order` takes some 350 bytes and what it refers to; its row in these columns about 150. `Order`
objects are made on demand. Most answers of panels are unchanged and need none.
"""

from array import array
from collections.abc import Iterator, Sequence
from math import nan

import msgspec
import numpy as np

from watcher.model import Observation, Order, Origin, Phase, Status
from watcher.orders.columns import growth
from watcher.orders.columns.dictionary_column import DictionaryColumn
from watcher.orders.columns.id_index import IdIndex
from watcher.orders.columns.string_pool import StringPool

NONE = growth.NONE  # None in a column of whole numbers; in a column of times it is NaN
STATUSES, PHASES, ORIGINS = tuple(Status), tuple(Phase), tuple(Origin)
_STATUS_CODES = {status.value: code for code, status in enumerate(STATUSES)}
_ORIGIN_CODES: dict[str | None, int] = {o.value: code for code, o in enumerate(ORIGINS)}
_ORIGIN_CODES[None] = _ORIGIN_CODES[Origin.WHOLE.value]
_PHASE_CODES = {phase.value: code for code, phase in enumerate(PHASES)}
OPEN, GUARDED = PHASES.index(Phase.OPEN), PHASES.index(Phase.GUARDED)


class OrderRows(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Orders of one panel as the database holds them: a sequence for each field.

    Statuses and phases are their values, charges are texts. For fields with few distinct values, a
    `DictionaryColumn` is best.
    """

    panel: str
    key: Sequence[int]
    id: Sequence[str]
    service: Sequence[str | None]
    link: Sequence[str | None]
    quantity: Sequence[int | None]
    submitted_at: Sequence[float]
    status: Sequence[str]
    status_text: Sequence[str | None]
    charge: Sequence[str | None]
    currency: Sequence[str | None]
    start_count: Sequence[int | None]
    remains: Sequence[int | None]
    count: Sequence[int | None]
    phase: Sequence[str]
    progressed_at: Sequence[float]
    finished_at: Sequence[float | None]
    checked_at: Sequence[float | None]
    problem: Sequence[str | None]
    refills: Sequence[int]
    origin: Sequence[str | None]
    asked_at: Sequence[float]  # NaN: not known


class OrderTable:
    """Orders of one panel. The slot of a removed order is reused.

    The second half of the columns belongs to the schedule (`watcher.orders.schedule`); they begin
    as 0 and NaN.
    """

    def __init__(self, panel: str) -> None:
        self.panel = panel
        self.words = StringPool()
        self.links: dict[int, str] = {}
        self._whole, self._times = [array("q") for _ in range(7)], [array("d") for _ in range(7)]
        self._words = [array("I") for _ in range(5)]
        self._small = [array("B") for _ in range(5)]
        self.number, self.key, self.quantity, self.start_count = self._whole[:4]
        self.remains, self.count, self.mark = self._whole[4:]
        self.submitted_at, self.progressed_at, self.finished_at, self.told_at = self._times[:4]
        self.turn, self.checked_at, self.started = self._times[4:]
        self.service, self.status_text, self.charge, self.currency, self.problem = self._words
        self.status, self.phase, self.origin, self.state, self.alone = self._small
        self.refills, self.failures = array("I"), array("H")
        self.filed, self.look = array("q"), array("q")
        self._ids = IdIndex(self.number)
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self.number) - len(self._free)

    def slots(self) -> Iterator[int]:
        """Yield every slot in use."""
        free = set(self._free)
        return (slot for slot in range(len(self.number)) if slot not in free)

    def find(self, order_id: str) -> int | None:
        """Return the order's slot, None if it is not here."""
        return self._ids.find(order_id)

    def id(self, slot: int) -> str:
        """Return the id of the order in the slot."""
        return self._ids.text(slot)

    def ids(self, slots: Sequence[int]) -> list[str]:
        """Return the ids of the orders in the slots."""
        numbers = np.asarray(self.number)[slots].tolist()
        return [*map(str, numbers)] if min(numbers) >= 0 else [*map(self._ids.text, slots)]

    def add(self, order: Order) -> int:
        """Add an order that is not here yet; return its slot."""
        if self._free:
            slot = self._free.pop()
            self._clear(slot)
        else:
            slot = len(self.number)
            self._lengthen(1)
        self._ids.add(order.id, slot)
        self.write(slot, order)
        return slot

    def extend(self, rows: OrderRows) -> range:
        """Add orders that are not here yet; return their slots."""
        first, more = len(self.number), len(rows.id)
        word, amount = self.words.code.__getitem__, self.words.amount.__getitem__
        self._ids.extend(rows.id, first)
        self.key.extend(rows.key)
        self.quantity.extend(growth.whole(rows.quantity))
        self.start_count.extend(growth.whole(rows.start_count))
        self.remains.extend(growth.whole(rows.remains))
        self.count.extend(growth.whole(rows.count))
        self.submitted_at.extend(rows.submitted_at)
        self.progressed_at.extend(rows.progressed_at)
        self.finished_at.extend(growth.times(rows.finished_at))
        self.told_at.extend(growth.times(rows.checked_at))
        self.service.frombytes(DictionaryColumn.of(rows.service).translated(word, "I"))
        self.status_text.frombytes(DictionaryColumn.of(rows.status_text).translated(word, "I"))
        self.charge.frombytes(DictionaryColumn.of(rows.charge).translated(amount, "I"))
        self.currency.frombytes(DictionaryColumn.of(rows.currency).translated(word, "I"))
        self.problem.frombytes(DictionaryColumn.of(rows.problem).translated(word, "I"))
        self.status.frombytes(
            DictionaryColumn.of(rows.status).translated(_STATUS_CODES.__getitem__, "B")
        )
        self.phase.frombytes(
            DictionaryColumn.of(rows.phase).translated(_PHASE_CODES.__getitem__, "B")
        )
        self.origin.frombytes(
            DictionaryColumn.of(rows.origin).translated(_ORIGIN_CODES.__getitem__, "B")
        )
        self.refills.frombytes(DictionaryColumn.of(rows.refills).translated(int, "I"))
        if not growth.is_none(rows.link):
            links = enumerate(rows.link, first)
            self.links.update((slot, link) for slot, link in links if link is not None)
        self._lengthen_schedule(more)
        self.checked_at[first:] = array("d", rows.asked_at)
        return range(first, first + more)

    def write(self, slot: int, order: Order) -> None:
        """Overwrite the order in the slot."""
        self.words.tidy(self._words)
        word, amount = self.words.code, self.words.amount
        self.key[slot] = order.key
        self.quantity[slot] = NONE if order.quantity is None else order.quantity
        self.start_count[slot] = NONE if order.start_count is None else order.start_count
        self.remains[slot] = NONE if order.remains is None else order.remains
        self.count[slot] = NONE if order.count is None else order.count
        self.submitted_at[slot] = order.submitted_at
        self.progressed_at[slot] = order.progressed_at
        self.finished_at[slot] = nan if order.finished_at is None else order.finished_at
        self.told_at[slot] = nan if order.checked_at is None else order.checked_at
        self.service[slot] = word[order.service]
        self.status_text[slot] = word[order.status_text]
        self.charge[slot] = amount[None if order.charge is None else f"{order.charge:f}"]
        self.currency[slot] = word[order.currency]
        self.problem[slot] = word[order.problem]
        self.status[slot] = _STATUS_CODES[order.status]
        self.phase[slot] = _PHASE_CODES[order.phase]
        self.origin[slot] = _ORIGIN_CODES[order.origin]
        self.refills[slot] = order.refills
        self.mark[slot] = 0
        if order.link is not None:
            self.links[slot] = order.link

    def remove(self, slot: int) -> None:
        """Remove the order; the slot may be reused."""
        self._ids.remove(slot)
        self.links.pop(slot, None)
        self.checked_at[slot] = nan
        self._free.append(slot)

    def order(self, slot: int) -> Order:
        """Return the order in the slot."""
        values, link = self.words.values, self.links.get(slot) if self.links else None
        quantity, start_count = self.quantity[slot], self.start_count[slot]
        remains, count = self.remains[slot], self.count[slot]
        finished_at, told_at = self.finished_at[slot], self.told_at[slot]
        return Order(
            panel=self.panel,
            id=self._ids.text(slot),
            key=self.key[slot],
            service=values[self.service[slot]],
            link=link,
            quantity=None if quantity == NONE else quantity,
            submitted_at=self.submitted_at[slot],
            status=STATUSES[self.status[slot]],
            status_text=values[self.status_text[slot]],
            charge=values[self.charge[slot]],
            currency=values[self.currency[slot]],
            start_count=None if start_count == NONE else start_count,
            remains=None if remains == NONE else remains,
            count=None if count == NONE else count,
            phase=PHASES[self.phase[slot]],
            progressed_at=self.progressed_at[slot],
            finished_at=None if finished_at != finished_at else finished_at,
            checked_at=None if told_at != told_at else told_at,
            problem=values[self.problem[slot]],
            refills=self.refills[slot],
            origin=ORIGINS[self.origin[slot]],
        )

    def told(self, slot: int) -> Observation | None:
        """Return the panel's last observation of the order; None while it refuses the id."""
        if self.problem[slot]:
            return None
        values, start_count, remains = self.words.values, self.start_count[slot], self.remains[slot]
        return Observation(
            status=STATUSES[self.status[slot]],
            text=values[self.status_text[slot]],
            charge=values[self.charge[slot]],
            currency=values[self.currency[slot]],
            start_count=None if start_count == NONE else start_count,
            remains=None if remains == NONE else remains,
        )

    def phase_of(self, slot: int) -> Phase:
        """Return the phase of the order in the slot."""
        return PHASES[self.phase[slot]]

    def is_new(self, slot: int) -> bool:
        """Return whether its panel has never answered about the order."""
        told_at, checked_at = self.told_at[slot], self.checked_at[slot]
        return told_at != told_at and checked_at != checked_at

    def _lengthen(self, more: int) -> None:
        for column in (*self._whole[1:6], *self._words, *self._small[:3], self.refills):
            column.extend([0] * more)
        for times in self._times[:4]:
            times.extend(growth.NANS * more)
        self._lengthen_schedule(more)

    def _lengthen_schedule(self, more: int) -> None:
        for column in (self.mark, *self._small[3:], self.failures):
            column.frombytes(bytes(column.itemsize * more))
        for times in self._times[4:]:
            times.extend(growth.NANS * more)
        for column in (self.filed, self.look):
            column.extend(growth.NONES * more)

    def _clear(self, slot: int) -> None:
        for column in (*self._small[3:], self.failures):
            column[slot] = 0
        for times in self._times[4:]:
            times[slot] = nan
        self.filed[slot] = self.look[slot] = NONE

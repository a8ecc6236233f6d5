"""Column store of orders: one column for each field; a row's number is the order's slot.

An `Order` takes some 350 bytes and what it refers to; its row in these columns about 150. `order`
makes one when it is asked for; most answers say nothing new and need none.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from math import nan
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from watcher.model import Observation, Order, Phase, Status
from watcher.orders.columns import optional_numbers
from watcher.orders.columns.id_index import IdIndex
from watcher.orders.columns.kinds import FieldColumn, column_of
from watcher.orders.columns.string_pool import StringPool
from watcher.orders.fields import FIELDS, FieldKind, FieldSource, names_of

NONE = optional_numbers.NONE  # in a column of whole numbers; NaN is it in one of times
STATUSES, PHASES = tuple(Status), tuple(Phase)
OPEN, GUARDED = PHASES.index(Phase.OPEN), PHASES.index(Phase.GUARDED)
_TOLD = names_of(source=FieldSource.PANEL)
_values_of = attrgetter(*names_of())


class OrderRows(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Orders of one panel as the database holds them: a sequence for each field.

    In `fields` statuses and phases are their values, charges texts; texts of one order alone may be
    left out. Where many orders share few values, a `DictionaryColumn` is the best sequence.
    """

    panel: str
    key: Sequence[int]
    id: Sequence[str]
    fields: Mapping[str, Sequence[Any]]
    asked_at: Sequence[float]  # as far as it was written; NaN where that is not known


class OrderTable:
    """Orders of one panel. The slot of a removed order is reused.

    `columns` has the fields of `watcher.orders.fields`; code that reads a column as an array has an
    attribute for it. The other columns belong to the schedule (`watcher.orders.schedule`): they
    begin as 0, as NaN or as NONE.
    """

    def __init__(self, panel: str) -> None:
        self.panel = panel
        self.words = StringPool()
        self.columns: dict[str, FieldColumn] = {
            field.name: column_of(field, self.words) for field in FIELDS
        }
        self._puts = [column.put for column in self.columns.values()]
        self._gets = [(name, column.get) for name, column in self.columns.items()]
        self._told = [(name, self.columns[name].get) for name in _TOLD]
        shared = names_of(FieldKind.WORD, FieldKind.MONEY)
        self._words = [self.columns[name].data for name in shared]
        self.number, self.key = array("q"), array("q")
        self._ids = IdIndex(self.number)
        self._free: list[int] = []
        self._make_views()
        self._make_schedule()

    def _make_views(self) -> None:
        data: dict[str, array[int]] = {name: c.data for name, c in self.columns.items()}
        self.status, self.phase, self.problem = data["status"], data["phase"], data["problem"]
        self.service, self.quantity = data["service"], data["quantity"]
        self.remains = data["remains"]
        times: dict[str, array[float]] = {n: self.columns[n].data for n in names_of(FieldKind.TIME)}
        self.submitted_at, self.progressed_at = times["submitted_at"], times["progressed_at"]
        self.finished_at, self.told_at = times["finished_at"], times["checked_at"]

    def _make_schedule(self) -> None:
        self.mark, self.failures = array("q"), array("H")
        self.state, self.alone = array("B"), array("B")
        self.turn, self.checked_at, self.started = [array("d") for _ in range(3)]
        self.filed, self.look = array("q"), array("q")
        self._zeros = self.mark, self.failures, self.state, self.alone
        self._times = self.turn, self.checked_at, self.started

    def __len__(self) -> int:
        return len(self.number) - len(self._free)

    def slots(self) -> Iterator[int]:
        """Return every slot that has an order."""
        free = set(self._free)
        return (slot for slot in range(len(self.number)) if slot not in free)

    def find(self, order_id: str) -> int | None:
        """Return the order's slot, None where it is not here."""
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
            self.key.append(0)
            for column in self.columns.values():
                column.lengthen()
            self._lengthen_schedule(1)
        self._ids.add(order.id, slot)
        self.write(slot, order)
        return slot

    def extend(self, rows: OrderRows) -> range:
        """Add orders none of which is here yet; return their slots."""
        first, more = len(self.number), len(rows.id)
        self._ids.extend(rows.id, first)
        self.key.extend(rows.key)
        for name, values in rows.fields.items():
            self.columns[name].extend(values, first)
        self._lengthen_schedule(more)
        self.checked_at[first:] = array("d", rows.asked_at)
        return range(first, first + more)

    def write(self, slot: int, order: Order) -> None:
        """Replace what is known of the order in the slot."""
        self.words.tidy(self._words)
        self.key[slot] = order.key
        self.mark[slot] = 0
        for put, value in zip(self._puts, _values_of(order), strict=True):
            put(slot, value)

    def remove(self, slot: int) -> None:
        """Free the slot for another order."""
        self._ids.remove(slot)
        for column in self.columns.values():
            column.forget(slot)
        self.checked_at[slot] = nan
        self._free.append(slot)

    def order(self, slot: int) -> Order:
        """Return the order in the slot."""
        fields = {name: get(slot) for name, get in self._gets}
        fields["panel"], fields["id"] = self.panel, self._ids.text(slot)
        fields["key"] = self.key[slot]
        return Order(**fields)

    def last_observation(self, slot: int) -> Observation | None:
        """Return the last observation of the order; None if the panel refuses to report it."""
        if self.problem[slot]:
            return None
        return Observation(**{name: get(slot) for name, get in self._told})

    def phase_of(self, slot: int) -> Phase:
        """Return the phase of the order in the slot."""
        return PHASES[self.phase[slot]]

    def is_new(self, slot: int) -> bool:
        """Return whether the panel has never reported the order."""
        told_at, checked_at = self.told_at[slot], self.checked_at[slot]
        return told_at != told_at and checked_at != checked_at

    def _lengthen_schedule(self, more: int) -> None:
        for column in self._zeros:
            column.frombytes(bytes(column.itemsize * more))
        for times in self._times:
            times.extend(optional_numbers.NANS * more)
        for column in (self.filed, self.look):
            column.extend(optional_numbers.NONES * more)

    def _clear(self, slot: int) -> None:
        for column in self._zeros:
            column[slot] = 0
        for times in self._times:
            times[slot] = nan
        self.filed[slot] = self.look[slot] = NONE

"""The watched orders of all panels in memory.

The database is the record, the book is the schedule: it is rebuilt at every start.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from math import ceil

import msgspec

from watcher.cadence import Agenda, Entry, Learnt
from watcher.looks import Looks
from watcher.model import Order, Phase
from watcher.records import NONE, STATUSES, OrderRows, Records
from watcher.records.coded import Coded
from watcher.shelf import Shelf

_SLOTS = 2**32  # of a shelf: its number and a slot identify an order


class Book:
    """Open and guarded orders of all panels, and when rules review them."""

    def __init__(self) -> None:
        self.keeps_links = True  # without them an order takes a fifth less memory
        self._shelves: dict[str, Shelf] = {}
        self._by_number: dict[int, Shelf] = {}
        self._numbers = count()
        self._no_orders = Shelf(Agenda(Records(""), 0.0, within=1.0, ids_per_minute=1.0), Learnt(0))
        self._looks = Looks(self._wants_look)
        self.counts: Counter[tuple[str, str]] = Counter()  # (panel, status) -> watched orders

    def open(self, panel: str, agenda: Agenda, learnt: Learnt) -> None:
        """Add a panel without orders."""
        self._shelve(panel, Shelf(agenda, learnt))

    def __contains__(self, panel: str) -> bool:
        return panel in self._shelves

    def panel(self, name: str) -> Shelf:
        """Return the panel's orders; a panel that is not opened has none."""
        return self._shelves.get(name, self._no_orders)

    def entry(self, panel: str, order_id: str) -> Entry | None:
        """Return the order's place in the schedule; None where it is not watched."""
        return self.panel(panel).entry(order_id)

    def order(self, panel: str, order_id: str) -> Order | None:
        """Return the order; None where it is not watched."""
        return self.panel(panel).order(order_id)

    def orders(self) -> Iterator[Order]:
        """Yield every watched order; changes during the iteration may be missed."""
        for shelf in list(self._shelves.values()):
            yield from shelf.orders()

    def asked(self) -> Iterator[tuple[Sequence[int], Sequence[float]]]:
        """Yield the keys of all orders and when each was asked about, slice by slice.

        NaN: not known. Other tasks may run between two slices.
        """
        for shelf in list(self._shelves.values()):
            yield from shelf.asked()

    def add(self, order: Order, at: float) -> None:
        """Watch the order of an opened panel, first checked `at` that time."""
        if order.link is not None and not self.keeps_links:
            order = msgspec.structs.replace(order, link=None)
        shelf = self._shelves[order.panel]
        self.remove(order.panel, order.id)
        shelf.agenda.appoint(shelf.records.add(order), at)
        self.counts[order.panel, order.status] += 1

    def fill(self, rows: OrderRows, now: float, random: Callable[[], float]) -> None:
        """Add very many orders of an opened panel, none of which is known.

        `random` (0 to 1) spreads their checks, so that a start is no rush.
        """
        self._shelves[rows.panel].fill(rows, now, random)
        for status, number in Coded.of(rows.status).counts():
            self.counts[rows.panel, status] += number

    def replace(self, order: Order) -> None:
        """Store the order's new state; removes a closed one."""
        shelf = self.panel(order.panel)
        records, slot = shelf.records, shelf.records.find(order.id)
        if slot is None:
            return
        if order.phase is Phase.CLOSED:
            self.remove(order.panel, order.id)
            return
        before = STATUSES[records.status[slot]]
        if order.status is not before:
            self.counts[order.panel, before] -= 1
            self.counts[order.panel, order.status] += 1
        if order.phase is not (phase := records.phase_of(slot)):
            shelf.agenda.note_phase(phase, -1)
            shelf.agenda.note_phase(order.phase, 1)
        records.write(slot, order)

    def remove(self, panel: str, order_id: str) -> None:
        """Stop watching the order."""
        shelf = self.panel(panel)
        slot = shelf.records.find(order_id)
        if slot is not None:
            self.counts[panel, STATUSES[shelf.records.status[slot]]] -= 1
            shelf.agenda.leave(slot)
            shelf.records.remove(slot)

    def take_over(self, other: "Book") -> None:
        """Move the other book's panels here; each replaces what was known of it."""
        for panel, shelf in other._shelves.items():
            self.drop_panel(panel)
            self._shelve(panel, shelf)
        self.counts.update(other.counts)

    def drop_panel(self, panel: str) -> None:
        """Forget a panel that is no longer configured; its orders stay in the database."""
        shelf = self._shelves.pop(panel, None)
        if shelf is not None:
            del self._by_number[shelf.number]
        for key in [key for key in self.counts if key[0] == panel]:
            del self.counts[key]

    def look_at(self, order: Order, when: float | None) -> None:
        """Set when rules review the order again; None: only when it changes."""
        shelf = self.panel(order.panel)
        slot = shelf.records.find(order.id)
        second = NONE if when is None else ceil(when)
        if slot is None or shelf.records.look[slot] == second:
            return
        shelf.records.look[slot] = second
        if second != NONE:
            self._looks.add(shelf.number * _SLOTS + slot, second)

    def next_look(self) -> float | None:
        """Return when the next order is to be reviewed."""
        return self._looks.next()

    def take_looks(self, now: float, limit: int) -> list[Order]:
        """Take up to `limit` orders that are to be reviewed by now."""
        orders: list[Order] = []
        while len(orders) < limit and (when := self.next_look()) is not None and when <= now:
            number, slot = divmod(self._looks.pop(), _SLOTS)
            records = self._by_number[number].records
            records.look[slot] = NONE
            orders.append(records.order(slot))
        return orders

    def _shelve(self, panel: str, shelf: Shelf) -> None:
        shelf.number = next(self._numbers)
        self._shelves[panel] = self._by_number[shelf.number] = shelf

    def _wants_look(self, wanted: int, second: int) -> bool:
        number, slot = divmod(wanted, _SLOTS)
        shelf = self._by_number.get(number)
        return shelf is not None and shelf.is_watched(slot) and shelf.records.look[slot] == second

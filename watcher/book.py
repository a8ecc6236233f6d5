"""The book of watched orders in memory: what is due next, panel by panel.

The database is the record, the book is the schedule: it is rebuilt at every start.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from math import ceil

import msgspec

from watcher.cadence import Agenda, Entry, Learnt, Prospect, refill_units
from watcher.looks import Looks
from watcher.model import REFILL_FINAL, Observation, Order, Phase, Refill, RowError
from watcher.records import NONE, STATUSES, OrderRows
from watcher.records.coded import Coded
from watcher.shelf import NOTHING, Batch, Census, Shelf, Sight

_SLOTS = 2**32  # a shelf's: its number and a slot together tell an order


class Book:
    """Open and guarded orders of all panels."""

    def __init__(self) -> None:
        self.keeps_links = True  # without them an order takes a fifth less memory
        self._shelves: dict[str, Shelf] = {}
        self._by_number: dict[int, Shelf] = {}
        self._numbers = count()
        self._looks = Looks(self._wants_look)
        self.counts: Counter[tuple[str, str]] = Counter()  # (panel, status) -> watched orders

    def open(self, panel: str, agenda: Agenda, learnt: Learnt) -> None:
        """Take up a panel: its schedule, and what its orders have taught."""
        self._shelve(panel, Shelf(agenda, learnt))

    def panels(self) -> list[str]:
        """Return the names of the panels that are opened."""
        return list(self._shelves)

    def add(self, order: Order, at: float) -> None:
        """Watch the order of an opened panel, first checked `at` that time."""
        if order.link is not None and not self.keeps_links:
            order = msgspec.structs.replace(order, link=None)
        shelf = self._shelves[order.panel]
        known = shelf.records.find(order.id)
        if known is not None:
            self._remove(shelf, known)
        shelf.agenda.appoint(shelf.records.add(order), at)
        self.counts[order.panel, order.status] += 1

    def fill(self, rows: OrderRows, now: float, random: Callable[[], float]) -> None:
        """Add very many orders of an opened panel, none of which is known.

        Their checks are spread at random, so that a start is no rush.
        """
        shelf = self._shelves[rows.panel]
        shelf.fill(rows, now, random)
        for status, number in Coded.of(rows.status).counts():
            self.counts[rows.panel, status] += number

    def begin(self, panel: str) -> None:
        """All of the panel's orders that there were are here: now each has its turn."""
        self._shelves[panel].agenda.begin()

    def take_over(self, other: "Book") -> None:
        """Have the other book's panels, in the place of what was known of them, all at once."""
        for panel, shelf in other._shelves.items():
            self.drop_panel(panel)
            self._shelve(panel, shelf)
        self.counts.update(other.counts)

    def entry(self, panel: str, order_id: str) -> Entry | None:
        """The order's entry, None where it is not watched."""
        found = self._find(panel, order_id)
        return Entry(found[0].records, found[1]) if found else None

    def order(self, panel: str, order_id: str) -> Order | None:
        """The order, None where it is not watched."""
        found = self._find(panel, order_id)
        return found[0].records.order(found[1]) if found else None

    def orders(self, panel: str | None = None) -> Iterator[Order]:
        """Every watched order; those that come or go meanwhile may be among them or not."""
        for name in [panel] if panel is not None else list(self._shelves):
            shelf = self._shelves.get(name)
            if shelf is None:
                continue
            for slot in shelf.records.slots():
                if shelf.is_watched(slot):
                    yield shelf.records.order(slot)

    def next_due(self, panel: str, now: float) -> float | None:
        """When the panel's next request is due; None where nothing is watched."""
        shelf = self._shelves.get(panel)
        return shelf.agenda.next_at(now) if shelf else None

    def note_budget(self, panel: str, ids_per_minute: float) -> None:
        """So many orders of the panel can be asked about, by what is known of its limit."""
        shelf = self._shelves.get(panel)
        if shelf is not None:
            shelf.agenda.allow(ids_per_minute)

    def take(self, panel: str, limit: int, now: float) -> Batch:
        """The orders of the next request: those due, filled with the next-due up to `limit`.

        They stay under way until `unchanged`, `checked`, `refused` or `put_back`.
        """
        shelf = self._shelves.get(panel)
        return shelf.take(limit, now) if shelf else NOTHING

    def same(
        self,
        panel: str,
        batch: Batch,
        old: Sequence[int],
        rows: Mapping[str, Observation | RowError],
        marks: Mapping[str, int],
    ) -> list[int]:
        """The orders of the batch, by position, of which an answer says nothing new.

        They are the `old` ones, and those whose row says nothing that is not on record: their
        `marks` are noted.
        """
        shelf = self._shelves.get(panel)
        return shelf.same(batch, old, rows, marks) if shelf else list(old)

    def unchanged(self, panel: str, batch: Batch, which: Sequence[int], now: float) -> None:
        """The panel told at `now` of these of the batch, by position; they are as they were."""
        shelf = self._shelves.get(panel)
        if shelf is not None:
            shelf.unchanged(batch, which, now)

    def put_back(self, panel: str, ids: Iterable[str]) -> None:
        """Orders that were taken and not observed: next again."""
        shelf = self._shelves.get(panel)
        if shelf is not None:
            found = (shelf.records.find(order_id) for order_id in ids)
            shelf.agenda.put_back([slot for slot in found if slot is not None])

    def sights(self, panel: str, ids: Iterable[str]) -> dict[str, Sight]:
        """Those of the orders that are watched."""
        shelf = self._shelves.get(panel)
        found = ((order_id, shelf.records.find(order_id)) for order_id in ids) if shelf else ()
        return {i: shelf.sight(slot) for i, slot in found if shelf and slot is not None}

    def checked(self, sight: Sight, after: Order, now: float, mark: int = 0) -> None:
        """The panel told at `now` of the order that was seen so; it is as `after` now.

        `mark` stands for the answer that said so.
        """
        shelf = self._shelves.get(after.panel)
        if shelf is None:
            return
        before, asked = sight.order, sight.asked
        if asked is not None:
            shelf.learnt.answered(before, after, sight.started, asked, now)
        slot = shelf.records.find(after.id)
        if slot is not None:
            shelf.checked(slot, sight, after, now)
            shelf.records.mark[slot] = mark

    def refused(self, panel: str, order_id: str, due: float, *, alone: bool) -> None:
        """The panel refused the id, or left it out; `alone` where that failed a whole batch."""
        found = self._find(panel, order_id)
        if found:
            shelf, slot = found
            shelf.records.failures[slot] += 1
            shelf.records.alone[slot] = alone
            shelf.agenda.appoint(slot, due)

    def hasten(self, panel: str, order_id: str, due: float, now: float) -> None:
        """Check the order at `due`, unless that is under way or sooner anyway."""
        found = self._find(panel, order_id)
        if found:
            found[0].agenda.hasten(found[1], due, now)

    def recall(self, panel: str, now: float) -> None:
        """Ask at once about all orders that the panel refused to tell of."""
        shelf = self._shelves.get(panel)
        if shelf is not None:
            shelf.agenda.recall(now)

    def next_refill_check(self, refill: Refill, now: float) -> float:
        """When to ask about the refill task again."""
        agenda, learnt = self._shelves[refill.panel].agenda, self._shelves[refill.panel].learnt
        wait = refill_units(learnt, self._service_of(refill), refill.requested_at, now)
        return now + agenda.seconds(wait)

    def refill_checked(self, refill: Refill, asked: float, now: float) -> None:
        """The refill task, which was not final at `asked`, is as it is now."""
        self._shelves[refill.panel].learnt.refill_answered(
            self._service_of(refill),
            refill.requested_at,
            asked,
            now,
            changed=refill.status in REFILL_FINAL,
        )

    def next_check(self, panel: str, order_id: str, now: float) -> float | None:
        """When the order will be checked next, as far as one can tell: what `prospect` says."""
        found = self._find(panel, order_id)
        return found[0].agenda.expected_at(found[1], now) if found else None

    def prospect(self, panel: str, order_id: str, now: float) -> Prospect | None:
        """When the order will be checked next, and why then; None where it is not watched."""
        found = self._find(panel, order_id)
        return found[0].prospect(found[1], now) if found else None

    def upcoming(self, panel: str, count: int, now: float) -> list[tuple[str, Prospect]]:
        """The ids of the panel's orders that are checked first, and when and why that is."""
        shelf = self._shelves.get(panel)
        if shelf is None:
            return []
        slots = shelf.agenda.upcoming(count, now)
        return [(shelf.records.id(slot), shelf.prospect(slot, now)) for slot in slots]

    def agenda(self, panel: str) -> Agenda | None:
        """The panel's schedule; None where it is not opened."""
        shelf = self._shelves.get(panel)
        return shelf.agenda if shelf else None

    def learnt(self, panel: str) -> Learnt | None:
        """What the panel's orders have taught; None where it is not opened."""
        shelf = self._shelves.get(panel)
        return shelf.learnt if shelf else None

    def asked(self) -> Iterator[tuple[Sequence[int], Sequence[float]]]:
        """The keys of all orders and when each was asked about, slice by slice; NaN: not known.

        Between two the loop may do other things.
        """
        for shelf in list(self._shelves.values()):
            yield from shelf.asked()

    def replace(self, order: Order) -> None:
        """The order's new state; a closed one leaves the book."""
        found = self._find(order.panel, order.id)
        if not found:
            return
        shelf, slot = found
        records, agenda = shelf.records, shelf.agenda
        if order.phase is Phase.CLOSED:
            self._remove(shelf, slot)
            return
        before = STATUSES[records.status[slot]]
        if order.status is not before:
            self.counts[order.panel, before] -= 1
            self.counts[order.panel, order.status] += 1
        if order.phase is not (phase := records.phase_of(slot)):
            agenda.note_phase(phase, -1)
            agenda.note_phase(order.phase, 1)
        records.write(slot, order)

    def remove(self, panel: str, order_id: str) -> None:
        """The order is no longer watched."""
        found = self._find(panel, order_id)
        if found:
            self._remove(*found)

    def look_at(self, order: Order, when: float | None) -> None:
        """Rules look at the order again at `when`, None: only when it changes."""
        found = self._find(order.panel, order.id)
        second = NONE if when is None else ceil(when)
        if not found or found[0].records.look[found[1]] == second:
            return
        shelf, slot = found
        shelf.records.look[slot] = second
        if second != NONE:
            self._looks.add(shelf.number * _SLOTS + slot, second)

    def next_look(self) -> float | None:
        """When the next order wants to be looked at."""
        return self._looks.next()

    def take_looks(self, now: float, limit: int) -> list[Order]:
        """The orders that want to be looked at by now."""
        orders: list[Order] = []
        while len(orders) < limit and (when := self.next_look()) is not None and when <= now:
            number, slot = divmod(self._looks.pop(), _SLOTS)
            records = self._by_number[number].records
            records.look[slot] = NONE
            orders.append(records.order(slot))
        return orders

    def drop_panel(self, panel: str) -> None:
        """The panel is no longer configured; its orders stay in the database."""
        shelf = self._shelves.pop(panel, None)
        if shelf is not None:
            del self._by_number[shelf.number]
        for key in [key for key in self.counts if key[0] == panel]:
            del self.counts[key]

    def census(self, panel: str, now: float, stalled_after: float) -> Iterator[Census]:
        """Counted by going through the panel's orders: what it comes to slice by slice.

        The last one is the whole panel. Between two the loop may do other things.
        """
        shelf = self._shelves.get(panel)
        return shelf.census(now, now - stalled_after) if shelf else iter([Census()])

    def _shelve(self, panel: str, shelf: Shelf) -> None:
        shelf.number = next(self._numbers)
        self._shelves[panel] = self._by_number[shelf.number] = shelf

    def _find(self, panel: str, order_id: str) -> tuple[Shelf, int] | None:
        shelf = self._shelves.get(panel)
        slot = shelf.records.find(order_id) if shelf else None
        return None if shelf is None or slot is None else (shelf, slot)

    def _remove(self, shelf: Shelf, slot: int) -> None:
        records = shelf.records
        self.counts[records.panel, STATUSES[records.status[slot]]] -= 1
        shelf.agenda.leave(slot)
        records.remove(slot)

    def _service_of(self, refill: Refill) -> str | None:
        order = self.order(refill.panel, refill.order)
        return order.service if order else None

    def _wants_look(self, wanted: int, second: int) -> bool:
        number, slot = divmod(wanted, _SLOTS)
        shelf = self._by_number.get(number)
        return shelf is not None and shelf.is_watched(slot) and shelf.records.look[slot] == second

"""The book of watched orders in memory: what is due next, panel by panel.

The database is the record, the book is the schedule: it is rebuilt at every start.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from math import ceil, inf

import msgspec

from watcher.cadence import Agenda, Entry, Learnt, Prospect, prospect, refill_units, units
from watcher.model import REFILL_FINAL, Order, Phase, Refill

_COUNTED_AT_ONCE = 5_000  # orders between two slices of a census: some milliseconds


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """What one panel's shelf holds at a moment."""

    due: int = 0
    oldest_due: float | None = None
    oldest_open: float | None = None
    stalled: int = 0
    open: int = 0
    guarded: int = 0


class Book:
    """Open and guarded orders of all panels."""

    def __init__(self) -> None:
        self.keeps_links = True  # without them an order takes a fifth less memory
        self._shelves: dict[str, _Shelf] = {}
        self._looks: dict[int, list[Entry]] = {}  # second -> entries, some of which are stale
        self._seconds: list[int] = []  # a heap of the keys of `_looks`
        self.counts: Counter[tuple[str, str]] = Counter()  # (panel, status) -> watched orders

    def open(self, panel: str, agenda: Agenda, learnt: Learnt) -> None:
        """Take up a panel: its schedule, and what its orders have taught."""
        self._shelves[panel] = _Shelf(agenda, learnt)

    def add(self, order: Order, at: float) -> None:
        """Watch the order of an opened panel, first checked `at` that time."""
        if order.link is not None and not self.keeps_links:
            order = msgspec.structs.replace(order, link=None)
        shelf = self._shelves[order.panel]
        known = shelf.entries.get(order.id)
        if known is not None:
            self.counts[order.panel, known.order.status] -= 1
            shelf.agenda.leave(known)
        entry = shelf.entries[order.id] = Entry(order)
        shelf.agenda.appoint(entry, at)
        self.counts[order.panel, order.status] += 1

    def fill(self, orders: Iterable[Order], now: float, random: Callable[[], float]) -> None:
        """Add very many orders, none of which is known, to a book that another will take over.

        Their checks are spread at random, so that a start is no rush.
        """
        shelves, counts = self._shelves, self.counts
        for order in orders:
            shelf = shelves[order.panel]
            entry = shelf.entries[order.id] = Entry(order)
            seen = order.checked_at
            if seen is None or seen > now:  # written before the clock was set back
                shelf.agenda.appoint(entry, now)
            else:
                wait = units(shelf.learnt, order, None, now)
                shelf.agenda.join(entry, wait, random(), now)
            counts[order.panel, order.status] += 1

    def take_over(self, other: "Book") -> None:
        """Have the other book's panels, in the place of what was known of them, all at once."""
        for panel, shelf in other._shelves.items():
            self.drop_panel(panel)
            self._shelves[panel] = shelf
            shelf.agenda.begin()
        self.counts.update(other.counts)

    def entry(self, panel: str, order_id: str) -> Entry | None:
        """The order's entry, None where it is not watched."""
        shelf = self._shelves.get(panel)
        return shelf.entries.get(order_id) if shelf else None

    def orders(self, panel: str | None = None) -> Iterator[Order]:
        """Every watched order. A snapshot: the book may change meanwhile."""
        names = [panel] if panel is not None else list(self._shelves)
        for name in names:
            shelf = self._shelves.get(name)
            for entry in list(shelf.entries.values()) if shelf else ():
                yield entry.order

    def next_due(self, panel: str, now: float) -> float | None:
        """When the panel's next request is due; None where nothing is watched."""
        shelf = self._shelves.get(panel)
        return shelf.agenda.next_at(now) if shelf else None

    def note_budget(self, panel: str, ids_per_minute: float) -> None:
        """So many orders of the panel can be asked about, by what is known of its limit."""
        shelf = self._shelves.get(panel)
        if shelf is not None:
            shelf.agenda.ids_per_minute = ids_per_minute

    def take(self, panel: str, limit: int, now: float) -> list[Entry]:
        """The orders of the next request: those due, filled with the next-due up to `limit`.

        They stay under way until `checked`, `refused` or `put_back`.
        """
        shelf = self._shelves.get(panel)
        return shelf.agenda.take(limit, now) if shelf else []

    def lag(self, panel: str, entries: Iterable[Entry], now: float) -> float:
        """Seconds by which the latest of the panel's entries is late."""
        return self._shelves[panel].agenda.lag(entries, now)

    def put_back(self, panel: str, ids: Iterable[str]) -> None:
        """Orders that were taken and not observed: next again."""
        shelf = self._shelves.get(panel)
        if shelf is not None:
            found = (shelf.entries.get(order_id) for order_id in ids)
            shelf.agenda.put_back([entry for entry in found if entry is not None])

    def checked(self, entry: Entry, before: Order, now: float) -> None:
        """The panel told at `now` of the order, which was `before` until then."""
        shelf = self._shelves.get(before.panel)
        if shelf is None:
            return
        if entry.checked_at is not None:
            shelf.learnt.answered(before, entry.order, entry.started, entry.checked_at, now)
        if entry.order is not before:
            entry.note_answer(before, now)
        if shelf.entries.get(before.id) is not entry:  # the answer closed it
            return
        entry.failures = 0
        entry.alone = False
        shelf.agenda.answered(entry, units(shelf.learnt, entry.order, entry.started, now), now)

    def refused(self, panel: str, order_id: str, due: float, *, alone: bool) -> None:
        """The panel refused the id, or left it out; `alone` where that failed a whole batch."""
        entry = self.entry(panel, order_id)
        if entry is not None:
            entry.failures += 1
            entry.alone = alone
            self._shelves[panel].agenda.appoint(entry, due)

    def hasten(self, panel: str, order_id: str, due: float, now: float) -> None:
        """Check the order at `due`, unless that is under way or sooner anyway."""
        entry = self.entry(panel, order_id)
        if entry is not None:
            self._shelves[panel].agenda.hasten(entry, due, now)

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

    def prospect(self, panel: str, order_id: str, now: float) -> Prospect | None:
        """When the order will be checked next, and why then; None where it is not watched."""
        entry = self.entry(panel, order_id)
        if entry is None:
            return None
        shelf = self._shelves[panel]
        return prospect(shelf.agenda, shelf.learnt, entry, now)

    def upcoming(self, panel: str, count: int, now: float) -> list[tuple[str, Prospect]]:
        """The ids of the panel's orders that are checked first, and when and why that is."""
        shelf = self._shelves.get(panel)
        if shelf is None:
            return []
        entries = shelf.agenda.upcoming(count, now)
        return [(e.order.id, prospect(shelf.agenda, shelf.learnt, e, now)) for e in entries]

    def agenda(self, panel: str) -> Agenda | None:
        """The panel's schedule; None where it is not opened."""
        shelf = self._shelves.get(panel)
        return shelf.agenda if shelf else None

    def learnt(self, panel: str) -> Learnt | None:
        """What the panel's orders have taught; None where it is not opened."""
        shelf = self._shelves.get(panel)
        return shelf.learnt if shelf else None

    def replace(self, order: Order) -> None:
        """The order's new state; a closed one leaves the book."""
        entry = self.entry(order.panel, order.id)
        if entry is None:
            return
        self.counts[order.panel, entry.order.status] -= 1
        shelf = self._shelves[order.panel]
        if order.phase is Phase.CLOSED:
            del shelf.entries[order.id]
            shelf.agenda.leave(entry)
            entry.order = order
            return
        self.counts[order.panel, order.status] += 1
        if order.phase is not entry.order.phase:
            shelf.agenda.note_phase(entry.order.phase, -1)
            shelf.agenda.note_phase(order.phase, 1)
        entry.order = order

    def look_at(self, order: Order, when: float | None) -> None:
        """Rules look at the order again at `when`, None: only when it changes."""
        entry = self.entry(order.panel, order.id)
        second = None if when is None else ceil(when)
        if entry is None or entry.look == second:
            return
        entry.look = second
        if second is not None:
            if second not in self._looks:
                heapq.heappush(self._seconds, second)
            self._looks.setdefault(second, []).append(entry)

    def next_look(self) -> float | None:
        """When the next order wants to be looked at."""
        while self._seconds:
            second = self._seconds[0]
            entries = self._looks[second]
            while entries:
                if self._wants_look(entries[-1], second):
                    return second
                entries.pop()
            del self._looks[heapq.heappop(self._seconds)]
        return None

    def take_looks(self, now: float, limit: int) -> list[Order]:
        """The orders that want to be looked at by now."""
        orders: list[Order] = []
        while len(orders) < limit and (when := self.next_look()) is not None and when <= now:
            entry = self._looks[self._seconds[0]].pop()
            entry.look = None
            orders.append(entry.order)
        return orders

    def drop_panel(self, panel: str) -> None:
        """The panel is no longer configured; its orders stay in the database."""
        self._shelves.pop(panel, None)
        for key in [key for key in self.counts if key[0] == panel]:
            del self.counts[key]

    def census(self, panel: str, now: float, stalled_after: float) -> Iterator[Census]:
        """Counted by going through the panel's orders: what it comes to slice by slice.

        The last one is the whole panel. Between two the loop may do other things.
        """
        shelf = self._shelves.get(panel)
        return shelf.census(now, now - stalled_after) if shelf else iter([Census()])

    def _service_of(self, refill: Refill) -> str | None:
        entry = self.entry(refill.panel, refill.order)
        return entry.order.service if entry else None

    def _wants_look(self, entry: Entry, second: int) -> bool:
        order = entry.order
        return entry.look == second and self.entry(order.panel, order.id) is entry


class _Shelf:
    """One panel's orders."""

    def __init__(self, agenda: Agenda, learnt: Learnt) -> None:
        self.entries: dict[str, Entry] = {}
        self.agenda = agenda
        self.learnt = learnt

    def census(self, now: float, stalled_before: float) -> Iterator[Census]:
        census = Census()
        entries = list(self.entries.values())
        for start in range(0, max(1, len(entries)), _COUNTED_AT_ONCE):
            some = entries[start : start + _COUNTED_AT_ONCE]
            census = _count(census, self.agenda, some, now, stalled_before)
            yield census


def _count(
    so_far: Census, agenda: Agenda, entries: Iterable[Entry], now: float, stalled_before: float
) -> Census:
    due, stalled, open_orders, guarded = so_far.due, so_far.stalled, so_far.open, so_far.guarded
    oldest_due = inf if so_far.oldest_due is None else so_far.oldest_due
    oldest_open = inf if so_far.oldest_open is None else so_far.oldest_open
    for entry in entries:
        order = entry.order
        promised = agenda.promised_at(entry)
        if promised is not None and promised <= now:
            due += 1
            if promised < oldest_due:
                oldest_due = promised
        if order.phase is not Phase.OPEN:
            guarded += 1
            continue
        open_orders += 1
        if order.progressed_at < stalled_before:
            stalled += 1
        if order.submitted_at < oldest_open:
            oldest_open = order.submitted_at
    return Census(
        due=due,
        oldest_due=None if oldest_due == inf else oldest_due,
        oldest_open=None if oldest_open == inf else oldest_open,
        stalled=stalled,
        open=open_orders,
        guarded=guarded,
    )

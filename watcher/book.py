"""The book of watched orders in memory: what is due next, panel by panel.

The database is the record, the book is the schedule: it is rebuilt at every start.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from math import ceil, inf

import msgspec

from watcher.cadence import MIN_GAP
from watcher.model import Order, Phase

_COUNTED_AT_ONCE = 5_000  # orders between two slices of a census: some milliseconds


class Entry(msgspec.Struct, gc=False):
    """A watched order and its place in the schedule.

    `look` is the second at which rules look at it again.
    """

    order: Order
    due: float
    look: int | None = None
    checked_at: float | None = None
    failures: int = 0  # refusals of this id in a row
    alone: bool = False  # it made a whole batch fail: it is asked about by itself
    asked: bool = False  # a check of it is under way


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

    def add(self, order: Order, due: float) -> None:
        """Watch the order, first checked when `due`."""
        if order.link is not None and not self.keeps_links:
            order = msgspec.structs.replace(order, link=None)
        shelf = self._shelves.setdefault(order.panel, _Shelf())
        known = shelf.entries.get(order.id)
        if known is not None:
            self.counts[order.panel, known.order.status] -= 1
        shelf.entries[order.id] = Entry(order, due, checked_at=order.checked_at)
        heapq.heappush(shelf.heap, (due, order.id))
        self.counts[order.panel, order.status] += 1

    def fill(self, orders: Iterable[tuple[Order, float]]) -> None:
        """Add very many orders, none of which is known, to a book that another will take over."""
        shelves = self._shelves
        for order, due in orders:
            shelf = shelves.get(order.panel)
            if shelf is None:
                shelf = shelves[order.panel] = _Shelf()
            shelf.entries[order.id] = Entry(order, due, checked_at=order.checked_at)
            shelf.heap.append((due, order.id))
            self.counts[order.panel, order.status] += 1

    def take_over(self, other: "Book") -> None:
        """Have the other book's panels, in the place of what was known of them, all at once."""
        for panel, shelf in other._shelves.items():
            self.drop_panel(panel)
            heapq.heapify(shelf.heap)
            self._shelves[panel] = shelf
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

    def next_due(self, panel: str) -> float | None:
        """When the panel's next check is due."""
        shelf = self._shelves.get(panel)
        return shelf.first_due() if shelf else None

    def take(self, panel: str, limit: int, now: float) -> list[Entry]:
        """The orders of the next request: those due, filled with the next-due up to `limit`.

        They stay under way until `put_back` or `checked`. Filling leaves out orders that were
        checked less than MIN_GAP seconds ago, and those whose ids the panel refuses.
        """
        shelf = self._shelves.get(panel)
        return shelf.take(limit, now) if shelf else []

    def put_back(self, panel: str, ids: Iterable[str], due: float | None = None) -> None:
        """Orders that were taken and not observed: due as they were, or at `due`."""
        for order_id in ids:
            entry = self.entry(panel, order_id)
            if entry is not None:
                self._schedule(entry, entry.due if due is None else due)

    def checked(self, panel: str, order_id: str, now: float, due: float) -> None:
        """The order was observed at `now`."""
        entry = self.entry(panel, order_id)
        if entry is not None:
            entry.checked_at = now
            entry.failures = 0
            entry.alone = False
            self._schedule(entry, due)

    def refused(self, panel: str, order_id: str, due: float, *, alone: bool) -> None:
        """The panel refused the id, or left it out; `alone` where that failed a whole batch."""
        entry = self.entry(panel, order_id)
        if entry is not None:
            entry.failures += 1
            entry.alone = alone
            self._schedule(entry, due)

    def hasten(self, panel: str, order_id: str, due: float) -> None:
        """Check the order at `due`, unless that is under way or sooner anyway."""
        entry = self.entry(panel, order_id)
        if entry is not None and not entry.asked and due < entry.due:
            self._schedule(entry, due)

    def replace(self, order: Order) -> None:
        """The order's new state; a closed one leaves the book."""
        entry = self.entry(order.panel, order.id)
        if entry is None:
            return
        self.counts[order.panel, entry.order.status] -= 1
        if order.phase is Phase.CLOSED:
            del self._shelves[order.panel].entries[order.id]
            return
        self.counts[order.panel, order.status] += 1
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

    def _wants_look(self, entry: Entry, second: int) -> bool:
        order = entry.order
        return entry.look == second and self.entry(order.panel, order.id) is entry

    def _schedule(self, entry: Entry, due: float) -> None:
        entry.due = due
        entry.asked = False
        heapq.heappush(self._shelves[entry.order.panel].heap, (due, entry.order.id))


class _Shelf:
    """One panel's orders. Heap items that no longer say what their entry says are stale."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.heap: list[tuple[float, str]] = []

    def first_due(self) -> float | None:
        while self.heap:
            entry = self._entry_of(self.heap[0])
            if entry is not None:
                return entry.due
            heapq.heappop(self.heap)
        return None

    def take(self, limit: int, now: float) -> list[Entry]:
        first = self.first_due()
        if first is None or first > now:
            return []
        taken: list[Entry] = []
        passed_over: list[tuple[float, str]] = []
        while self.heap and len(taken) < limit and len(passed_over) < limit:
            item = heapq.heappop(self.heap)
            entry = self._entry_of(item)
            if entry is None:
                continue
            if (entry.due > now and _is_no_filling(entry, now)) or (entry.alone and taken):
                passed_over.append(item)
                continue
            entry.asked = True
            taken.append(entry)
            if entry.alone:
                break
        for item in passed_over:
            heapq.heappush(self.heap, item)
        return taken

    def census(self, now: float, stalled_before: float) -> Iterator[Census]:
        census = Census()
        entries = list(self.entries.values())
        for start in range(0, max(1, len(entries)), _COUNTED_AT_ONCE):
            some = entries[start : start + _COUNTED_AT_ONCE]
            census = _count(census, some, now, stalled_before)
            yield census

    def _entry_of(self, item: tuple[float, str]) -> Entry | None:
        due, order_id = item
        entry = self.entries.get(order_id)
        return entry if entry is not None and entry.due == due and not entry.asked else None


def _is_no_filling(entry: Entry, now: float) -> bool:
    return entry.failures > 0 or (entry.checked_at is not None and now - entry.checked_at < MIN_GAP)


def _count(so_far: Census, entries: Iterable[Entry], now: float, stalled_before: float) -> Census:
    due, stalled, open_orders, guarded = so_far.due, so_far.stalled, so_far.open, so_far.guarded
    oldest_due = inf if so_far.oldest_due is None else so_far.oldest_due
    oldest_open = inf if so_far.oldest_open is None else so_far.oldest_open
    for entry in entries:
        order = entry.order
        if entry.due <= now:
            due += 1
            if entry.due < oldest_due:
                oldest_due = entry.due
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

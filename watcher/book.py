"""The book of watched orders in memory: what is due next, panel by panel.

The database is the record, the book is the schedule: it is rebuilt at every start.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from watcher.cadence import MIN_GAP
from watcher.model import Order, Phase


class Entry(msgspec.Struct, gc=False):
    """A watched order and its place in the schedule. `look` is when rules look at it again."""

    order: Order
    due: float
    look: float | None = None
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
        self._shelves: dict[str, _Shelf] = {}
        self._looks: list[tuple[float, str, str]] = []
        self.counts: Counter[tuple[str, str]] = Counter()  # (panel, status) -> watched orders

    def add(self, order: Order, due: float) -> None:
        """Watch the order, first checked when `due`."""
        shelf = self._shelves.setdefault(order.panel, _Shelf())
        known = shelf.entries.get(order.id)
        if known is not None:
            self.counts[order.panel, known.order.status] -= 1
        shelf.entries[order.id] = Entry(order, due, checked_at=order.checked_at)
        heapq.heappush(shelf.heap, (due, order.id))
        self.counts[order.panel, order.status] += 1

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
        if entry is None or entry.look == when:
            return
        entry.look = when
        if when is not None:
            heapq.heappush(self._looks, (when, order.panel, order.id))

    def next_look(self) -> float | None:
        """When the next order wants to be looked at."""
        while self._looks:
            when, panel, order_id = self._looks[0]
            entry = self.entry(panel, order_id)
            if entry is not None and entry.look == when:
                return when
            heapq.heappop(self._looks)
        return None

    def take_looks(self, now: float, limit: int) -> list[Order]:
        """The orders that want to be looked at by now."""
        orders: list[Order] = []
        while len(orders) < limit and (when := self.next_look()) is not None and when <= now:
            _, panel, order_id = heapq.heappop(self._looks)
            entry = self._shelves[panel].entries[order_id]
            entry.look = None
            orders.append(entry.order)
        return orders

    def drop_panel(self, panel: str) -> None:
        """The panel is no longer configured; its orders stay in the database."""
        self._shelves.pop(panel, None)
        for key in [key for key in self.counts if key[0] == panel]:
            del self.counts[key]

    def census(self, panel: str, now: float, stalled_after: float) -> Census:
        """Counted by going through the panel's orders: some 0.2 s for a million."""
        shelf = self._shelves.get(panel)
        return shelf.census(now, now - stalled_after) if shelf else Census()

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

    def census(self, now: float, stalled_before: float) -> Census:
        due = stalled = open_orders = 0
        oldest_due = oldest_open = None
        for entry in self.entries.values():
            order = entry.order
            if entry.due <= now:
                due += 1
                oldest_due = entry.due if oldest_due is None else min(oldest_due, entry.due)
            if order.phase is Phase.OPEN:
                open_orders += 1
                stalled += order.progressed_at < stalled_before
                born = order.submitted_at
                oldest_open = born if oldest_open is None else min(oldest_open, born)
        return Census(
            due=due,
            oldest_due=oldest_due,
            oldest_open=oldest_open,
            stalled=stalled,
            open=open_orders,
            guarded=len(self.entries) - open_orders,
        )

    def _entry_of(self, item: tuple[float, str]) -> Entry | None:
        due, order_id = item
        entry = self.entries.get(order_id)
        return entry if entry is not None and entry.due == due and not entry.asked else None


def _is_no_filling(entry: Entry, now: float) -> bool:
    return entry.failures > 0 or (entry.checked_at is not None and now - entry.checked_at < MIN_GAP)

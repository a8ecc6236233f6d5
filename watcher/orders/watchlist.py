"""The book of watched orders in memory: what is due next, panel by panel.

The database is the record, the book is the schedule: it is rebuilt at every start.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from math import ceil

import msgspec

from watcher.model import REFILL_FINAL, Observation, Order, Phase, Refill, RowError
from watcher.orders.columns.dictionary_column import DictionaryColumn
from watcher.orders.columns.table import NONE, STATUSES, OrderRows
from watcher.orders.panel_orders import NOTHING, Batch, OrderGlimpse, PanelCounts, PanelOrders
from watcher.orders.review_times import ReviewTimes
from watcher.orders.schedule import Entry, Forecast, HazardModel, PollQueue, refill_units

_SLOTS = 2**32  # a shelf's: its number and a slot together tell an order


class Watchlist:
    """Open and guarded orders of all panels."""

    def __init__(self) -> None:
        self.keeps_links = True  # without them an order takes a fifth less memory
        self._by_panel: dict[str, PanelOrders] = {}
        self._by_number: dict[int, PanelOrders] = {}
        self._numbers = count()
        self._looks = ReviewTimes(self._wants_look)
        self.counts: Counter[tuple[str, str]] = Counter()  # (panel, status) -> watched orders

    def open(self, panel: str, poll_queue: PollQueue, learnt: HazardModel) -> None:
        """Take up a panel: its schedule, and what its orders have taught."""
        self._shelve(panel, PanelOrders(poll_queue, learnt))

    def add(self, order: Order, at: float) -> None:
        """Watch the order of an opened panel, first checked `at` that time."""
        if order.link is not None and not self.keeps_links:
            order = msgspec.structs.replace(order, link=None)
        panel_orders = self._by_panel[order.panel]
        known = panel_orders.records.find(order.id)
        if known is not None:
            self._remove(panel_orders, known)
        panel_orders.poll_queue.appoint(panel_orders.records.add(order), at)
        self.counts[order.panel, order.status] += 1

    def fill(self, rows: OrderRows, now: float, random: Callable[[], float]) -> None:
        """Add very many orders of an opened panel, none of which is known.

        Their checks are spread at random, so that a start is no rush.
        """
        panel_orders = self._by_panel[rows.panel]
        panel_orders.fill(rows, now, random)
        for status, number in DictionaryColumn.of(rows.status).counts():
            self.counts[rows.panel, status] += number

    def begin(self, panel: str) -> None:
        """All of the panel's orders that there were are here: now each has its turn."""
        self._by_panel[panel].poll_queue.begin()

    def take_over(self, other: "Watchlist") -> None:
        """Have the other book's panels, in the place of what was known of them, all at once."""
        for panel, panel_orders in other._by_panel.items():
            self.drop_panel(panel)
            self._shelve(panel, panel_orders)
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
        for name in [panel] if panel is not None else list(self._by_panel):
            panel_orders = self._by_panel.get(name)
            if panel_orders is None:
                continue
            for slot in panel_orders.records.slots():
                if panel_orders.is_watched(slot):
                    yield panel_orders.records.order(slot)

    def next_due(self, panel: str, now: float) -> float | None:
        """When the panel's next request is due; None where nothing is watched."""
        panel_orders = self._by_panel.get(panel)
        return panel_orders.poll_queue.next_at(now) if panel_orders else None

    def note_budget(self, panel: str, ids_per_minute: float) -> None:
        """So many orders of the panel can be asked about, by what is known of its limit."""
        panel_orders = self._by_panel.get(panel)
        if panel_orders is not None:
            panel_orders.poll_queue.allow(ids_per_minute)

    def take(self, panel: str, limit: int, now: float) -> Batch:
        """The orders of the next request: those due, filled with the next-due up to `limit`.

        They stay under way until `unchanged`, `checked`, `refused` or `put_back`.
        """
        panel_orders = self._by_panel.get(panel)
        return panel_orders.take(limit, now) if panel_orders else NOTHING

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
        panel_orders = self._by_panel.get(panel)
        return panel_orders.same(batch, old, rows, marks) if panel_orders else list(old)

    def unchanged(self, panel: str, batch: Batch, which: Sequence[int], now: float) -> None:
        """The panel told at `now` of these of the batch, by position; they are as they were."""
        panel_orders = self._by_panel.get(panel)
        if panel_orders is not None:
            panel_orders.unchanged(batch, which, now)

    def put_back(self, panel: str, ids: Iterable[str]) -> None:
        """Orders that were taken and not observed: next again."""
        panel_orders = self._by_panel.get(panel)
        if panel_orders is not None:
            found = (panel_orders.records.find(order_id) for order_id in ids)
            panel_orders.poll_queue.put_back([slot for slot in found if slot is not None])

    def sights(self, panel: str, ids: Iterable[str]) -> dict[str, OrderGlimpse]:
        """Those of the orders that are watched."""
        panel_orders = self._by_panel.get(panel)
        found = (
            ((order_id, panel_orders.records.find(order_id)) for order_id in ids)
            if panel_orders
            else ()
        )
        return {
            i: panel_orders.sight(slot) for i, slot in found if panel_orders and slot is not None
        }

    def checked(self, sight: OrderGlimpse, after: Order, now: float, mark: int = 0) -> None:
        """The panel told at `now` of the order that was seen so; it is as `after` now.

        `mark` stands for the answer that said so.
        """
        panel_orders = self._by_panel.get(after.panel)
        if panel_orders is None:
            return
        before, asked = sight.order, sight.asked
        if asked is not None:
            panel_orders.learnt.answered(before, after, sight.started, asked, now)
        slot = panel_orders.records.find(after.id)
        if slot is not None:
            panel_orders.checked(slot, sight, after, now)
            panel_orders.records.mark[slot] = mark

    def refused(self, panel: str, order_id: str, due: float, *, alone: bool) -> None:
        """The panel refused the id, or left it out; `alone` where that failed a whole batch."""
        found = self._find(panel, order_id)
        if found:
            panel_orders, slot = found
            panel_orders.records.failures[slot] += 1
            panel_orders.records.alone[slot] = alone
            panel_orders.poll_queue.appoint(slot, due)

    def hasten(self, panel: str, order_id: str, due: float, now: float) -> None:
        """Check the order at `due`, unless that is under way or sooner anyway."""
        found = self._find(panel, order_id)
        if found:
            found[0].poll_queue.hasten(found[1], due, now)

    def recall(self, panel: str, now: float) -> None:
        """Ask at once about all orders that the panel refused to tell of."""
        panel_orders = self._by_panel.get(panel)
        if panel_orders is not None:
            panel_orders.poll_queue.recall(now)

    def next_refill_check(self, refill: Refill, now: float) -> float:
        """When to ask about the refill task again."""
        poll_queue, learnt = (
            self._by_panel[refill.panel].poll_queue,
            self._by_panel[refill.panel].learnt,
        )
        wait = refill_units(learnt, self._service_of(refill), refill.requested_at, now)
        return now + poll_queue.seconds(wait)

    def refill_checked(self, refill: Refill, asked: float, now: float) -> None:
        """The refill task, which was not final at `asked`, is as it is now."""
        self._by_panel[refill.panel].learnt.refill_answered(
            self._service_of(refill),
            refill.requested_at,
            asked,
            now,
            changed=refill.status in REFILL_FINAL,
        )

    def next_check(self, panel: str, order_id: str, now: float) -> float | None:
        """When the order will be checked next, as far as one can tell: what `prospect` says."""
        found = self._find(panel, order_id)
        return found[0].poll_queue.expected_at(found[1], now) if found else None

    def prospect(self, panel: str, order_id: str, now: float) -> Forecast | None:
        """When the order will be checked next, and why then; None where it is not watched."""
        found = self._find(panel, order_id)
        return found[0].prospect(found[1], now) if found else None

    def upcoming(self, panel: str, count: int, now: float) -> list[tuple[str, Forecast]]:
        """The ids of the panel's orders that are checked first, and when and why that is."""
        panel_orders = self._by_panel.get(panel)
        if panel_orders is None:
            return []
        slots = panel_orders.poll_queue.upcoming(count, now)
        return [(panel_orders.records.id(slot), panel_orders.prospect(slot, now)) for slot in slots]

    def poll_queue(self, panel: str) -> PollQueue | None:
        """The panel's schedule; None where it is not opened."""
        panel_orders = self._by_panel.get(panel)
        return panel_orders.poll_queue if panel_orders else None

    def learnt(self, panel: str) -> HazardModel | None:
        """What the panel's orders have taught; None where it is not opened."""
        panel_orders = self._by_panel.get(panel)
        return panel_orders.learnt if panel_orders else None

    def asked(self) -> Iterator[tuple[Sequence[int], Sequence[float]]]:
        """The keys of all orders and when each was asked about, slice by slice; NaN: not known.

        Between two the loop may do other things.
        """
        for panel_orders in list(self._by_panel.values()):
            yield from panel_orders.asked()

    def replace(self, order: Order) -> None:
        """The order's new state; a closed one leaves the book."""
        found = self._find(order.panel, order.id)
        if not found:
            return
        panel_orders, slot = found
        records, poll_queue = panel_orders.records, panel_orders.poll_queue
        if order.phase is Phase.CLOSED:
            self._remove(panel_orders, slot)
            return
        before = STATUSES[records.status[slot]]
        if order.status is not before:
            self.counts[order.panel, before] -= 1
            self.counts[order.panel, order.status] += 1
        if order.phase is not (phase := records.phase_of(slot)):
            poll_queue.note_phase(phase, -1)
            poll_queue.note_phase(order.phase, 1)
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
        panel_orders, slot = found
        panel_orders.records.look[slot] = second
        if second != NONE:
            self._looks.add(panel_orders.number * _SLOTS + slot, second)

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
        panel_orders = self._by_panel.pop(panel, None)
        if panel_orders is not None:
            del self._by_number[panel_orders.number]
        for key in [key for key in self.counts if key[0] == panel]:
            del self.counts[key]

    def panel_counts(self, panel: str, now: float, stalled_after: float) -> Iterator[PanelCounts]:
        """Counted by going through the panel's orders: what it comes to slice by slice.

        The last one is the whole panel. Between two the loop may do other things.
        """
        panel_orders = self._by_panel.get(panel)
        return (
            panel_orders.panel_counts(now, now - stalled_after)
            if panel_orders
            else iter([PanelCounts()])
        )

    def _shelve(self, panel: str, panel_orders: PanelOrders) -> None:
        panel_orders.number = next(self._numbers)
        self._by_panel[panel] = self._by_number[panel_orders.number] = panel_orders

    def _find(self, panel: str, order_id: str) -> tuple[PanelOrders, int] | None:
        panel_orders = self._by_panel.get(panel)
        slot = panel_orders.records.find(order_id) if panel_orders else None
        return None if panel_orders is None or slot is None else (panel_orders, slot)

    def _remove(self, panel_orders: PanelOrders, slot: int) -> None:
        records = panel_orders.records
        self.counts[records.panel, STATUSES[records.status[slot]]] -= 1
        panel_orders.poll_queue.leave(slot)
        records.remove(slot)

    def _service_of(self, refill: Refill) -> str | None:
        order = self.order(refill.panel, refill.order)
        return order.service if order else None

    def _wants_look(self, wanted: int, second: int) -> bool:
        number, slot = divmod(wanted, _SLOTS)
        panel_orders = self._by_number.get(number)
        return (
            panel_orders is not None
            and panel_orders.is_watched(slot)
            and panel_orders.records.look[slot] == second
        )

"""The watched orders of all panels in memory.

The database holds the orders; the watchlist holds their schedule, and is rebuilt at every start.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from math import ceil

import msgspec

from watcher.model import Order, Phase
from watcher.orders.columns.dictionary_column import DictionaryColumn
from watcher.orders.columns.table import NONE, STATUSES, OrderRows, OrderTable
from watcher.orders.fields import OWN
from watcher.orders.panel_orders import PanelOrders
from watcher.orders.review_times import ReviewTimes
from watcher.orders.schedule import Entry, HazardModel, PollQueue

_SLOTS = 2**32  # of a PanelOrders: its number and a slot identify an order


class Watchlist:
    """Open and guarded orders of all panels, and when rules review them."""

    def __init__(self) -> None:
        self.keeps = frozenset(OWN)  # without its link an order takes a fifth less memory
        self._by_panel: dict[str, PanelOrders] = {}
        self._by_number: dict[int, PanelOrders] = {}
        self._numbers = count()
        self._no_orders = PanelOrders(
            PollQueue(OrderTable(""), 0.0, within=1.0, ids_per_minute=1.0), HazardModel(0)
        )
        self._reviews = ReviewTimes(self._wants_review)
        self.counts: Counter[tuple[str, str]] = Counter()  # (panel, status) -> watched orders

    def open(self, panel: str, poll_queue: PollQueue, learnt: HazardModel) -> None:
        """Add a panel without orders."""
        self._place(panel, PanelOrders(poll_queue, learnt))

    def __contains__(self, panel: str) -> bool:
        return panel in self._by_panel

    def panel(self, name: str) -> PanelOrders:
        """Return the panel's orders; a panel that is not opened has none."""
        return self._by_panel.get(name, self._no_orders)

    def entry(self, panel: str, order_id: str) -> Entry | None:
        """Return the order's place in the schedule; None if it is not watched."""
        return self.panel(panel).entry(order_id)

    def order(self, panel: str, order_id: str) -> Order | None:
        """Return the order; None if it is not watched."""
        return self.panel(panel).order(order_id)

    def orders(self) -> Iterator[Order]:
        """Yield every watched order; changes during the iteration may be missed."""
        for panel_orders in list(self._by_panel.values()):
            yield from panel_orders.orders()

    def asked(self) -> Iterator[tuple[Sequence[int], Sequence[float]]]:
        """Yield the keys of all orders and when each was asked about, slice by slice.

        NaN: not known. Other tasks may run between two slices.
        """
        for panel_orders in list(self._by_panel.values()):
            yield from panel_orders.asked()

    def panels(self) -> list[str]:
        """Return the names of the panels that are opened."""
        return list(self._by_panel)

    def add(self, order: Order, at: float) -> None:
        """Watch the order of an opened panel, first checked `at` that time."""
        panel_orders = self._by_panel[order.panel]
        self.remove(order.panel, order.id)
        panel_orders.poll_queue.appoint(panel_orders.records.add(self._bare(order)), at)
        self.counts[order.panel, order.status] += 1

    def fill(self, rows: OrderRows, now: float) -> None:
        """Add very many orders of an opened panel, none of which is watched yet."""
        self._by_panel[rows.panel].fill(rows, now)
        for status, number in DictionaryColumn.of(rows.fields["status"]).counts():
            self.counts[rows.panel, status] += number

    def replace(self, order: Order) -> None:
        """Store the order's new state; remove it if it is closed."""
        panel_orders = self.panel(order.panel)
        records, slot = panel_orders.records, panel_orders.records.find(order.id)
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
            panel_orders.poll_queue.note_phase(phase, -1)
            panel_orders.poll_queue.note_phase(order.phase, 1)
        records.write(slot, self._bare(order))

    def remove(self, panel: str, order_id: str) -> None:
        """Stop watching the order."""
        panel_orders = self.panel(panel)
        slot = panel_orders.records.find(order_id)
        if slot is not None:
            self.counts[panel, STATUSES[panel_orders.records.status[slot]]] -= 1
            panel_orders.poll_queue.leave(slot)
            panel_orders.records.remove(slot)

    def take_over(self, other: "Watchlist") -> None:
        """Move the other watchlist's panels here; each replaces the present one."""
        for panel, panel_orders in other._by_panel.items():
            self.drop_panel(panel)
            self._place(panel, panel_orders)
        self.counts.update(other.counts)

    def drop_panel(self, panel: str) -> None:
        """Forget a panel that is no longer configured; its orders stay in the database."""
        panel_orders = self._by_panel.pop(panel, None)
        if panel_orders is not None:
            del self._by_number[panel_orders.number]
        for key in [key for key in self.counts if key[0] == panel]:
            del self.counts[key]

    def review_at(self, order: Order, when: float | None) -> None:
        """Set when rules review the order again; None means only when it changes."""
        panel_orders = self.panel(order.panel)
        slot = panel_orders.records.find(order.id)
        second = NONE if when is None else ceil(when)
        if slot is None or panel_orders.records.look[slot] == second:
            return
        panel_orders.records.look[slot] = second
        if second != NONE:
            self._reviews.add(panel_orders.number * _SLOTS + slot, second)

    def next_review(self) -> float | None:
        """Return when the next order is to be reviewed."""
        return self._reviews.next()

    def take_due_reviews(self, now: float, limit: int) -> list[Order]:
        """Take up to `limit` orders that are to be reviewed by now."""
        orders: list[Order] = []
        while len(orders) < limit and (when := self.next_review()) is not None and when <= now:
            number, slot = divmod(self._reviews.pop(), _SLOTS)
            records = self._by_number[number].records
            records.look[slot] = NONE
            orders.append(records.order(slot))
        return orders

    def _bare(self, order: Order) -> Order:
        """Return the order without the values of its own that are not kept."""
        dropped = {name: nothing for name, nothing in OWN.items() if name not in self.keeps}
        return msgspec.structs.replace(order, **dropped) if dropped else order

    def _place(self, panel: str, panel_orders: PanelOrders) -> None:
        panel_orders.number = next(self._numbers)
        self._by_panel[panel] = self._by_number[panel_orders.number] = panel_orders

    def _wants_review(self, wanted: int, second: int) -> bool:
        number, slot = divmod(wanted, _SLOTS)
        panel_orders = self._by_number.get(number)
        return (
            panel_orders is not None
            and panel_orders.is_watched(slot)
            and panel_orders.records.look[slot] == second
        )

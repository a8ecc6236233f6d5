"""Records what callers say of tracked orders: the service, and labels."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from watcher.daemon.recorder import ChangeRecorder
from watcher.daemon.reviews import Reviews
from watcher.daemon.shared import Shared
from watcher.model import Labels, Order
from watcher.orders.fields import LABELS, OWN
from watcher.orders.labels import missing_labels
from watcher.orders.lifecycle import label

_AT_ONCE = 500  # orders
NewValues = Callable[[Order], Mapping[str, Any]]  # values by their fields' names


class OrderDetails:
    """Records services, and labels as changes of their orders, which rules and events see."""

    def __init__(self, shared: Shared, recorder: ChangeRecorder, reviews: Reviews) -> None:
        self._store, self._watchlist = shared.store, shared.watchlist
        self._clock, self._locks = shared.clock, shared.locks
        self._recorder, self._reviews = recorder, reviews

    async def fill_in(self, given: Sequence[Order]) -> int:
        """Add services and labels that tracked orders lack; return how many orders got some.

        A known value does not change.
        """
        named = [(order.panel, order.id) for order in await self.name_services(given)]
        return len({*named, *await self._add_labels(given)})

    async def name_services(self, given: Sequence[Order]) -> list[Order]:
        """Set the services of tracked orders that have none; return these orders."""
        wanted = [order for order in given if order.service is not None and self._lacks(order)]
        if not wanted:
            return []
        async with self._locks.hold({order.panel for order in wanted}):
            now = self._clock()
            named = await self._store.orders.name_services(wanted)
            for order in named:
                self._name_service(order, now)
        return named

    async def label(self, panel: str, order_id: str, values: Mapping[str, Any]) -> None:
        """Set these labels of a tracked order."""
        await self._record(panel, {order_id: lambda order: values})

    async def _add_labels(self, given: Sequence[Order]) -> list[tuple[str, str]]:
        """Set labels that tracked orders don't have yet; return (panel, id) of those orders."""
        wanted: defaultdict[str, dict[str, Labels]] = defaultdict(dict)
        for order in given:
            labels = Labels(**{name: getattr(order, name) for name in LABELS})
            if labels != Labels():
                wanted[order.panel][order.id] = labels
        done: list[tuple[str, str]] = []
        for panel, labels_of in wanted.items():
            ids = list(labels_of)
            for start in range(0, len(ids), _AT_ONCE):
                some = {i: partial(missing_labels, labels_of[i]) for i in ids[start:][:_AT_ONCE]}
                done += [(panel, order_id) for order_id in await self._record(panel, some)]
        return done

    async def _record(self, panel: str, wanted: Mapping[str, NewValues]) -> list[str]:
        """Record the new values of orders, by their ids; return the ids of those that changed."""
        async with self._recorder.turn(panel):
            now = self._clock()
            orders = self._present(await self._store.orders.by_id(panel, list(wanted)))
            found = [label(order, wanted[order.id](order), now) for order in orders]
            changes = [change for change in found if change is not None]
            bad = await self._recorder.keep(panel, changes, now)
        for error in bad.values():
            raise error
        return [change.after.id for change in changes]

    def _present(self, stored: Iterable[Order]) -> Iterator[Order]:
        """Yield the orders as memory has them, with their own values, which it may lack."""
        for order in stored:
            live = self._watchlist.order(order.panel, order.id) or order
            own = {name: getattr(order, name) for name in OWN}
            yield msgspec.structs.replace(live, **own)

    def _lacks(self, order: Order) -> bool:
        """Return whether the order may have no service; for closed ones the database decides."""
        known = self._watchlist.order(order.panel, order.id)
        return known is None or known.service is None

    def _name_service(self, order: Order, now: float) -> None:
        known = self._watchlist.order(order.panel, order.id)
        if known is not None:
            self._watchlist.replace(msgspec.structs.replace(known, service=order.service))
            self._reviews.review_soon(order.panel, order.id, now)

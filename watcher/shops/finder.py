"""Finds the orders and refills that a shop's ids mean, and none but the shop's own.

Behind a key of one panel the ids are the panel's own, so that a shop goes on with what it has:
an order that the watcher does not know is looked up when the shop asks about it, and tracked once
the panel has told of it. There, an order is the shop's unless another shop placed it. Behind a key
of several panels their ids would collide: an order's id is that of the action that placed it, and
only orders that were placed with the key are the shop's. A refill is whose order it is.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from watcher.answers import LEFT_OUT
from watcher.book import Book
from watcher.clocks import Clock
from watcher.config import ActiveConfig, Shop
from watcher.intake import Intake
from watcher.model import Action, Kind, Order, Refill
from watcher.panels.protocol import is_id
from watcher.panels.protocol.refusals import Refusal
from watcher.panels.protocol.serve import whole
from watcher.shops.spelling import ARCHIVED, Fault
from watcher.station import Station
from watcher.store import Store
from watcher.tracking import new_order

LOOK_WITHIN = 3.0  # seconds that an answer waits for an order's first check
MOST_STRANGE = 10_000  # ids at a panel that are looked up at a time; more are only `Pending`


Place = tuple[str, str]  # a panel, and an id there


class Finder:
    """What ids mean."""

    def __init__(
        self,
        *,
        store: Store,
        book: Book,
        intake: Intake,
        stations: Mapping[str, Station],
        config: ActiveConfig,
        clock: Clock,
    ) -> None:
        self._store = store
        self._book = book
        self._intake = intake
        self._stations = stations
        self._config = config
        self._clock = clock

    async def orders(self, shop: Shop, texts: Sequence[str]) -> dict[str, Order | Fault]:
        """Return the orders by the shop's ids for them, each once."""
        places = await self._places(shop, texts)
        found: dict[Place, Order | Fault] = {}
        for panel, ids in _by_panel(places.values()).items():
            own = await self._own(shop, panel, ids)
            of_panel = await self._at(panel, own, takes_up=shop.panel is not None)
            found.update({(panel, order_id): order for order_id, order in of_panel.items()})
        unknown = Fault(Refusal.ORDER.text)
        return {text: found.get(places.get(text, ("", "")), unknown) for text in texts}

    async def refills(self, shop: Shop, texts: Sequence[str]) -> dict[str, Refill | None]:
        """Return the refills by the shop's ids for them, None for what is none of its own."""
        places = await self._refill_places(shop, texts)
        found: dict[Place, Refill] = {}
        for panel, ids in _by_panel(places.values()).items():
            tasks = await self._store.refills_by_id(panel, ids)
            own = await self._own(shop, panel, list({task.order for task in tasks}))
            found.update({(panel, task.id): task for task in tasks if task.order in own})
        return {text: found.get(places.get(text, ("", ""))) for text in texts}

    async def _own(self, shop: Shop, panel: str, ids: Sequence[str]) -> list[str]:
        """Return those of the panel's orders that the shop may ask about: the one place for it.

        A shop that is no longer configured counts for nothing: one that was renamed goes on.
        """
        others = {other.name for other in self._config.current.shops} - {shop.name}
        if not ids or (shop.panel is not None and not others):
            return [*ids]
        placers: defaultdict[str, set[str]] = defaultdict(set)
        for order_id, key in await self._store.placers(panel, ids):
            placers[order_id].add(_shop_in(key))
        if shop.panel is None:
            return [i for i in ids if shop.name in placers[i]]
        return [i for i in ids if shop.name in placers[i] or not placers[i] & others]

    async def _places(self, shop: Shop, texts: Sequence[str]) -> dict[str, Place]:
        if shop.panel is not None:
            return {text: (shop.panel, _plain(text)) for text in texts if is_id(text)}
        return {
            text: (action.panel, action.order)
            for text, action in (await self._actions(shop, texts, Kind.SUBMIT)).items()
            if action.order is not None
        }

    async def _refill_places(self, shop: Shop, texts: Sequence[str]) -> dict[str, Place]:
        if shop.panel is not None:
            return {text: (shop.panel, _plain(text)) for text in texts if is_id(text)}
        return {
            text: (action.panel, action.result)
            for text, action in (await self._actions(shop, texts, Kind.REFILL)).items()
            if action.result is not None
        }

    async def _actions(self, shop: Shop, texts: Sequence[str], kind: Kind) -> dict[str, Action]:
        numbers = {text: number for text in texts if (number := whole(text)) is not None}
        actions = {a.id: a for a in await self._store.actions_by_id([*numbers.values()])}
        found = {text: actions[number] for text, number in numbers.items() if number in actions}
        return {
            text: action
            for text, action in found.items()
            if action.kind is kind and action.panel in shop.panels
        }

    async def _at(
        self, panel: str, ids: Sequence[str], *, takes_up: bool
    ) -> dict[str, Order | Fault]:
        """Return the panel's orders by its ids."""
        found: dict[str, Order | Fault] = {**await self._known(panel, ids)}
        new = [o.id for o in found.values() if isinstance(o, Order) and _is_new(o)]
        strange = [order_id for order_id in ids if order_id not in found and takes_up]
        seconds = 0.0 if self._is_down(panel) else LOOK_WITHIN
        looked_up, _ = await asyncio.gather(
            self._look_up(panel, strange, seconds), self._intake.look(panel, new, seconds)
        )
        return found | looked_up | self._watched(panel, new)

    async def _known(self, panel: str, ids: Sequence[str]) -> dict[str, Order]:
        found = self._watched(panel, ids)
        missing = [order_id for order_id in ids if order_id not in found]
        if missing:  # closed, or archived, or never seen
            closed = await self._store.orders_by_id(panel, missing)
            found.update({order.id: order for order in closed})
        return found

    def _watched(self, panel: str, ids: Iterable[str]) -> dict[str, Order]:
        orders = ((order_id, self._book.order(panel, order_id)) for order_id in ids)
        return {order_id: order for order_id, order in orders if order is not None}

    async def _look_up(
        self, panel: str, strange: Sequence[str], seconds: float
    ) -> dict[str, Order | Fault]:
        """Return what the panel has told of orders that nobody tracks, as far as it has."""
        if not strange:
            return {}
        archived = await self._store.archived(panel, strange)
        faults: dict[str, Order | Fault] = dict.fromkeys(archived, Fault(ARCHIVED))
        ids, now = [i for i in strange if i not in archived], self._clock()
        pending: dict[str, Order | Fault] = {i: new_order(panel, i, now) for i in ids}
        station = self._stations.get(panel)
        if station is None:
            return pending | faults
        poller = station.poller
        room = max(0, MOST_STRANGE - len(poller.strangers))
        await poller.look_up(ids[:room], seconds)
        known, now = await self._known(panel, ids), self._clock()
        for order_id in ids:
            refusal = poller.strangers.refusal(order_id, now)
            if refusal is not None:
                faults[order_id] = Fault(Refusal.ORDER.text if refusal == LEFT_OUT else refusal)
        return pending | faults | known

    def _is_down(self, panel: str) -> bool:
        station = self._stations.get(panel)
        return station is None or station.line.paused_until(self._clock()) is not None


def _is_new(order: Order) -> bool:
    """Whether its panel has never said anything of it."""
    return order.checked_at is None and order.problem is None


def order_key(shop: Shop, rest: str) -> str:
    """What the idempotency key of a shop's order begins with."""
    return f"shop:{shop.name}:{rest}"


def _shop_in(key: str) -> str:
    """Return the shop in the idempotency key of an order, "" where no shop placed it."""
    kind, _, rest = key.partition(":")
    return rest.partition(":")[0] if kind == "shop" else ""


def _by_panel(places: Iterable[Place]) -> dict[str, list[str]]:
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for panel, name in dict.fromkeys(places):
        ids[panel].append(name)
    return ids


def _plain(text: str) -> str:
    """The id as panels write it: 007 is 7."""
    number = whole(text)
    return text if number is None else str(number)

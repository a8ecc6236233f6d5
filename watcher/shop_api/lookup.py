"""Finds the orders and refills for a shop's ids; a shop sees only its own.

With a key of one panel, the ids are the panel's, so a shop keeps its older orders. An unknown order
is looked up when the shop asks about it, and tracked once the panel has answered about it. An order
is the shop's unless another shop placed it.

With a key of several panels, whose ids could collide, an order's id is that of the action that
placed it, and only orders placed with the key are the shop's. A refill belongs to the shop of its
order.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from watcher.common.clock import Clock
from watcher.config import ActiveConfig, Shop
from watcher.daemon.commands import OrderCommands
from watcher.daemon.panel_workers import PanelWorkers
from watcher.daemon.poll_answers import LEFT_OUT
from watcher.model import Kind, Order, Refill
from watcher.orders.tracking import new_order
from watcher.orders.watchlist import Watchlist
from watcher.panels.protocol import is_id
from watcher.panels.protocol.refusals import Refusal
from watcher.panels.protocol.serve import whole
from watcher.shop_api.encoding import ARCHIVED, ShopError
from watcher.store import Store

LOOK_WITHIN = 3.0  # seconds that an answer waits for an order's first check
MOST_UNTRACKED = 10_000  # ids looked up at a panel at a time; the others are `Pending`


Place = tuple[str, str]  # a panel, and an id there


class OrderLookup:
    """Looks up the orders and refills of shops."""

    def __init__(
        self,
        *,
        store: Store,
        watchlist: Watchlist,
        commands: OrderCommands,
        panel_workers: Mapping[str, PanelWorkers],
        config: ActiveConfig,
        clock: Clock,
    ) -> None:
        self._store = store
        self._watchlist = watchlist
        self._commands = commands
        self._panel_workers = panel_workers
        self._config = config
        self._clock = clock

    async def orders(self, shop: Shop, texts: Sequence[str]) -> dict[str, Order | ShopError]:
        """Return the orders by the shop's ids, each once."""
        places = await self._places(shop, texts, Kind.SUBMIT)
        found: dict[Place, Order | ShopError] = {}
        for panel, ids in _by_panel(places.values()).items():
            own = await self._own(shop, panel, ids)
            of_panel = await self._at(panel, own, takes_up=shop.panel is not None)
            found.update({(panel, order_id): order for order_id, order in of_panel.items()})
        unknown = ShopError(Refusal.ORDER.text)
        return {text: found.get(places.get(text, ("", "")), unknown) for text in texts}

    async def panels(self, shop: Shop, texts: Sequence[str]) -> dict[str, list[str]]:
        """Return the shop's ids of orders by the orders' panels; "" is that of unknown ids."""
        places = await self._places(shop, texts, Kind.SUBMIT)
        found: defaultdict[str, list[str]] = defaultdict(list)
        for text in dict.fromkeys(texts):
            found[places.get(text, ("", ""))[0]].append(text)
        return found

    async def refills(self, shop: Shop, texts: Sequence[str]) -> dict[str, Refill | None]:
        """Return the refills by the shop's ids, None for those of other shops."""
        places = await self._places(shop, texts, Kind.REFILL)
        found: dict[Place, Refill] = {}
        for panel, ids in _by_panel(places.values()).items():
            tasks = await self._store.refills.by_id(panel, ids)
            own = await self._own(shop, panel, list({task.order for task in tasks}))
            found.update({(panel, task.id): task for task in tasks if task.order in own})
        return {text: found.get(places.get(text, ("", ""))) for text in texts}

    async def _own(self, shop: Shop, panel: str, ids: Sequence[str]) -> list[str]:
        """Return those of the panel's orders that the shop may see; the only place that decides it.

        Shops that are no longer configured do not count, so a renamed shop keeps its orders.
        """
        others = {other.name for other in self._config.current.shops} - {shop.name}
        if not ids or (shop.panel is not None and not others):
            return [*ids]
        placers: defaultdict[str, set[str]] = defaultdict(set)
        for order_id, key in await self._store.actions.placers(panel, ids):
            placers[order_id].add(_shop_in(key))
        if shop.panel is None:
            return [i for i in ids if shop.name in placers[i]]
        return [i for i in ids if shop.name in placers[i] or not placers[i] & others]

    async def _places(self, shop: Shop, texts: Sequence[str], kind: Kind) -> dict[str, Place]:
        """Return panel and id of the orders, or refills, for the shop's ids."""
        if shop.panel is not None:
            return {text: (shop.panel, _plain(text)) for text in texts if is_id(text)}
        numbers = {text: number for text in texts if (number := whole(text)) is not None}
        actions = {a.id: a for a in await self._store.actions.by_id([*numbers.values()])}
        places: dict[str, Place] = {}
        for text, number in numbers.items():
            action = actions.get(number)
            if action is None or action.kind is not kind or action.panel not in shop.panels:
                continue
            found = action.order if kind is Kind.SUBMIT else action.result
            if found is not None:
                places[text] = action.panel, found
        return places

    async def _at(
        self, panel: str, ids: Sequence[str], *, takes_up: bool
    ) -> dict[str, Order | ShopError]:
        """Return the panel's orders by its ids."""
        found: dict[str, Order | ShopError] = {**await self._known(panel, ids)}
        new = [o.id for o in found.values() if isinstance(o, Order) and _is_new(o)]
        untracked = [order_id for order_id in ids if order_id not in found and takes_up]
        seconds = 0.0 if self._is_down(panel) else LOOK_WITHIN
        looked_up, _ = await asyncio.gather(
            self._look_up(panel, untracked, seconds), self._commands.look(panel, new, seconds)
        )
        return found | looked_up | self._watched(panel, new)

    async def _known(self, panel: str, ids: Sequence[str]) -> dict[str, Order]:
        found = self._watched(panel, ids)
        missing = [order_id for order_id in ids if order_id not in found]
        if missing:  # closed, or archived, or never seen
            closed = await self._store.orders.by_id(panel, missing)
            found.update({order.id: order for order in closed})
        return found

    def _watched(self, panel: str, ids: Iterable[str]) -> dict[str, Order]:
        orders = ((order_id, self._watchlist.order(panel, order_id)) for order_id in ids)
        return {order_id: order for order_id, order in orders if order is not None}

    async def _look_up(
        self, panel: str, untracked: Sequence[str], seconds: float
    ) -> dict[str, Order | ShopError]:
        """Look up orders that are not tracked; return what the panel has answered so far."""
        if not untracked:
            return {}
        archived = await self._store.archive.archived(panel, untracked)
        faults: dict[str, Order | ShopError] = dict.fromkeys(archived, ShopError(ARCHIVED))
        ids, now = [i for i in untracked if i not in archived], self._clock()
        pending: dict[str, Order | ShopError] = {i: new_order(panel, i, now) for i in ids}
        workers = self._panel_workers.get(panel)
        if workers is None:
            return pending | faults
        poller = workers.poller
        room = max(0, MOST_UNTRACKED - len(poller.untracked))
        await poller.look_up(ids[:room], seconds)
        known, now = await self._known(panel, ids), self._clock()
        for order_id in ids:
            refusal = poller.untracked.refusal(order_id, now)
            if refusal is not None:
                faults[order_id] = ShopError(Refusal.ORDER.text if refusal == LEFT_OUT else refusal)
        return pending | faults | known

    def _is_down(self, panel: str) -> bool:
        workers = self._panel_workers.get(panel)
        return workers is None or workers.gateway.paused_until(self._clock()) is not None


def _is_new(order: Order) -> bool:
    """Return whether the panel has never answered about the order."""
    return order.checked_at is None and order.problem is None


def order_key(shop: Shop, rest: str) -> str:
    """Return the idempotency key of a shop's order."""
    return f"shop:{shop.name}:{rest}"


def _shop_in(key: str) -> str:
    """Return the shop in an order's idempotency key, "" if no shop placed it."""
    kind, _, rest = key.partition(":")
    return rest.partition(":")[0] if kind == "shop" else ""


def _by_panel(places: Iterable[Place]) -> dict[str, list[str]]:
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for panel, name in dict.fromkeys(places):
        ids[panel].append(name)
    return ids


def _plain(text: str) -> str:
    """Return the id as panels write it: 7 for 007."""
    number = whole(text)
    return text if number is None else str(number)

"""Finds the orders and refills that a shop's ids mean.

Behind a key of one panel the ids are the panel's own, so that a shop goes on with what it has:
an order that the watcher does not know is tracked as soon as the shop asks about it. Behind a key
of several panels their ids would collide: there an order's id is that of the action that placed it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from watcher.book import Book
from watcher.config import Shop
from watcher.intake import Intake, new_order
from watcher.model import Action, Kind, Order, Refill, Status
from watcher.panels.protocol import is_id
from watcher.panels.protocol.refusals import Refusal
from watcher.panels.protocol.serve import whole
from watcher.shops.spelling import ARCHIVED, TOO_MANY_STRANGE, Fault
from watcher.station import Station
from watcher.store import Store

LOOK_WITHIN = 3.0  # seconds that an answer waits for an order's first check
MOST_STRANGE = 10_000  # orders at a panel that it has not told of: above it none is taken up


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
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._book = book
        self._intake = intake
        self._stations = stations
        self._clock = clock

    async def orders(self, shop: Shop, texts: Sequence[str]) -> dict[str, Order | Fault]:
        """The orders by the shop's ids for them, each once."""
        places = await self._places(shop, texts)
        by_panel: defaultdict[str, list[str]] = defaultdict(list)
        for panel, order_id in dict.fromkeys(places.values()):
            by_panel[panel].append(order_id)
        found: dict[Place, Order | Fault] = {}
        for panel, ids in by_panel.items():
            of_panel = await self._at(panel, ids, takes_up=shop.panel is not None)
            found.update({(panel, order_id): order for order_id, order in of_panel.items()})
        unknown = Fault(Refusal.ORDER.text)
        return {text: found.get(places.get(text, ("", "")), unknown) for text in texts}

    async def refills(self, shop: Shop, texts: Sequence[str]) -> dict[str, Refill | None]:
        """The refills by the shop's ids for them."""
        if shop.panel is not None:
            places = {text: (shop.panel, _plain(text)) for text in texts}
        else:
            actions = await self._actions(texts)
            places = {
                text: (action.panel, action.result)
                for text, action in actions.items()
                if action.kind is Kind.REFILL and action.result and action.panel in shop.panels
            }
        found: dict[Place, Refill] = {}
        for panel in {panel for panel, _ in places.values()}:
            ids = [refill_id for name, refill_id in places.values() if name == panel]
            tasks = await self._store.refills_by_id(panel, ids)
            found.update({(panel, task.id): task for task in tasks})
        return {text: found.get(places.get(text, ("", ""))) for text in texts}

    async def _places(self, shop: Shop, texts: Sequence[str]) -> dict[str, Place]:
        if shop.panel is not None:
            return {text: (shop.panel, _plain(text)) for text in texts if is_id(text)}
        return {
            text: (action.panel, action.order)
            for text, action in (await self._actions(texts)).items()
            if action.order is not None and _is_of(action, shop)
        }

    async def _actions(self, texts: Sequence[str]) -> dict[str, Action]:
        numbers = {text: number for text in texts if (number := whole(text)) is not None}
        actions = {a.id: a for a in await self._store.actions_by_id([*numbers.values()])}
        return {text: actions[number] for text, number in numbers.items() if number in actions}

    async def _at(
        self, panel: str, ids: Sequence[str], *, takes_up: bool
    ) -> dict[str, Order | Fault]:
        """The panel's orders by its ids."""
        found: dict[str, Order | Fault] = {**self._watched(panel, ids)}
        missing = [order_id for order_id in ids if order_id not in found]
        if missing:  # closed, or archived, or never seen
            closed = await self._store.orders_by_id(panel, missing)
            found.update({order.id: order for order in closed})
            strange = [order_id for order_id in missing if order_id not in found]
            if strange and takes_up:
                found.update(await self._take_up(panel, strange))
        new = [o.id for o in found.values() if isinstance(o, Order) and _is_new(o)]
        if new:
            await self._intake.look(panel, new, 0.0 if self._is_down(panel) else LOOK_WITHIN)
            found.update(self._watched(panel, new))
        return found

    def _watched(self, panel: str, ids: Iterable[str]) -> dict[str, Order]:
        orders = ((order_id, self._book.order(panel, order_id)) for order_id in ids)
        return {order_id: order for order_id, order in orders if order is not None}

    async def _take_up(self, panel: str, strange: Sequence[str]) -> dict[str, Order | Fault]:
        """Track the orders from now on, or say why not."""
        archived = await self._store.archived(panel, strange)
        new = [order_id for order_id in strange if order_id not in archived]
        faults: dict[str, Order | Fault] = dict.fromkeys(archived, Fault(ARCHIVED))
        if self._book.counts[panel, Status.UNKNOWN] + len(new) > MOST_STRANGE:
            return faults | dict.fromkeys(new, Fault(TOO_MANY_STRANGE))
        now = self._clock()
        await self._intake.track([new_order(panel, order_id, now) for order_id in new])
        return faults | self._watched(panel, new)

    def _is_down(self, panel: str) -> bool:
        station = self._stations.get(panel)
        return station is None or station.line.paused_until(self._clock()) is not None


def _is_new(order: Order) -> bool:
    """Whether its panel has never said anything of it."""
    return order.checked_at is None and order.problem is None


def order_key(shop: Shop, rest: str) -> str:
    """What the idempotency key of a shop's order begins with."""
    return f"shop:{shop.name}:{rest}"


def _is_of(action: Action, shop: Shop) -> bool:
    key = action.idempotency_key or ""
    return key.startswith(order_key(shop, "")) and action.panel in shop.panels


def _plain(text: str) -> str:
    """The id as panels write it: 007 is 7."""
    number = whole(text)
    return text if number is None else str(number)

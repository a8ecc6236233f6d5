"""Orders, refills and cancels of shops: all are planned as actions."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from uuid import uuid4

import msgspec

from watcher.common.clock import Clock
from watcher.common.pauses import Paused
from watcher.config import Shop
from watcher.daemon.commands import OrderCommands
from watcher.daemon.panel_workers import PanelWorkers
from watcher.errors import RequestError
from watcher.model import FINAL, Action, ActionPlan, ActionState, Kind, Order
from watcher.orders.fields import LABELS
from watcher.orders.labels import labels_from, tags_in
from watcher.panels.protocol.refusals import Refusal, RefusedAnswer
from watcher.shop_api.encoding import LOOKED_UP, ShopError, status_row
from watcher.shop_api.lookup import OrderLookup, order_key

ANSWER_WITHIN = 25.0  # seconds that a shop waits for the panel; shops often time out after 30
NOT_SENT = "The panel can't be reached now: nothing was sent to it, try again later"
NOT_KNOWN = (
    "The panel has not answered: whether it did this is not known, and it is not sent again."
    " See action {} of the watcher"
)


class Ordering:
    """Plans a shop's actions and waits for their outcome."""

    def __init__(
        self,
        *,
        commands: OrderCommands,
        lookup: OrderLookup,
        panel_workers: Mapping[str, PanelWorkers],
        clock: Clock,
    ) -> None:
        self._commands = commands
        self._lookup = lookup
        self._panel_workers = panel_workers
        self._clock = clock

    async def add(self, shop: Shop, sent: Mapping[str, str]) -> str:
        """Place an order; return its id; a repetition gets the id of the first."""
        place = shop.service(sent.get("service", "").strip())
        if place is None or not place[1]:
            raise RefusedAnswer(Refusal.SERVICE)
        panel, service = place
        given = {name: value for name, value in sent.items() if name not in ("key", "action")}
        given["service"] = service
        params = {name: value for name, value in given.items() if name not in LABELS}
        plan = ActionPlan(
            kind=Kind.SUBMIT,
            panel=panel,
            params=params,
            labels=labels_from({**given, "tags": tags_in(given.get("tags", ""))}),
            reason=f"shop {shop.name}",
            idempotency_key=order_key(shop, _likeness(shop, panel, given)),
        )
        action = await self._commands.submit_once(plan, shop.duplicate_within)
        order_id = _id(shop, await self._result(action))
        if isinstance(order_id, ShopError):
            raise RequestError(order_id)
        return order_id

    async def act(self, shop: Shop, kind: Kind, texts: Sequence[str]) -> dict[str, str | ShopError]:
        """Plan an action for each order; return each result, for an accepted refill its id."""
        found = await self._lookup.orders(shop, texts)
        checked = {text: _checked(kind, order) for text, order in found.items()}
        good = {text: order for text, order in checked.items() if isinstance(order, Order)}
        planned = await self._commands.act_on(kind, [*good.values()], f"shop {shop.name}")
        results = await asyncio.gather(*map(self._result, planned))
        ids = dict(zip(good, (_id(shop, result) for result in results), strict=True))
        return {
            text: order if isinstance(order, ShopError) else ids[text]
            for text, order in checked.items()
        }

    async def _result(self, action: Action | RequestError) -> Action | ShopError:
        """Return the action once accepted, or why not; withdraw it if it can't be sent."""
        if isinstance(action, RequestError):
            return ShopError(action)
        until = time.monotonic() + ANSWER_WITHIN
        while action.state in (ActionState.PLANNED, ActionState.SENDING):
            left = until - time.monotonic()
            if left <= 0 or (action.state is ActionState.PLANNED and self._rests(action, left)):
                break
            action = await self._commands.wait_for(action, left)
        if action.state is ActionState.PLANNED:
            action = await self._commands.withdraw(action, NOT_SENT)
        if action.state is ActionState.ACCEPTED:
            return action
        if action.state is ActionState.REJECTED:
            return ShopError(action.answer or "the panel refused it")
        return ShopError(NOT_KNOWN.format(action.id))

    def _rests(self, action: Action, seconds: float) -> bool:
        """Return whether nothing will be sent to the panel for so many `seconds`."""
        workers = self._panel_workers.get(action.panel)
        if workers is None:
            return True
        until, by_hand = self._clock() + seconds, workers.gateway.paused(Paused.ACTIONS)
        if by_hand is not None and by_hand.holds(until):
            return True
        paused_until = workers.gateway.paused_until(self._clock())
        return paused_until is not None and paused_until > until


def _checked(kind: Kind, order: Order | ShopError) -> Order | ShopError:
    """Return the order, or the known reason why nothing can be done for it."""
    if isinstance(order, ShopError):
        return order
    if kind is Kind.CANCEL and order.status in FINAL:
        return ShopError(Refusal.CANCEL_FINISHED.text)
    row = status_row(order)
    if "error" in row:
        return ShopError(row["error"])
    is_known = order.checked_at is not None or order.service is not None
    return order if is_known else ShopError(LOOKED_UP)  # it may not exist


def _id(shop: Shop, result: Action | ShopError) -> str | ShopError:
    """Return the shop's id for the result of an accepted action."""
    if isinstance(result, ShopError):
        return result
    # A refill that the panel accepted without an id can't be asked about.
    return (result.result or "1") if shop.panel else str(result.id)


def _likeness(shop: Shop, panel: str, given: Mapping[str, str]) -> str:
    """Return a text that repeated orders share; a random one if the guard is off."""
    if not shop.duplicate_within:
        return uuid4().hex
    return sha256(msgspec.json.encode([panel, sorted(given.items())])).hexdigest()

"""Where shops order, refill and cancel: all of it through the intent log."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from uuid import uuid4

import msgspec

from watcher.clocks import Clock
from watcher.config import Shop
from watcher.errors import RequestError
from watcher.intake import Intake
from watcher.model import FINAL, Action, ActionPlan, ActionState, Kind, Order
from watcher.panels.protocol.refusals import Refusal, Refused
from watcher.shops.finder import Finder, order_key
from watcher.shops.spelling import LOOKED_UP, Fault, status_row
from watcher.station import Station

ANSWER_WITHIN = 25.0  # seconds that a shop waits for the panel; its own time-outs are often 30
NOT_SENT = "The panel can't be reached now: nothing was sent to it, try again later"
NOT_KNOWN = (
    "The panel has not answered: whether it did this is not known, and it is not sent again."
    " See action {} of the watcher"
)


class Till:
    """Sends what costs or changes something, and tells the shop what came of it."""

    def __init__(
        self,
        *,
        intake: Intake,
        finder: Finder,
        stations: Mapping[str, Station],
        clock: Clock,
    ) -> None:
        self._intake = intake
        self._finder = finder
        self._stations = stations
        self._clock = clock

    async def add(self, shop: Shop, sent: Mapping[str, str]) -> str:
        """The new order's id; a repetition gives the one that it repeats."""
        place = shop.service(sent.get("service", "").strip())
        if place is None or not place[1]:
            raise Refused(Refusal.SERVICE)
        panel, service = place
        params = {name: value for name, value in sent.items() if name not in ("key", "action")}
        params["service"] = service
        plan = ActionPlan(
            kind=Kind.SUBMIT,
            panel=panel,
            params=params,
            reason=f"shop {shop.name}",
            idempotency_key=order_key(shop, _likeness(shop, panel, params)),
        )
        action = await self._intake.submit_once(plan, shop.duplicate_within)
        order_id = _id(shop, await self._result(action))
        if isinstance(order_id, Fault):
            raise RequestError(order_id)
        return order_id

    async def act(self, shop: Shop, kind: Kind, texts: Sequence[str]) -> dict[str, str | Fault]:
        """What the panels gave for each id: of an accepted refill, the shop's id for it."""
        found = await self._finder.orders(shop, texts)
        checked = {text: _checked(kind, order) for text, order in found.items()}
        good = {text: order for text, order in checked.items() if isinstance(order, Order)}
        planned = await self._intake.act_on(kind, [*good.values()], f"shop {shop.name}")
        results = await asyncio.gather(*map(self._result, planned))
        ids = dict(zip(good, (_id(shop, result) for result in results), strict=True))
        return {
            text: order if isinstance(order, Fault) else ids[text]
            for text, order in checked.items()
        }

    async def _result(self, action: Action | RequestError) -> Action | Fault:
        """The action once it is accepted, or why it is not; one that can't be sent is given up."""
        if isinstance(action, RequestError):
            return Fault(action)
        until = time.monotonic() + ANSWER_WITHIN
        while action.state in (ActionState.PLANNED, ActionState.SENDING):
            left = until - time.monotonic()
            if left <= 0 or (action.state is ActionState.PLANNED and self._rests(action, left)):
                break
            action = await self._intake.wait_for(action, left)
        if action.state is ActionState.PLANNED:
            action = await self._intake.withdraw(action, NOT_SENT)
        if action.state is ActionState.ACCEPTED:
            return action
        if action.state is ActionState.REJECTED:
            return Fault(action.answer or "the panel refused it")
        return Fault(NOT_KNOWN.format(action.id))

    def _rests(self, action: Action, seconds: float) -> bool:
        """Whether nothing will be sent to the panel for so long."""
        station = self._stations.get(action.panel)
        until = station.line.paused_until(self._clock()) if station else None
        return station is None or (until is not None and until > self._clock() + seconds)


def _checked(kind: Kind, order: Order | Fault) -> Order | Fault:
    """The order, unless it is known without asking that nothing can be done for it."""
    if isinstance(order, Fault):
        return order
    if kind is Kind.CANCEL and order.status in FINAL:
        return Fault(Refusal.CANCEL_FINISHED.text)
    row = status_row(order)
    if "error" in row:
        return Fault(row["error"])
    is_known = order.checked_at is not None or order.service is not None
    return order if is_known else Fault(LOOKED_UP)  # it may not be there


def _id(shop: Shop, result: Action | Fault) -> str | Fault:
    """What the shop knows the result of an accepted action by."""
    if isinstance(result, Fault):
        return result
    # A refill that the panel accepted without an id has none that could be asked about.
    return (result.result or "1") if shop.panel else str(result.id)


def _likeness(shop: Shop, panel: str, params: Mapping[str, str]) -> str:
    """What two orders have in common that are the same; nothing where the guard is off."""
    if not shop.duplicate_within:
        return uuid4().hex
    return sha256(msgspec.json.encode([panel, sorted(params.items())])).hexdigest()

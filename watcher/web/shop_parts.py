"""Shops in a cluster: each panel's leader answers for its orders, and the parts are joined.

A shop never sees which node leads a panel. Statuses come from the database while no leader
answers; actions are refused then, and nothing is done.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from watcher.config import Shop
from watcher.errors import NotLed, WatcherError
from watcher.shop_api import ShopHandlers
from watcher.shop_api.encoding import error as row_error
from watcher.shop_api.encoding import rows
from watcher.web.context import CONTEXT
from watcher.web.forwarding import FORWARDER, AnswerLost, leader_elsewhere
from watcher.web.guard import DROP_IN, FORM

Sent = Mapping[str, str]


async def answer_for(
    request: web.Request, handlers: ShopHandlers, shop: Shop, sent: Sent
) -> object:
    """Return the answer to a shop. Raises NotLed, AnswerLost, StoreError."""
    if not request.app[CONTEXT].leadership.is_clustered:
        return await handlers.answer(shop, sent)
    parts = await handlers.by_panel(shop, sent)
    if not any(leader_elsewhere(request, panel) for panel in parts):
        return await handlers.answer(shop, sent)
    asked = [_ask(request, handlers, shop, panel, part) for panel, part in parts.items()]
    if len(asked) == 1:
        return await asked[0]
    return _joined([*parts.values()], await asyncio.gather(*asked, return_exceptions=True))


async def _ask(
    request: web.Request, handlers: ShopHandlers, shop: Shop, panel: str, part: Sent
) -> object:
    """Return the answer of the panel's leader; if there is none, a status as it is known here."""
    if leader_elsewhere(request, panel) is None:
        return await handlers.answer(shop, part)
    try:
        return await _leaders_answer(request, shop, panel, part)
    except NotLed:
        if part.get("action") != "status":
            raise
        return await handlers.answer(shop, part)


async def _leaders_answer(request: web.Request, shop: Shop, panel: str, part: Sent) -> object:
    forwarder, headers = request.app[FORWARDER], {"Content-Type": FORM}
    body = urlencode({**part, "key": shop.key.reveal()}).encode()
    reply = await forwarder.send(request, panel, "POST", DROP_IN, body, headers)
    try:
        found: Any = msgspec.json.decode(reply.body)
    except (msgspec.MsgspecError, ValueError):
        raise AnswerLost(f"the leader of {panel} gave an answer that can't be read") from None
    if reply.status == NotLed.status:
        raise NotLed(panel)
    return found


def _joined(parts: Sequence[Sent], answers: Sequence[Any]) -> object:
    """Join the answers about several orders; a part that failed fails for its orders only."""
    whole = [_rows(part, answer) for part, answer in zip(parts, answers, strict=True)]
    if isinstance(whole[0], list):
        return [row for some in whole for row in some]
    return {name: row for some in whole for name, row in some.items()}


def _rows(part: Sent, answer: Any) -> Any:
    """Return an answer as a row for each order, also if it is one error for all of them."""
    if isinstance(answer, BaseException) and not isinstance(answer, WatcherError):
        raise answer
    failed = isinstance(answer, WatcherError)
    if not failed and not (isinstance(answer, dict) and set(answer) == {"error"}):
        return answer
    error = row_error(str(answer) if failed else str(answer["error"]))
    results = dict.fromkeys(part["orders"].split(","), error)
    action = part["action"]
    return results if action == "status" else rows("order", action, results)

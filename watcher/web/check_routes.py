"""The API's calls that check orders at once."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from aiohttp import web

from watcher.common.wording import counted
from watcher.daemon.check_outcomes import CheckOutcome, OrderCheck
from watcher.errors import RequestError
from watcher.web.caller import caller_of, note
from watcher.web.check_shapes import CheckAnswer, CheckList, ChecksRequest, CheckView
from watcher.web.context import BACKEND, Param, Route, WebContext, read_body
from watcher.web.delivery_shapes import OrderName
from watcher.web.forwarding import leader_elsewhere, spread
from watcher.web.principal import principal_of
from watcher.web.shapes import FaultAnswer
from watcher.web.views import moment_or_none, money

WAIT, LONGEST_WAIT = 10.0, 25.0  # seconds
MOST_AT_ONCE = 64  # requests that wait


async def check(context: WebContext, request: web.Request) -> tuple[int, CheckAnswer]:
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    seconds = _wait(request)
    found = await context.checks.check_one(panel, order_id, caller_of(request).name, seconds)
    view = check_view(context, found)
    return _status([view]), CheckAnswer(view)


async def check_all(context: WebContext, request: web.Request) -> tuple[int, CheckList]:
    body = await read_body(request, ChecksRequest)
    places = [(item.panel, str(item.order)) for item in body.orders]
    panels = {panel for panel, _ in places}
    for panel in panels:
        principal_of(request).check_panel(panel)
    note(
        request,
        panel=panels.pop() if len(panels) == 1 else None,
        detail=counted(len(places), "order"),
    )
    found = await check_each(request, places, body.wait)
    return _status(found), CheckList(found)


async def check_each(
    request: web.Request, places: Sequence[tuple[str, str]], wait: float
) -> list[CheckView]:
    """Check the orders (panel, id), each once; wait so many seconds for the panels' answers."""
    context, caller = request.app[BACKEND], caller_of(request).name
    places = list(dict.fromkeys(places))
    mine = [place for place in places if leader_elsewhere(request, place[0]) is None]
    (_, others), own = await asyncio.gather(
        spread(
            request,
            places,
            lambda place: place[0],
            "/v1/checks",
            lambda some: ChecksRequest([OrderName(*place) for place in some], wait),
            CheckList,
        ),
        context.checks.check(mine, caller, wait),
    )
    views = {(one.panel, one.order_id): check_view(context, one) for one in own}
    for some, answer in others:
        if isinstance(answer, RequestError):
            views |= {place: _unanswered(place, answer) for place in some}
        else:
            views |= {(one.panel, one.order): one for one in answer.checks}
    return [views[place] for place in places if place in views]


def _unanswered(place: tuple[str, str], error: RequestError) -> CheckView:
    """Return the view of an order of which another node, its leader, has told nothing."""
    panel, order_id = place
    return CheckView(
        panel=panel,
        order=order_id,
        outcome=CheckOutcome.WAITING,
        sentence=str(error),
        why=None,
        until=None,
        changes={},
        state=None,
    )


def check_view(context: WebContext, check: OrderCheck) -> CheckView:
    """Return a check for an answer."""
    return CheckView(
        panel=check.panel,
        order=check.order_id,
        outcome=check.outcome,
        sentence=check.sentence,
        why=check.why,
        until=moment_or_none(check.until),
        changes={name: [_plain(value) for value in both] for name, both in check.changes.items()},
        state=None if check.order is None else context.view(check.order),
    )


def _plain(value: object) -> object:
    return money(value) if isinstance(value, Decimal) else value


def _status(checks: Sequence[CheckView]) -> int:
    """Return 202 while some wait for their answer."""
    return 202 if any(one.outcome is CheckOutcome.WAITING for one in checks) else 200


def _wait(request: web.Request) -> float:
    text = request.query.get("wait")
    try:
        seconds = WAIT if text is None else float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= LONGEST_WAIT:
        raise RequestError(f"wait: from 0 to {LONGEST_WAIT:g} seconds")
    return seconds


ROUTES = (
    Route(
        method="POST",
        path="/v1/orders/{panel}/{order}/check",
        handler=check,
        at_once=MOST_AT_ONCE,
        summary="Check the order with the panel's next request. 202 while it has no answer.",
        params=(
            Param(
                "wait",
                {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT, "default": WAIT},
                "How many seconds the answer may wait for the panel.",
            ),
        ),
        gives={200: CheckAnswer, 202: CheckAnswer, 404: FaultAnswer, 409: FaultAnswer},
    ),
    Route(
        method="POST",
        path="/v1/checks",
        handler=check_all,
        at_once=MOST_AT_ONCE,
        summary="Check up to 1,000 orders with the next requests. 202 while some have no answer.",
        takes=ChecksRequest,
        gives={200: CheckList, 202: CheckList},
    ),
)

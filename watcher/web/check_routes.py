"""The API's calls that check orders at once."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from aiohttp import web

from watcher.common.wording import counted
from watcher.daemon.check_outcomes import CheckOutcome, OrderCheck
from watcher.errors import RequestError
from watcher.orders.tracking import OrderRef
from watcher.web.caller import caller_of, note
from watcher.web.check_shapes import CheckAnswer, CheckList, ChecksRequest, CheckView
from watcher.web.context import CONTEXT, Param, Route, WebContext, read_body
from watcher.web.delivery_shapes import OrderName
from watcher.web.forwarding import leader_elsewhere, spread
from watcher.web.principal import principal_of
from watcher.web.shapes import FaultAnswer, OrderView
from watcher.web.views import moment_or_none, money, view_of

WAIT, LONGEST_WAIT = 10.0, 25.0  # seconds
MOST_AT_ONCE = 64  # requests that wait


async def check(context: WebContext, request: web.Request) -> tuple[int, CheckAnswer]:
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    seconds = _wait(request)
    found = await context.checks.check_one(panel, order_id, caller_of(request).name, seconds)
    (view,) = await check_views(context, [found])
    return _status([view]), CheckAnswer(view)


async def check_all(context: WebContext, request: web.Request) -> tuple[int, CheckList]:
    body = await read_body(request, ChecksRequest)
    refs = [(item.panel, str(item.order)) for item in body.orders]
    panels = {panel for panel, _ in refs}
    for panel in panels:
        principal_of(request).check_panel(panel)
    note(
        request,
        panel=panels.pop() if len(panels) == 1 else None,
        detail=counted(len(refs), "order"),
    )
    found = await check_each(request, refs, body.wait)
    return _status(found), CheckList(found)


async def check_each(
    request: web.Request, refs: Sequence[OrderRef], wait: float
) -> list[CheckView]:
    """Check the orders (panel, id), each once; wait so many seconds for the panels' answers."""
    context, caller = request.app[CONTEXT], caller_of(request).name
    refs = list(dict.fromkeys(refs))
    mine = [ref for ref in refs if leader_elsewhere(request, ref[0]) is None]
    (_, others), own = await asyncio.gather(
        spread(
            request,
            refs,
            lambda ref: ref[0],
            "/v1/checks",
            lambda some: ChecksRequest([OrderName(*ref) for ref in some], wait),
            CheckList,
        ),
        context.checks.check(mine, caller, wait),
    )
    views = {(one.panel, one.order): one for one in await check_views(context, own)}
    for some, answer in others:
        if isinstance(answer, RequestError):
            views |= {ref: _unanswered(ref, answer) for ref in some}
        else:
            views |= {(one.panel, one.order): one for one in answer.checks}
    return [views[ref] for ref in refs if ref in views]


def _unanswered(ref: OrderRef, error: RequestError) -> CheckView:
    """Return the view of an order about which its leader, another node, sent no answer."""
    panel, order_id = ref
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


async def check_views(context: WebContext, checks: Sequence[OrderCheck]) -> list[CheckView]:
    """Return the checks for an answer, with the orders as they are now."""
    ids: dict[str, list[str]] = {}
    for one in checks:
        if one.outcome is not CheckOutcome.NOT_WATCHED:
            ids.setdefault(one.panel, []).append(one.order_id)
    orders = {
        (panel, order.id): context.view(order)
        for panel, of_it in ids.items()
        for order in await context.store.orders.by_id(panel, of_it)
    }
    return [_check_view(one, orders.get((one.panel, one.order_id))) for one in checks]


def _check_view(check: OrderCheck, state: OrderView | None) -> CheckView:
    return view_of(
        CheckView,
        check,
        order=check.order_id,
        until=moment_or_none(check.until),
        changes={name: [_plain(value) for value in both] for name, both in check.changes.items()},
        state=state,
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

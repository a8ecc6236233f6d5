"""The buttons that check or untrack one order or several."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from watcher.config import Right
from watcher.errors import RequestError
from watcher.orders.tracking import OrderRef
from watcher.web.caller import caller_of, note
from watcher.web.check_routes import check_each
from watcher.web.context import CONTEXT
from watcher.web.controls import untrack_each
from watcher.web.page.forms import own_path, read_form, read_lists, redirect_to
from watcher.web.page.page_answer import page_answer
from watcher.web.page.rendering import order_url, query
from watcher.web.principal import principal_of

MOST_SELECTED = 500  # orders; a page of the list has fewer
_WAIT = 10.0  # seconds for the panel's answer


def add_selection(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_post("/orders/selection", _selected)
    app.router.add_post("/orders/{panel}/{order}/check", _check)


async def _check(request: web.Request) -> web.Response:
    await read_form(request)
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    checks, caller = request.app[CONTEXT].checks, caller_of(request).name
    found = await checks.check_one(panel, order_id, caller, _WAIT)
    return redirect_to(query(order_url(panel, order_id), {"checked": found.outcome}))


async def _selected(request: web.Request) -> web.Response:
    """Do what the button says with the orders whose boxes are ticked."""
    form = await read_lists(request, MOST_SELECTED + 20)
    refs = [_order_ref(value) for value in dict.fromkeys(form.get("order", ()))]
    does = form.get("do", [""])[-1]
    back = own_path(form.get("back", [""])[-1], "/orders")
    principal = principal_of(request)
    if not 1 <= len(refs) <= MOST_SELECTED:
        raise RequestError(f"tick the boxes of 1 to {MOST_SELECTED} orders first")
    if does != "check":
        principal.check_right(Right.ACT)
    for panel, _ in refs:
        principal.check_panel(panel)
    note(request, did=does, detail=", ".join(f"{panel}/{order}" for panel, order in refs))
    if does == "check":
        found = await check_each(request, refs, _WAIT)
        return _results(request, does, back, [((c.panel, c.order), c.sentence) for c in found])
    if does == "untrack":
        note(request, did=None)  # it is asked for only
        return _results(request, does, back, [(ref, "") for ref in refs])
    if does == "untrack-surely":
        note(request, did="untrack")
        return _results(request, does, back, await _untrack(request, refs))
    raise RequestError("choose what to do with the orders: check or untrack")


async def _untrack(request: web.Request, refs: Sequence[OrderRef]) -> list[tuple[OrderRef, str]]:
    """Untrack each order; return the result of each."""
    return [
        ((panel, order_id), "untracked" if refusal is None else str(refusal))
        for panel, order_id, refusal in await untrack_each(request, refs)
    ]


def _results(
    request: web.Request, does: str, back: str, rows: Sequence[tuple[OrderRef, str]]
) -> web.Response:
    context: dict[str, Any] = {"here": "orders", "does": does, "back": back, "rows": rows}
    return page_answer(request, "selection.html", context)


def _order_ref(value: str) -> OrderRef:
    panel, slash, order_id = value.partition("/")
    if not slash:
        raise RequestError("a ticked box names no order")
    return panel, order_id

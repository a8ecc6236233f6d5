"""The page of one order: its state, its history, and its buttons."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiohttp import web

from watcher.daemon.check_outcomes import CheckOutcome
from watcher.model import FINAL, UNSETTLED, Action, Firing, Kind, Order, Phase
from watcher.rules.rule import Decision
from watcher.web.context import CONTEXT, WebContext
from watcher.web.forwarding import prefer_leader
from watcher.web.page.charts import course
from watcher.web.page.live_updates import LiveUpdates
from watcher.web.page.rendering import query
from watcher.web.shapes import RefillView
from watcher.web.views import outcome, refill_view

_CHECKED: Mapping[str, str] = {
    CheckOutcome.CHANGED: "Checked just now: it has changed.",
    CheckOutcome.UNCHANGED: "Checked just now: nothing has changed.",
    CheckOutcome.REFUSED: "Checked just now: the panel does not report it.",
}
_CHANGES = 200  # in the list; the chart has all


async def show(request: web.Request, live: LiveUpdates) -> dict[str, Any]:
    """Return the template's variables."""
    context = request.app[CONTEXT]
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    context.commands.check_panel(panel)
    prefer_leader(request, panel)
    store = context.store
    order, history, (actions, _), refills, firings = await asyncio.gather(
        store.orders.get(panel, order_id),
        store.orders.history(panel, order_id),
        store.actions.page(panel=panel, order=order_id, limit=100),
        store.refills.of_order(panel, order_id),
        store.firings.of_order(panel, order_id),
    )
    if order is None:
        order = await context.commands.order(panel, order_id)  # its error says where the order is
    now = context.clock()
    tells = context.tells_of_refills(panel)
    views = [refill_view(refill, tells=tells) for refill in refills]
    until = (history[-1][0] if history else now) if order.phase is Phase.CLOSED else now
    drawing = course(
        history,
        status=order.status,
        remains=order.remains,
        quantity=order.quantity,
        since=min([order.submitted_at, *(at for at, _ in history[:1])]),
        until=until,
        marks=list(_marks(actions, views, firings)),
    )
    return {
        "here": "orders",
        "order": order,
        "view": context.view(order),
        "service": context.rule_engine.services.get(panel, {}).get(order.service or ""),
        "drawing": drawing,
        "history": history[::-1][:_CHANGES],
        "changes": len(history),
        "actions": actions,
        "refills": views[::-1],
        "firings": firings[::-1][:50],
        "forecast": context.forecast_of(order),
        "decisions": _decisions(context, order, now),
        "may": {kind: _may(context, order, kind, actions) for kind in (Kind.REFILL, Kind.CANCEL)},
        "asked": request.query.get("do", ""),
        "done": request.query.get("done", ""),
        "problem": "",
        "typed": "",
        "checked": _checked(context, panel, order_id, request.query.get("checked", "")),
        "events": query("/events/page", {"panel": panel, "order": order_id}),
    }


def _decisions(context: WebContext, order: Order, now: float) -> list[Decision]:
    """Return what the rules say of the order; only its leader knows what they did before."""
    is_led = context.leadership.leads(order.panel)
    return context.rule_engine.decisions(order, now) if is_led else []


def _checked(context: WebContext, panel: str, order_id: str, outcome: str) -> str:
    """Return the result of a check that was just requested; "" if none was."""
    if outcome == CheckOutcome.WAITING:
        return f"Not checked yet: {context.checks.waits(panel, order_id).sentence}."
    return _CHECKED.get(outcome, "")


def _may(context: WebContext, order: Order, kind: Kind, actions: Sequence[Action]) -> str:
    """Return why the button is disabled; "" if it is not."""
    if not context.commands.check_panel(order.panel).can(kind):
        return f"this panel can't {kind} by its API"
    if any(action.kind is kind and action.state in UNSETTLED for action in actions):
        return f"a {kind} is under way or unresolved"
    if kind is Kind.CANCEL and order.status in FINAL:
        return "the order is finished, so there is nothing to cancel"
    return ""


def _marks(
    actions: Sequence[Action], refills: Sequence[RefillView], firings: Sequence[Firing]
) -> Iterator[tuple[float, str, str]]:
    for action in actions:
        yield action.planned_at, action.kind, f"{action.kind}: {outcome(action)}"
    for refill in refills:
        if refill.finished_at is not None:
            ended = refill.finished_at.timestamp()
            yield ended, "refilled", f"refill {refill.refill} {refill.status}"
    for firing in firings:
        if firing.dry_run:
            yield firing.at, "would", f"rule {firing.rule} would {firing.action}"

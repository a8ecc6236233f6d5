"""The API's calls about orders."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web

from watcher.errors import RequestError, WatcherError
from watcher.model import Order, Origin, Status
from watcher.orders.fields import FieldKind, names_of
from watcher.orders.tracking import new_order
from watcher.web.caller import note
from watcher.web.context import (
    CURSOR,
    FLAG,
    LARGEST_BODY,
    LIMIT,
    PANEL,
    SINCE,
    Param,
    Route,
    WebContext,
    flag,
    one_of,
    page_of,
    read_body,
    time_of,
)
from watcher.web.shapes import (
    CountRequest,
    FaultAnswer,
    HistoryView,
    OrderDetail,
    OrderList,
    OrderView,
    Rejected,
    ServiceRequest,
    TrackAnswer,
    TrackItem,
    TrackRequest,
)
from watcher.web.views import action_view, firing_view, moment, next_check_view, refill_view

_TEXTS, _TIMES = names_of(FieldKind.TEXT), names_of(FieldKind.TIME)
_GIVEN = [n for n in TrackItem.__struct_fields__ if n not in ("panel", "order", *_TIMES)]


async def track(context: WebContext, request: web.Request) -> tuple[int, TrackAnswer]:
    body = await read_body(request, TrackRequest, LARGEST_BODY)
    orders: dict[tuple[str, str], Order] = {}
    rejected = []
    known = 0
    for index, raw in enumerate(body.orders):
        try:
            order = _order_of(context, raw)
        except (msgspec.ValidationError, WatcherError) as error:
            rejected.append(Rejected(index, str(error)))
            continue
        known += (order.panel, order.id) in orders
        orders.setdefault((order.panel, order.id), order)
    tracked = await context.commands.track(list(orders.values())) if orders else []
    known += len(orders) - len(tracked)
    for order in tracked:
        del orders[order.panel, order.id]
    updated = await context.commands.name_services(list(orders.values()))
    panels = sorted({order.panel for order in tracked})
    note(
        request,
        panel=panels[0] if len(panels) == 1 else None,
        detail=f"{len(tracked)} tracked, {known} known, {len(rejected)} rejected",
    )
    late = [order for order in tracked if order.origin is not Origin.WHOLE]
    return 200, TrackAnswer(
        tracked=len(tracked),
        known=known,
        rejected=rejected,
        undated=sum(order.origin is Origin.UNDATED for order in late),
        finish_unknown=sum(order.finished_at is None for order in late),
        updated=updated,
    )


async def list_orders(context: WebContext, request: web.Request) -> tuple[int, OrderList]:
    limit, after = page_of(request)
    now = context.clock()
    stalled_before: Mapping[str, float] | None = None
    if flag(request, "stalled"):
        stalled_before = {
            name: now - workers.config.settings.stalled_after
            for name, workers in context.panel_workers.items()
        }
    orders, next_key = await context.store.orders.page(
        panel=request.query.get("panel") or None,
        status=one_of(request, "status", Status),
        problem=flag(request, "problem") or None,
        progressed_before=stalled_before,
        submitted_since=time_of(request, "since"),
        limit=limit,
        after=after,
    )
    views = [context.view(_live(context, order)) for order in orders]
    return 200, OrderList(orders=views, next=None if next_key is None else str(next_key))


async def show(context: WebContext, request: web.Request) -> tuple[int, OrderDetail]:
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    order = await context.commands.order(panel, order_id)
    history = await context.store.orders.history(panel, order_id)
    actions, _ = await context.store.actions.page(panel=panel, order=order_id, limit=1000)
    prospect = context.prospect(order)
    return 200, OrderDetail(
        state=context.view(order),
        history=[HistoryView(moment(at), changes) for at, changes in history],
        refills=[
            refill_view(refill, tells=context.tells_of_refills(panel))
            for refill in await context.store.refills.of_order(panel, order_id)
        ],
        actions=[action_view(action) for action in actions],
        firings=[
            firing_view(firing) for firing in await context.store.firings.of_order(panel, order_id)
        ],
        next_check=None if prospect is None else next_check_view(prospect),
    )


async def set_count(context: WebContext, request: web.Request) -> tuple[int, OrderView]:
    body = await read_body(request, CountRequest)
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    return 200, context.view(await context.commands.set_count(panel, order_id, body.count))


async def set_service(context: WebContext, request: web.Request) -> tuple[int, OrderView]:
    body = await read_body(request, ServiceRequest)
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    service = str(body.service)
    note(request, detail=service)
    return 200, context.view(await context.commands.set_service(panel, order_id, service))


async def untrack(context: WebContext, request: web.Request) -> tuple[int, OrderView]:
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    return 200, context.view(await context.commands.untrack(panel, order_id))


def _order_of(context: WebContext, raw: Any) -> Order:
    item = msgspec.convert(raw, TrackItem)
    context.commands.check_panel(item.panel)
    given = {name: getattr(item, name) for name in _GIVEN}
    given["service"] = None if item.service is None else str(item.service)
    return new_order(
        panel=item.panel,
        order_id=str(item.order),
        now=context.clock(),
        submitted_at=_seconds("submitted_at", item.submitted_at),
        finished_at=_seconds("finished_at", item.finished_at),
        **given,
    )


def _seconds(name: str, at: datetime | None) -> float | None:
    if at is not None and at.tzinfo is None:
        raise RequestError(f"{name}: add the time zone, as 2026-01-31T12:00:00Z")
    return None if at is None else at.timestamp()


def _live(context: WebContext, order: Order) -> Order:
    """Return the book's state of an order, never behind the database's; it may lack texts."""
    live = context.watchlist.order(order.panel, order.id) or order
    return msgspec.structs.replace(live, **{name: getattr(order, name) for name in _TEXTS})


_FAULTS: dict[int, type[msgspec.Struct]] = {404: FaultAnswer}
ROUTES = (
    Route(
        method="POST",
        path="/v1/orders",
        handler=track,
        summary="Track orders that were submitted elsewhere. Repeatable.",
        takes=TrackRequest,
        gives={200: TrackAnswer},
    ),
    Route(
        method="GET",
        path="/v1/orders",
        handler=list_orders,
        summary="List orders, oldest tracked first.",
        params=(
            PANEL,
            Param("status", {"enum": [str(s) for s in Status]}, "In this status only."),
            Param("stalled", FLAG, "Only open orders without progress for too long."),
            Param("problem", FLAG, "Only orders whose status their panel does not report."),
            SINCE,
            LIMIT,
            CURSOR,
        ),
        gives={200: OrderList},
    ),
    Route(
        method="GET",
        path="/v1/orders/{panel}/{order}",
        handler=show,
        summary="Return one order: state, history, refills, actions.",
        gives={200: OrderDetail, **_FAULTS},
    ),
    Route(
        method="DELETE",
        path="/v1/orders/{panel}/{order}",
        handler=untrack,
        summary="Forget the order; return its last state. Actions that were sent are kept.",
        gives={200: OrderView, 404: FaultAnswer, 409: FaultAnswer},
    ),
    Route(
        method="PUT",
        path="/v1/orders/{panel}/{order}/count",
        handler=set_count,
        summary="Set the link's current count; `order.drop` in rules comes from it.",
        takes=CountRequest,
        gives={200: OrderView, 404: FaultAnswer, 409: FaultAnswer},
    ),
    Route(
        method="PUT",
        path="/v1/orders/{panel}/{order}/service",
        handler=set_service,
        summary="Set the order's service if it is not known; `service` in rules needs it.",
        takes=ServiceRequest,
        gives={200: OrderView, 400: FaultAnswer, 404: FaultAnswer, 409: FaultAnswer},
    ),
)

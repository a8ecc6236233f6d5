"""The API's calls about orders."""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from watcher.errors import RequestError, WatcherError
from watcher.model import Order, Status
from watcher.orders.labels import changed_labels
from watcher.orders.tracking import OrderRef
from watcher.web.caller import note
from watcher.web.context import (
    CONTEXT,
    CURSOR,
    FLAG,
    LARGEST_BODY,
    LIMIT,
    PANEL,
    SINCE,
    TAG,
    TEXT,
    Param,
    Route,
    WebContext,
    flag,
    one_of,
    page_of,
    read_body,
    time_of,
)
from watcher.web.forwarding import prefer_leader, spread
from watcher.web.order_import.tracked import missing_times, order_of
from watcher.web.principal import Principal, principal_of
from watcher.web.shapes import (
    CountRequest,
    FaultAnswer,
    HistoryView,
    LabelRequest,
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


async def track(context: WebContext, request: web.Request) -> tuple[int, TrackAnswer]:
    body = await read_body(request, TrackRequest, LARGEST_BODY)
    orders: dict[OrderRef, Order] = {}
    items: dict[OrderRef, TrackItem] = {}
    rejected = []
    known = 0
    principal = principal_of(request)
    for index, raw in enumerate(body.orders):
        try:
            item, order = _order_of(context, principal, raw)
        except (msgspec.ValidationError, WatcherError) as error:
            rejected.append(Rejected(index, str(error)))
            continue
        known += (order.panel, order.id) in orders
        orders.setdefault((order.panel, order.id), order)
        items.setdefault((order.panel, order.id), item)
    answer = await track_all(request, orders, items)
    answer = msgspec.structs.replace(answer, known=answer.known + known, rejected=rejected)
    panels = sorted({panel for panel, _ in orders})
    note(
        request,
        panel=panels[0] if len(panels) == 1 else None,
        detail=f"{answer.tracked} tracked, {answer.known} known, {len(rejected)} rejected",
    )
    return 200, answer


async def track_all(
    request: web.Request, orders: Mapping[OrderRef, Order], items: Mapping[OrderRef, TrackItem]
) -> TrackAnswer:
    """Track the orders, which were read from `items`; known ones get the service that they lack.

    Those of panels that other nodes lead are tracked there.
    """
    own, others = await spread(
        request,
        items,
        lambda ref: ref[0],
        "/v1/orders",
        lambda some: TrackRequest([items[ref] for ref in some]),
        TrackAnswer,
    )
    for _, answer in others:
        if isinstance(answer, RequestError):
            raise answer  # all can be tracked again
    answers = [answer for _, answer in others if isinstance(answer, TrackAnswer)]
    answers.append(await _track_here(request.app[CONTEXT], {p: orders[p] for p in own}))
    return TrackAnswer(
        rejected=[],
        **{name: sum(getattr(one, name) for one in answers) for name in _COUNTED},
    )


async def _track_here(context: WebContext, orders: Mapping[OrderRef, Order]) -> TrackAnswer:
    tracked = await context.commands.track(list(orders.values())) if orders else []
    left = dict(orders)
    for order in tracked:
        del left[order.panel, order.id]
    missing = missing_times(tracked)
    return TrackAnswer(
        tracked=len(tracked),
        known=len(left),
        rejected=[],
        undated=missing.undated,
        finish_unknown=missing.finish_unknown,
        updated=await context.commands.details.fill_in(list(left.values())),
    )


async def list_orders(context: WebContext, request: web.Request) -> tuple[int, OrderList]:
    limit, after = page_of(request)
    filters = filters_of(context, request)
    orders, next_key = await context.store.orders.page(**filters, limit=limit, after=after)
    views = [context.view(order) for order in orders]
    return 200, OrderList(orders=views, next=None if next_key is None else str(next_key))


def filters_of(context: WebContext, request: web.Request) -> dict[str, Any]:
    """Return what FILTERS in the query ask for, as `store.orders.page` takes it."""
    stalled_before: Mapping[str, float] | None = None
    if flag(request, "stalled"):
        now = context.clock()
        stalled_before = {
            name: now - panel.settings.stalled_after
            for name, panel in context.config.current.panels.items()
        }
    texts = {name: request.query.get(name) or None for name in _TEXTS}
    return {
        **texts,
        "panels": principal_of(request).panels,
        "status": one_of(request, "status", Status),
        "problem": flag(request, "problem") or None,
        "progressed_before": stalled_before,
        "submitted_since": time_of(request, "since"),
    }


async def show(context: WebContext, request: web.Request) -> tuple[int, OrderDetail]:
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    prefer_leader(request, panel)
    order = await context.commands.order(panel, order_id)
    history = await context.store.orders.history(panel, order_id)
    actions, _ = await context.store.actions.page(panel=panel, order=order_id, limit=1000)
    forecast = context.forecast_of(order)
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
        next_check=None if forecast is None else next_check_view(forecast),
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


async def label(context: WebContext, request: web.Request) -> tuple[int, OrderView]:
    body = await read_body(request, LabelRequest)
    given = {n: v for n in body.__struct_fields__ if (v := getattr(body, n)) is not msgspec.UNSET}
    if not given:
        raise RequestError(f"the body: give at least one of {', '.join(body.__struct_fields__)}")
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    changed = changed_labels(given)
    return 200, context.view(await context.commands.label(panel, order_id, changed))


async def untrack(context: WebContext, request: web.Request) -> tuple[int, OrderView]:
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    return 200, context.view(await context.commands.untrack(panel, order_id))


def _order_of(context: WebContext, principal: Principal, raw: Any) -> tuple[TrackItem, Order]:
    item = msgspec.convert(raw, TrackItem)
    principal.check_panel(item.panel)
    context.commands.check_panel(item.panel)
    return item, order_of(item, context.clock())


_COUNTED = ("tracked", "known", "undated", "finish_unknown", "updated")
_TEXTS = ("panel", "tag", "reference", "customer")
FILTERS = (
    PANEL,
    Param("status", {"enum": [str(s) for s in Status]}, "In this status only."),
    Param("stalled", FLAG, "Only open orders without progress for too long."),
    Param("problem", FLAG, "Only orders whose status their panel does not report."),
    TAG,
    Param("reference", TEXT, "With this reference only."),
    Param("customer", TEXT, "Of this customer only."),
    SINCE,
)
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
            *FILTERS,
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
        method="PATCH",
        path="/v1/orders/{panel}/{order}",
        handler=label,
        summary="Change the order's reference, customer, tags or note.",
        takes=LabelRequest,
        gives={200: OrderView, 404: FaultAnswer},
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

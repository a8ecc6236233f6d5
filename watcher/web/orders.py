"""The API's calls about orders."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web

from watcher.errors import NotFound, RequestError, WatcherError
from watcher.model import Action, ActionState, Kind, Order, Origin, Status
from watcher.tracking import new_order
from watcher.web.backend import (
    CURSOR,
    FLAG,
    LARGEST_BODY,
    LIMIT,
    PANEL,
    SINCE,
    TEXT,
    Backend,
    Param,
    Route,
    flag,
    one_of,
    page_of,
    read_body,
    time_of,
)
from watcher.web.shapes import (
    ActionAnswer,
    CountRequest,
    FaultAnswer,
    HistoryView,
    OrderDetail,
    OrderList,
    OrderView,
    Rejected,
    ServiceRequest,
    SubmitRequest,
    TrackAnswer,
    TrackItem,
    TrackRequest,
)
from watcher.web.views import action_view, firing_view, moment, next_check_view, refill_view

SUBMIT_WAIT = 25.0  # seconds that a submission's answer waits for the panel's
WILL_BE_SENT = (
    "the order will be placed as soon as the panel can be asked;"
    " to take it back: POST /v1/actions/{id}/withdraw"
)
SUBMISSIONS = 128  # that wait at once: the other connections are for those who only look


class SubmissionRejected(RequestError):
    """The panel refused the order; its words are the message."""

    status = 422
    code = "rejected"


async def track(backend: Backend, request: web.Request) -> tuple[int, TrackAnswer]:
    body = await read_body(request, TrackRequest, LARGEST_BODY)
    orders: dict[tuple[str, str], Order] = {}
    rejected = []
    known = 0
    for index, raw in enumerate(body.orders):
        try:
            order = _order_of(backend, raw)
        except (msgspec.ValidationError, WatcherError) as error:
            rejected.append(Rejected(index, str(error)))
            continue
        known += (order.panel, order.id) in orders
        orders.setdefault((order.panel, order.id), order)
    tracked = await backend.intake.track(list(orders.values())) if orders else []
    known += len(orders) - len(tracked)
    for order in tracked:
        del orders[order.panel, order.id]
    updated = await backend.intake.name_services(list(orders.values()))
    late = [order for order in tracked if order.origin is not Origin.WHOLE]
    return 200, TrackAnswer(
        tracked=len(tracked),
        known=known,
        rejected=rejected,
        undated=sum(order.origin is Origin.UNDATED for order in late),
        finish_unknown=sum(order.finished_at is None for order in late),
        updated=updated,
    )


async def submit(backend: Backend, request: web.Request) -> tuple[int, ActionAnswer]:
    key = request.headers.get("Idempotency-Key", "")
    if not 1 <= len(key) <= 200 or not key.isprintable():
        raise RequestError("header Idempotency-Key: 1 to 200 printable characters are required")
    body = await read_body(request, SubmitRequest)
    params = {name: str(value) for name, value in body.params.items()}
    params["service"] = str(body.service)
    if body.link is not None:
        params["link"] = body.link
    if body.quantity is not None:
        params["quantity"] = str(body.quantity)
    action = await backend.intake.submit(body.panel, params, key)
    action = await backend.intake.wait_for(action, SUBMIT_WAIT)
    if action.state is ActionState.REJECTED:
        raise SubmissionRejected(action.answer or "the panel refused the order")
    return await _submitted(backend, action)


async def list_orders(backend: Backend, request: web.Request) -> tuple[int, OrderList]:
    limit, after = page_of(request)
    now = backend.clock()
    stalled_before: Mapping[str, float] | None = None
    if flag(request, "stalled"):
        stalled_before = {
            name: now - station.config.settings.stalled_after
            for name, station in backend.stations.items()
        }
    orders, next_key = await backend.store.orders(
        panel=request.query.get("panel") or None,
        status=one_of(request, "status", Status),
        problem=flag(request, "problem") or None,
        progressed_before=stalled_before,
        submitted_since=time_of(request, "since"),
        limit=limit,
        after=after,
    )
    views = [backend.view(_live(backend, order)) for order in orders]
    return 200, OrderList(orders=views, next=None if next_key is None else str(next_key))


async def show(backend: Backend, request: web.Request) -> tuple[int, OrderDetail]:
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    order = await backend.intake.order(panel, order_id)
    history = await backend.store.history(panel, order_id)
    actions, _ = await backend.store.actions(panel=panel, order=order_id, limit=1000)
    prospect = backend.prospect(order)
    return 200, OrderDetail(
        state=backend.view(order),
        history=[HistoryView(moment(at), _lists(changes)) for at, changes in history],
        refills=[
            refill_view(refill, tells=backend.tells_of_refills(panel))
            for refill in await backend.store.refills(panel, order_id)
        ],
        actions=[action_view(action) for action in actions],
        firings=[firing_view(firing) for firing in await backend.store.firings(panel, order_id)],
        next_check=None if prospect is None else next_check_view(prospect),
    )


async def refill(backend: Backend, request: web.Request) -> tuple[int, ActionAnswer]:
    return await _act(backend, request, Kind.REFILL)


async def cancel(backend: Backend, request: web.Request) -> tuple[int, ActionAnswer]:
    return await _act(backend, request, Kind.CANCEL)


async def set_count(backend: Backend, request: web.Request) -> tuple[int, OrderView]:
    body = await read_body(request, CountRequest)
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    return 200, backend.view(await backend.intake.set_count(panel, order_id, body.count))


async def set_service(backend: Backend, request: web.Request) -> tuple[int, OrderView]:
    body = await read_body(request, ServiceRequest)
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    service = str(body.service)
    return 200, backend.view(await backend.intake.set_service(panel, order_id, service))


async def untrack(backend: Backend, request: web.Request) -> tuple[int, OrderView]:
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    return 200, backend.view(await backend.intake.untrack(panel, order_id))


async def _act(backend: Backend, request: web.Request, kind: Kind) -> tuple[int, ActionAnswer]:
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    action = await backend.intake.act(kind, panel, order_id)
    return 202, ActionAnswer(action_view(action))


async def _submitted(backend: Backend, action: Action) -> tuple[int, ActionAnswer]:
    if action.state is ActionState.PLANNED:
        return 202, ActionAnswer(action_view(action), message=WILL_BE_SENT.format(id=action.id))
    if action.state is not ActionState.ACCEPTED or action.order is None:
        return 202, ActionAnswer(action_view(action))
    try:
        order = await backend.intake.order(action.panel, action.order)
    except NotFound:  # a submission repeated after its order was archived
        return 201, ActionAnswer(action_view(action))
    return 201, ActionAnswer(action_view(action), backend.view(order))


def _order_of(backend: Backend, raw: Any) -> Order:
    item = msgspec.convert(raw, TrackItem)
    backend.intake.check_panel(item.panel)
    return new_order(
        panel=item.panel,
        order_id=str(item.order),
        now=backend.clock(),
        service=None if item.service is None else str(item.service),
        link=item.link,
        quantity=item.quantity,
        submitted_at=_seconds("submitted_at", item.submitted_at),
        finished_at=_seconds("finished_at", item.finished_at),
    )


def _seconds(name: str, at: datetime | None) -> float | None:
    if at is not None and at.tzinfo is None:
        raise RequestError(f"{name}: add the time zone, as 2026-01-31T12:00:00Z")
    return None if at is None else at.timestamp()


def _live(backend: Backend, order: Order) -> Order:
    """The book's state of an order, which is never behind the database's."""
    return backend.book.order(order.panel, order.id) or order


def _lists(changes: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: list(values) for name, values in changes.items()}


_FAULTS: dict[int, type[msgspec.Struct]] = {404: FaultAnswer}
_ACTED: dict[int, type[msgspec.Struct]] = {
    202: ActionAnswer,
    404: FaultAnswer,
    409: FaultAnswer,
    422: FaultAnswer,
}

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
            Param("problem", FLAG, "Only orders that their panel does not tell of."),
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
        summary="One order: state, history, refills, actions.",
        gives={200: OrderDetail, **_FAULTS},
    ),
    Route(
        method="DELETE",
        path="/v1/orders/{panel}/{order}",
        handler=untrack,
        summary="Forget the order, as it was last; what was sent for it stays among the actions.",
        gives={200: OrderView, 404: FaultAnswer, 409: FaultAnswer},
    ),
    Route(
        method="POST",
        path="/v1/orders/{panel}/{order}/refill",
        handler=refill,
        summary="Ask the panel for a refill, once.",
        gives=_ACTED,
    ),
    Route(
        method="POST",
        path="/v1/orders/{panel}/{order}/cancel",
        handler=cancel,
        summary="Ask the panel to cancel the order, once.",
        gives=_ACTED,
    ),
    Route(
        method="PUT",
        path="/v1/orders/{panel}/{order}/count",
        handler=set_count,
        summary="Tell the link's current count; `order.drop` in rules comes from it.",
        takes=CountRequest,
        gives={200: OrderView, 404: FaultAnswer, 409: FaultAnswer},
    ),
    Route(
        method="PUT",
        path="/v1/orders/{panel}/{order}/service",
        handler=set_service,
        summary="Tell the order's service, where it is not known; `service` in rules needs it.",
        takes=ServiceRequest,
        gives={200: OrderView, 400: FaultAnswer, 404: FaultAnswer, 409: FaultAnswer},
    ),
    Route(
        method="POST",
        path="/v1/submit",
        handler=submit,
        at_once=SUBMISSIONS,
        summary="Place an order and track it. 201 with the order, 202 while that is not settled.",
        takes=SubmitRequest,
        params=(
            Param(
                "Idempotency-Key",
                {**TEXT, "maxLength": 200},
                "The same key gives the same order, however often it is sent.",
                place="header",
                required=True,
            ),
        ),
        gives={
            201: ActionAnswer,
            202: ActionAnswer,
            404: FaultAnswer,
            409: FaultAnswer,
            422: FaultAnswer,
        },
    ),
)

"""The API's calls that ask a panel for something: submit, refill, cancel."""

import msgspec
from aiohttp import web

from watcher.common.pauses import Paused
from watcher.errors import NotFound, RequestError
from watcher.model import Action, ActionState, Kind
from watcher.orders.labels import labels_from
from watcher.web.caller import note
from watcher.web.context import TEXT, Param, Route, WebContext, read_body
from watcher.web.principal import principal_of
from watcher.web.shapes import ActionAnswer, FaultAnswer, SubmitRequest
from watcher.web.views import action_view

SUBMIT_WAIT = 25.0  # seconds that the answer to a submission waits for the panel
WILL_BE_SENT = (
    "the order will be placed as soon as the panel can be asked;"
    " to take it back: POST /v1/actions/{id}/withdraw"
)
WAITS_FOR_RESUME = (
    "it is planned and will be sent after the resume;"
    " to take it back: POST /v1/actions/{id}/withdraw"
)
SUBMISSIONS = 128  # that wait at once: the other connections are for reads


class SubmissionRejected(RequestError):
    """The panel refused the order; its words are the message."""

    status = 422
    code = "rejected"


async def submit(context: WebContext, request: web.Request) -> tuple[int, ActionAnswer]:
    key = request.headers.get("Idempotency-Key", "")
    if not 1 <= len(key) <= 200 or not key.isprintable():
        raise RequestError("header Idempotency-Key: 1 to 200 printable characters are required")
    body = await read_body(request, SubmitRequest)
    principal_of(request).check_panel(body.panel)
    params = {name: str(value) for name, value in body.params.items()}
    params["service"] = str(body.service)
    if body.link is not None:
        params["link"] = body.link
    if body.quantity is not None:
        params["quantity"] = str(body.quantity)
    labels = labels_from(msgspec.structs.asdict(body))
    action = await context.commands.submit(body.panel, params, key, labels)
    note(request, panel=body.panel, subject=str(action.id), detail=f"service {body.service}")
    seconds = 0.0 if _paused(context, action) else SUBMIT_WAIT
    action = await context.commands.wait_for(action, seconds)
    if action.state is ActionState.REJECTED:
        raise SubmissionRejected(action.answer or "the panel refused the order")
    return await _submitted(context, action)


async def refill(context: WebContext, request: web.Request) -> tuple[int, ActionAnswer]:
    return await _act(context, request, Kind.REFILL)


async def cancel(context: WebContext, request: web.Request) -> tuple[int, ActionAnswer]:
    return await _act(context, request, Kind.CANCEL)


async def _act(context: WebContext, request: web.Request, kind: Kind) -> tuple[int, ActionAnswer]:
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    action = await context.commands.act(kind, panel, order_id)
    return 202, ActionAnswer(action_view(action), message=_paused(context, action))


def _paused(context: WebContext, action: Action) -> str | None:
    """Return what to say of an action that waits because somebody has paused the panel's."""
    workers = context.panel_workers.get(action.panel)
    paused = workers.gateway.paused(Paused.ACTIONS) if workers else None
    if paused is None or action.state is not ActionState.PLANNED:
        return None
    return f"{paused.sentence}; {WAITS_FOR_RESUME.format(id=action.id)}"


async def _submitted(context: WebContext, action: Action) -> tuple[int, ActionAnswer]:
    if action.state is ActionState.PLANNED:
        message = _paused(context, action) or WILL_BE_SENT.format(id=action.id)
        return 202, ActionAnswer(action_view(action), message=message)
    if action.state is not ActionState.ACCEPTED or action.order is None:
        return 202, ActionAnswer(action_view(action))
    try:
        order = await context.commands.order(action.panel, action.order)
    except NotFound:  # a submission repeated after its order was archived
        return 201, ActionAnswer(action_view(action))
    return 201, ActionAnswer(action_view(action), context.view(order))


_ACTED: dict[int, type[msgspec.Struct]] = {
    202: ActionAnswer,
    404: FaultAnswer,
    409: FaultAnswer,
    422: FaultAnswer,
}

ROUTES = (
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
        method="POST",
        path="/v1/submit",
        handler=submit,
        at_once=SUBMISSIONS,
        summary="Place an order and track it. 201 with the order; 202 while not settled.",
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
        gives={201: ActionAnswer, **_ACTED},
    ),
)

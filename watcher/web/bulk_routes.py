"""The API's calls about several actions or orders at once."""

from aiohttp import web

from watcher.errors import RequestError
from watcher.web import controls
from watcher.web.caller import note
from watcher.web.context import LARGEST_BODY, Route, WebContext, read_body
from watcher.web.control_shapes import (
    RefusedItem,
    ResolveManyAnswer,
    ResolveManyRequest,
    UntrackAnswer,
    UntrackRequest,
)


async def resolve_all(context: WebContext, request: web.Request) -> tuple[int, ResolveManyAnswer]:
    body = await read_body(request, ResolveManyRequest)
    outcomes = (
        (item.id, item.state, None if item.result is None else str(item.result))
        for item in body.actions
    )
    resolved, refused = [], []
    for number, found in await controls.resolve_each(request, outcomes):
        if isinstance(found, RequestError):
            refused.append(RefusedItem(str(number), str(found)))
        else:
            resolved.append(found)
    note(request, detail=", ".join(f"{one.id} {one.state}" for one in resolved))
    return 200, ResolveManyAnswer(resolved, refused)


async def untrack_all(context: WebContext, request: web.Request) -> tuple[int, UntrackAnswer]:
    body = await read_body(request, UntrackRequest, LARGEST_BODY)
    refs = ((item.panel, str(item.order)) for item in body.orders)
    untracked, refused = [], []
    for panel, order_id, refusal in await controls.untrack_each(request, refs):
        name = f"{panel}/{order_id}"
        if refusal is None:
            untracked.append(name)
        else:
            refused.append(RefusedItem(name, str(refusal)))
    note(request, detail=", ".join(untracked))
    return 200, UntrackAnswer(len(untracked), refused)


ROUTES = (
    Route(
        method="POST",
        path="/v1/resolve",
        handler=resolve_all,
        summary="Record the outcomes of several unresolved actions, as seen at the panels.",
        takes=ResolveManyRequest,
        gives={200: ResolveManyAnswer},
    ),
    Route(
        method="POST",
        path="/v1/untrack",
        handler=untrack_all,
        summary="Forget several orders. Actions that were sent are kept.",
        takes=UntrackRequest,
        gives={200: UntrackAnswer},
    ),
)

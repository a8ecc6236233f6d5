"""The API's calls about several actions or orders at once."""

from aiohttp import web

from watcher.errors import RequestError
from watcher.model import ActionState
from watcher.web.caller import note
from watcher.web.context import LARGEST_BODY, Route, WebContext, check_reach, read_body
from watcher.web.principal import principal_of
from watcher.web.views import action_view
from watcher.web.wheel_shapes import (
    RefusedItem,
    ResolveManyAnswer,
    ResolveManyRequest,
    UntrackAnswer,
    UntrackRequest,
)


async def resolve_all(context: WebContext, request: web.Request) -> tuple[int, ResolveManyAnswer]:
    body = await read_body(request, ResolveManyRequest)
    resolved, refused = [], []
    for item in body.actions:
        result = None if item.result is None else str(item.result)
        try:
            await check_reach(request, item.id)
            settled = await context.commands.resolve(item.id, ActionState(item.state), result)
        except RequestError as error:
            refused.append(RefusedItem(str(item.id), str(error)))
        else:
            resolved.append(action_view(settled[0]))
    note(request, detail=", ".join(f"{one.id} {one.state}" for one in resolved))
    return 200, ResolveManyAnswer(resolved, refused)


async def untrack_all(context: WebContext, request: web.Request) -> tuple[int, UntrackAnswer]:
    body = await read_body(request, UntrackRequest, LARGEST_BODY)
    untracked, refused = [], []
    for item in body.orders:
        try:
            principal_of(request).check_panel(item.panel)
            order = await context.commands.untrack(item.panel, str(item.order))
        except RequestError as error:
            refused.append(RefusedItem(f"{item.panel}/{item.order}", str(error)))
        else:
            untracked.append(f"{order.panel}/{order.id}")
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

"""The API's call that reloads the configuration."""

from aiohttp import web

from watcher.errors import RequestError
from watcher.web.context import Route, WebContext
from watcher.web.panel_shapes import ReloadAnswer
from watcher.web.shapes import FaultAnswer

RELOADS = 4  # concurrent requests; they are done one at a time


class ReloadRefused(RequestError):
    """The new configuration can't be used; the message has a line for each problem."""

    status = 422
    code = "config_refused"


async def reload(context: WebContext, request: web.Request) -> tuple[int, ReloadAnswer]:
    outcome = await context.reload()
    if outcome.problems:
        raise ReloadRefused("\n".join(outcome.problems))
    return 200, ReloadAnswer(outcome.changed, outcome.restart)


ROUTES = (
    Route(
        method="POST",
        path="/v1/reload",
        handler=reload,
        at_once=RELOADS,
        summary="Read the configuration again. 422 names every problem: nothing was changed.",
        gives={200: ReloadAnswer, 422: FaultAnswer},
    ),
)

"""The API's call for programs that fetch what changed: `GET /v1/changes`."""

import asyncio

from aiohttp import web

from watcher.errors import RequestError
from watcher.store import FeedPage
from watcher.web.change_shapes import ChangeList, OrderChangeView
from watcher.web.context import (
    LIMIT,
    PANEL,
    TAG,
    TEXT,
    Param,
    Route,
    WebContext,
    limit_of,
    number_of,
)
from watcher.web.principal import principal_of
from watcher.web.shapes import FaultAnswer
from watcher.web.views import moment

LONGEST_WAIT = 60  # seconds: proxies often end a request after that
_LOOK = 0.5  # seconds after which a waiting request looks whether the daemon stops
_GATHER = 0.2  # seconds in which a waiting request collects further changes
ENDING = web.AppKey("ending", asyncio.Event)
_NOW = "now"  # instead of a cursor: only changes from now on


class StaleCursor(RequestError):
    """Changes after this cursor have been archived: begin anew, without `after`."""

    status = 410
    code = "stale_cursor"


async def list_changes(context: WebContext, request: web.Request) -> tuple[int, ChangeList]:
    limit, wait = limit_of(request), number_of(request, "wait", 0)
    if wait > LONGEST_WAIT:
        raise RequestError(f"wait: from 0 to {LONGEST_WAIT} seconds")
    panel, after = request.query.get("panel"), request.query.get("after")
    if panel is not None:
        context.commands.check_panel(panel)
    feed = context.store.feed
    cursor = await feed.newest() if after == _NOW else await feed.resume(after)
    loop, ending = asyncio.get_running_loop(), request.app[ENDING]
    ends_at = loop.time() + wait
    while True:
        page = await feed.page(
            cursor,
            panel=panel,
            panels=principal_of(request).panels,
            tag=request.query.get("tag"),
            limit=limit,
        )
        if page is None:
            raise StaleCursor
        left = ends_at - loop.time()
        if page.changes or left <= 0 or ending.is_set():
            return 200, _answer(context, page)
        cursor = page.cursor
        if not page.more and await context.commands.next_change(cursor.id, min(left, _LOOK)):
            await asyncio.sleep(_GATHER)


def _answer(context: WebContext, page: FeedPage) -> ChangeList:
    views = {key: context.view(order) for key, order in page.orders.items()}
    changes = [
        OrderChangeView(
            panel=views[change.key].panel,
            order=views[change.key].order,
            reference=views[change.key].reference,
            at=moment(change.at),
            changes=change.changes,
            state=views[change.key],
        )
        for change in page.changes
    ]
    return ChangeList(changes, page.cursor.text(), page.more)


ROUTES = (
    Route(
        method="GET",
        path="/v1/changes",
        handler=list_changes,
        summary="Fetch what changed since a cursor, each with its order as it is now.",
        params=(
            Param("after", TEXT, "`cursor` of the last answer; `now`: only what changes from now."),
            Param(
                "wait",
                {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT, "default": 0},
                "How many seconds to wait for a change if there is none yet.",
            ),
            PANEL,
            TAG,
            LIMIT,
        ),
        gives={200: ChangeList, 404: FaultAnswer, 410: FaultAnswer},
    ),
)

"""The API's call about the changes of all orders."""

from aiohttp import web

from watcher.web.context import (
    CURSOR,
    FLAG,
    LIMIT,
    PANEL,
    SINCE,
    Param,
    Route,
    WebContext,
    flag,
    page_of,
    time_of,
)
from watcher.web.principal import principal_of
from watcher.web.shapes import ChangeView, HistoryList
from watcher.web.views import moment


async def list_history(context: WebContext, request: web.Request) -> tuple[int, HistoryList]:
    limit, after = page_of(request)
    found, next_id = await context.store.history.changes(
        panel=request.query.get("panel") or None,
        panels=principal_of(request).panels,
        since=time_of(request, "since"),
        newest=flag(request, "newest"),
        limit=limit,
        after=after,
    )
    views = [
        ChangeView(panel=row.panel, order=row.order, at=moment(row.at), changes=row.changes)
        for row in found
    ]
    return 200, HistoryList(history=views, next=None if next_id is None else str(next_id))


ROUTES = (
    Route(
        "GET",
        "/v1/history",
        list_history,
        "List what changed of all orders, oldest first. Archived orders are not in it.",
        {200: HistoryList},
        params=(PANEL, SINCE, Param("newest", FLAG, "The newest first."), LIMIT, CURSOR),
    ),
)

"""The API's call about what changed, over all orders."""

from aiohttp import web

from watcher.web.backend import (
    CURSOR,
    FLAG,
    LIMIT,
    PANEL,
    SINCE,
    Backend,
    Param,
    Route,
    flag,
    page_of,
    time_of,
)
from watcher.web.shapes import ChangeView, HistoryList
from watcher.web.views import moment


async def list_history(backend: Backend, request: web.Request) -> tuple[int, HistoryList]:
    limit, after = page_of(request)
    found, next_id = await backend.store.history.changes(
        panel=request.query.get("panel") or None,
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
        method="GET",
        path="/v1/history",
        handler=list_history,
        summary="List what changed of all orders, oldest first. Archived orders are not in it.",
        params=(
            PANEL,
            SINCE,
            Param("newest", FLAG, "The newest first."),
            LIMIT,
            CURSOR,
        ),
        gives={200: HistoryList},
    ),
)

"""The download of what the list of orders shows, as CSV."""

from aiohttp import web

from watcher.store.candidates import Cursor
from watcher.web.context import BACKEND
from watcher.web.order_file import PART, OrderFiles, Page
from watcher.web.page.listing import filters_of, query_of
from watcher.web.principal import principal_of


async def send(request: web.Request, files: OrderFiles) -> web.StreamResponse:
    """Send every order that the filters let through, the newest first."""
    context = request.app[BACKEND]
    wanted = await query_of(context, principal_of(request), filters_of(request))

    async def read(after: Cursor | None) -> Page:
        found = await context.store.search.find(wanted, limit=PART, after=after)
        return list(found.orders), found.next

    return await files.send(request, read)

"""The download of what the list of orders shows, as CSV."""

from aiohttp import web

from watcher.store.candidates import SearchCursor
from watcher.web.context import CONTEXT
from watcher.web.order_file import PART, OrderFiles, Page
from watcher.web.page.listing import filters_of, query_of
from watcher.web.principal import principal_of


async def send(request: web.Request, files: OrderFiles) -> web.StreamResponse:
    """Send every order that matches the filters, newest first."""
    context = request.app[CONTEXT]
    wanted = await query_of(context, principal_of(request), filters_of(request))

    async def read(after: SearchCursor | None) -> Page:
        found = await context.store.search.find(wanted, limit=PART, after=after)
        return list(found.orders), found.next

    return await files.send(request, read)

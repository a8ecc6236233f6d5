"""The orders that the filters let through, as a file of CSV that is made while it is sent."""

import asyncio

import msgspec
import structlog
from aiohttp import web

from watcher.errors import StoreError
from watcher.store.candidates import Cursor, SearchQuery
from watcher.store.search import SearchResult
from watcher.web.context import BACKEND, WebContext
from watcher.web.order_csv import HEAD, order_lines
from watcher.web.page.listing import filters_of, query_of
from watcher.web.principal import principal_of
from watcher.web.rate_limit import ConcurrencyLimit

log = structlog.get_logger()

AT_ONCE = 2
_PART = 200  # orders converted in one turn of the event loop: some milliseconds
_READ_WITHIN = 60.0  # seconds: nothing is kept for a client that stops reading
_HEADERS = {
    "Content-Type": "text/csv; charset=utf-8",
    "Content-Disposition": 'attachment; filename="orders.csv"',
}


class Downloads:
    """Sends files of orders, few at once. A file that could not be finished breaks off."""

    def __init__(self) -> None:
        self._limit = ConcurrencyLimit(AT_ONCE)

    async def send(self, request: web.Request) -> web.StreamResponse:
        """Send every order that the filters let through, the newest first."""
        context = request.app[BACKEND]
        with self._limit:
            wanted = await query_of(context, principal_of(request), filters_of(request))
            found = await _find(context, wanted, None)
            response = web.StreamResponse(headers=_HEADERS)
            await response.prepare(request)
            try:
                await _send(context, response, wanted, found)
            except (StoreError, TimeoutError) as error:
                log.warning("page.download_broken", cause=str(error) or "the reader is too slow")
                if request.transport is not None:
                    request.transport.abort()  # else the browser would take it for complete
        return response


async def _send(
    context: WebContext, response: web.StreamResponse, wanted: SearchQuery, found: SearchResult
) -> None:
    await _write(response, HEAD)
    while True:
        views = [context.view(context.live(order)) for order in found.orders]
        await _write(response, order_lines(map(msgspec.to_builtins, views)))
        if found.next is None:
            return await response.write_eof()
        found = await _find(context, wanted, found.next)


async def _find(context: WebContext, wanted: SearchQuery, after: Cursor | None) -> SearchResult:
    return await context.store.search.find(wanted, limit=_PART, after=after)


async def _write(response: web.StreamResponse, part: bytes) -> None:
    async with asyncio.timeout(_READ_WITHIN):
        await response.write(part)

"""`GET /v1/orders.csv`: the orders as a file, for spreadsheets, made while it is sent."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from aiohttp import web

from watcher.errors import StoreError
from watcher.model import Order
from watcher.web.context import CONTEXT, TEXT, Param, WebContext, check_given
from watcher.web.order_csv import HEAD, order_lines
from watcher.web.order_routes import FILTERS, filters_of
from watcher.web.rate_limit import ConcurrencyLimit

log = structlog.get_logger()

PATH = "/v1/orders.csv"
_AT_ONCE = 2
PART = 200  # orders converted in one turn of the event loop: some milliseconds
_READ_WITHIN = 60.0  # seconds: nothing is kept for a client that stops reading
_HEADERS = {
    "Content-Type": "text/csv; charset=utf-8",
    "Content-Disposition": 'attachment; filename="orders.csv"',
}
_PARAMS = (
    *FILTERS,
    Param("key", TEXT, "A key that may only read, for programs that can't send headers."),
)
DESCRIPTION: dict[str, Any] = {
    "get": {
        "operationId": "orders_csv",
        "summary": "Return orders as CSV, oldest tracked first, as `watcher export orders` has it.",
        "parameters": [
            {
                "name": param.name,
                "in": "query",
                "required": False,
                "description": param.text,
                "schema": param.schema,
            }
            for param in _PARAMS
        ],
        "responses": {
            "200": {
                "description": "A line of names, and a line for each order.",
                "content": {"text/csv": {"schema": {"type": "string"}}},
            },
            **{
                str(status): {
                    "description": HTTPStatus(status).phrase,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/FaultAnswer"}}
                    },
                }
                for status in (400, 401, 403, 421, 429, 503)
            },
        },
    }
}


Page = tuple[list[Order], Any]  # orders, and where the next page begins: None after the last


class OrderFiles:
    """Sends files of orders, few at once. A file that can't be finished breaks off."""

    def __init__(self) -> None:
        self._limit = ConcurrencyLimit(_AT_ONCE)

    async def send(
        self, request: web.Request, read: Callable[[Any], Awaitable[Page]]
    ) -> web.StreamResponse:
        """Send all pages that `read` returns; it gets None, then where the last page ended."""
        with self._limit:
            page = await read(None)
            response = web.StreamResponse(headers=_HEADERS)
            await response.prepare(request)
            try:
                await _send(request.app[CONTEXT], response, page, read)
            except (StoreError, TimeoutError) as error:
                log.warning("orders.file_broken", cause=str(error) or "the reader is too slow")
                if request.transport is not None:
                    request.transport.abort()  # else the reader would take it for complete
        return response


def order_file(files: OrderFiles) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the handler of requests for the file of all orders."""

    async def respond(request: web.Request) -> web.StreamResponse:
        context = request.app[CONTEXT]
        check_given(request, _PARAMS)
        filters = filters_of(context, request)

        async def read(after: Any) -> Page:
            return await context.store.orders.page(**filters, limit=PART, after=after or 0)

        return await files.send(request, read)

    return respond


async def _send(
    context: WebContext,
    response: web.StreamResponse,
    page: Page,
    read: Callable[[Any], Awaitable[Page]],
) -> None:
    await _write(response, HEAD)
    while True:
        orders, after = page
        views = [context.view(order) for order in orders]
        await _write(response, order_lines(map(msgspec.to_builtins, views)))
        if after is None:
            return await response.write_eof()
        page = await read(after)


async def _write(response: web.StreamResponse, part: bytes) -> None:
    async with asyncio.timeout(_READ_WITHIN):
        await response.write(part)

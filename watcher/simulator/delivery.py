"""Sends responses, with transport faults."""

import asyncio
import socket
import struct

import msgspec
from aiohttp import web

from watcher.simulator.handlers import Reply, page
from watcher.simulator.switches import Shown
from watcher.simulator.traits import Trait

BLANKS = b" " * 65536
DRIP = 0.02
GATEWAY_TIMEOUT = page("504 Gateway Time-out", 504)


class Delivery:
    """Sends responses until the panel stops."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End every wait and every endless response."""
        self._stopping.set()

    async def wait(self, seconds: float) -> bool:
        """Wait; return False if the panel stops meanwhile."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return True
        return False

    async def deliver(self, request: web.Request, reply: Reply, shown: Shown) -> web.StreamResponse:
        """Send the reply with the faults of its traits."""
        if Trait.STALL in shown and not await self.wait(shown[Trait.STALL]):
            return hang_up(request)
        if Trait.RESET in shown:
            return hang_up(request, abort=True)
        if Trait.CLOSE_BEFORE in shown or Trait.CLOSE_AFTER in shown:
            return hang_up(request)
        try:
            return await self._send(request, _spoilt(reply, shown), shown)
        except ConnectionError:
            # The client has closed the connection because of a fault.
            return hang_up(request)

    async def _send(self, request: web.Request, reply: Reply, shown: Shown) -> web.StreamResponse:
        if Trait.CUT_ANSWER in shown:
            return await _cut(request, reply)
        if Trait.ENDLESS_ANSWER in shown:
            return await self._endless(request, reply)
        if Trait.HUGE_ANSWER in shown:
            return await _huge(request, reply, int(shown[Trait.HUGE_ANSWER]))
        return web.Response(
            body=reply.body,
            status=reply.http,
            content_type=reply.content_type,
            headers=reply.headers,
        )

    async def _endless(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        response = _stream(reply)
        await response.prepare(request)
        await response.write(reply.body[:-1])
        while await self.wait(DRIP):
            await response.write(BLANKS[:1024])
        return hang_up(request, response)


def hang_up(
    request: web.Request, response: web.StreamResponse | None = None, *, abort: bool = False
) -> web.StreamResponse:
    """Close the connection; return a response, since aiohttp needs one even then."""
    if request.transport is not None:
        if abort:
            _reset(request.transport)
        request.transport.close()
    return web.Response() if response is None else response


def _reset(transport: asyncio.Transport) -> None:
    """Close with RST instead of FIN."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _in_lists(body: bytes) -> bytes:
    """Wrap each value of a JSON body in a list; keep other bodies unchanged."""
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    return msgspec.json.encode(_in_list(answer))


def _in_list(value: object) -> object:
    if isinstance(value, dict):
        return {name: _in_list(part) for name, part in value.items()}
    return [_in_list(part) for part in value] if isinstance(value, list) else [value]


async def _cut(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = _stream(reply)
    response.content_length = len(reply.body)
    await response.prepare(request)
    await response.write(reply.body[: len(reply.body) // 2])
    return hang_up(request, response)


async def _huge(request: web.Request, reply: Reply, size: int) -> web.StreamResponse:
    response = _stream(reply)
    await response.prepare(request)
    for _ in range(max(1, size // len(BLANKS))):
        await response.write(BLANKS)
    await response.write_eof(reply.body)
    return response


def _stream(reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.http, headers=reply.headers)
    response.content_type = reply.content_type
    return response


def _spoilt(reply: Reply, shown: Shown) -> Reply:
    """Return the reply with its body, status or type replaced according to the traits."""
    if Trait.HTML_504_AFTER in shown:
        reply = GATEWAY_TIMEOUT
    if Trait.LIMIT_429_AFTER in shown:
        reply = reply._replace(http=429)
    if Trait.EMPTY_BODY in shown:
        reply = Reply(b"")
    if Trait.BROKEN_JSON in shown:
        reply = reply._replace(body=reply.body[: len(reply.body) // 2])
    if Trait.WRONG_TYPES in shown:
        reply = reply._replace(body=_in_lists(reply.body))
    if Trait.JSON_AS_HTML in shown:
        reply = reply._replace(content_type="text/html")
    return reply

"""A panel over a plain socket, which answers byte by byte as a test says."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from tests.support.clockwork import time_passes


class Request(NamedTuple):
    """What reached the panel, and on which of its connections."""

    connection: int
    head: str
    form: dict[str, str]


Respond = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


class RawPanel:
    """Keeps the requests, and lets `respond` write what it likes to each."""

    def __init__(self, respond: Respond) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.asked = asyncio.Event()
        self._respond = respond
        self._connections: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.append(writer)
        number = len(self._connections)
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?i)content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                request = Request(number, head, dict(parse_qsl(body.decode())))
                self.requests.append(request)
                self.asked.set()
                await self._respond(request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def hang_up(self) -> None:
        for writer in self._connections:
            writer.transport.abort()


@asynccontextmanager
async def a_raw_panel(respond: Respond) -> AsyncIterator[RawPanel]:
    panel = RawPanel(respond)
    server = await asyncio.start_server(panel.serve, "127.0.0.1", 0)
    panel.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v2"
    try:
        yield panel
    finally:
        server.close()
        panel.hang_up()


async def stall() -> None:
    """Send nothing more, for longer than anybody waits."""
    await time_passes(3600.0)
    await asyncio.sleep(60.0)


def http(body: Any = b"", status: str = "200 OK", headers: str = "") -> bytes:
    """A whole answer; a body that is no bytes becomes JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    length = "" if "content-length" in headers else f"content-length: {len(raw)}\r\n"
    return f"HTTP/1.1 {status}\r\n{length}{headers}\r\n".encode() + raw

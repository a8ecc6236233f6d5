"""The socket that the web listens on: so many connections and no more."""

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

MOST_CONNECTIONS = 256
LONGEST_LINE = LONGEST_HEADER = 8190  # bytes
MOST_HEADERS = 64
IDLE = 75.0  # seconds that a connection may go without a whole request

_log = logging.getLogger("watcher.web.door")
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
    b"Connection: close\r\n\r\n"
)


def make_runner(app: web.Application) -> web.AppRunner:
    """The application's runner, with bounds on what it takes in."""
    _log.addFilter(_is_ours)
    return web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=5.0,
        logger=_log,
        keepalive_timeout=IDLE,
        lingering_time=2.0,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_HEADER,
        max_headers=MOST_HEADERS,
    )


class Door(web.BaseSite):
    """A TCP site that turns away who comes when it is full: files and panels need sockets too."""

    def __init__(
        self, runner: web.AppRunner, host: str, port: int, most: int = MOST_CONNECTIONS
    ) -> None:
        super().__init__(runner)
        self._host = host
        self._port = port
        self._most = most

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen; OSError where that can't be."""
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._admit, self._host, self._port, backlog=self._backlog
        )

    def _admit(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or len(server.connections) >= self._most:
            return _TurnAway()
        return server()


class _TurnAway(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        transport.write(_FULL)
        transport.close()


def _is_ours(record: logging.LogRecord) -> bool:
    """What a client sent that is no HTTP is answered, not logged: it could fill the disk."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)

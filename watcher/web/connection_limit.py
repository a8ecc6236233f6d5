"""The listening socket, with limits on all connections and on those of one client."""

import asyncio
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from watcher.metrics import Metrics
from watcher.web.rate_limit import client_of

MOST_CONNECTIONS = 256
# Of one client. A reverse proxy is one client, too: this must exceed the drop-in's AT_ONCE.
MOST_OF_A_CLIENT = 192
FIRST_HEAD_WITHIN = 10.0  # seconds that a new connection has for its first request's head
LONGEST_LINE = LONGEST_HEADER = 8190  # bytes
MOST_HEADERS = 64
IDLE = 75.0  # seconds that a connection may go without a whole request

# What aiohttp raises for bad or missing bytes: any client can cause it, without a token.
CLIENT_FAULTS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
    b"Connection: close\r\n\r\n"
)


def make_runner(app: web.Application, metrics: Metrics) -> web.AppRunner:
    """Return the application's runner, with limits on the size of requests.

    A request whose bytes can't be read counts as "broken".
    """
    return web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=3.0,
        logger=_logger(metrics),
        keepalive_timeout=IDLE,
        lingering_time=2.0,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_HEADER,
        max_headers=MOST_HEADERS,
    )


class RecentConnections:
    """Connections that have not sent a whole request head yet."""

    def __init__(self) -> None:
        self._timers: dict[Any, asyncio.TimerHandle] = {}

    def expect(self, protocol: Any, give_up: Callable[[], None]) -> None:
        """Call `give_up` unless the connection's first request head arrives in time."""

        def late() -> None:
            self._timers.pop(protocol, None)
            give_up()

        self._timers[protocol] = asyncio.get_running_loop().call_later(FIRST_HEAD_WITHIN, late)

    def arrived(self, protocol: Any) -> None:
        """Cancel the connection's timer: it has sent a request head."""
        timer = self._timers.pop(protocol, None)
        if timer is not None:
            timer.cancel()


ARRIVALS = web.AppKey("arrivals", RecentConnections)


class ConnectionLimit(web.BaseSite):
    """A TCP site that refuses connections when it is full: files and panels need sockets too.

    A refused connection counts as "crowded", one that sent no request in time as "silent".
    """

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        metrics: Metrics,
        *,
        most: int = MOST_CONNECTIONS,
        most_of_a_client: int = MOST_OF_A_CLIENT,
    ) -> None:
        super().__init__(runner)
        self._host = host
        self._port = port
        self._metrics = metrics
        self._most = most
        self._most_of_a_client = most_of_a_client
        self._arrivals = runner.app[ARRIVALS]

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Start to listen; raise OSError if that fails."""
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Arrival(self._admit), self._host, self._port, backlog=self._backlog
        )

    def _admit(self, transport: asyncio.Transport) -> None:
        server = self._runner.server
        if server is None or not self._has_room(transport, server.connections):
            self._metrics.count_web_fault("crowded")
            transport.write(_FULL)
            transport.close()
            return
        protocol = server()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self._arrivals.expect(protocol, lambda: self._give_up(transport))

    def _has_room(self, transport: asyncio.Transport, connections: list[Any]) -> bool:
        if len(connections) >= self._most:
            return False
        client = _client(transport.get_extra_info("peername"))
        same = sum(_client(connection.peername) == client for connection in connections)
        return same < self._most_of_a_client

    def _give_up(self, transport: asyncio.Transport) -> None:
        if not transport.is_closing():
            self._metrics.count_web_fault("silent")
            transport.abort()


class _Arrival(asyncio.Protocol):
    """A new connection, until it is accepted."""

    def __init__(self, admit: Callable[[asyncio.Transport], None]) -> None:
        self._admit = admit

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._admit(cast(asyncio.Transport, transport))


def _client(peername: Any) -> str:
    return _client_of(peername[0]) if peername else ""


_client_of = lru_cache(maxsize=1024)(client_of)


def _logger(metrics: Metrics) -> logging.Logger:
    """Return a logger that counts what clients cause: logging it could fill the disk."""

    def is_ours(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, CLIENT_FAULTS):
            return True
        metrics.count_web_fault("broken")
        return False

    logger = logging.Logger("watcher.web.connection_limit")
    logger.parent = logging.getLogger()
    logger.addFilter(is_ours)
    return logger

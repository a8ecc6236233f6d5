"""A TCP proxy on this machine that cuts what goes through it, or keeps it back."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Listens on a port of its own and passes on what comes, unless it is cut or frozen."""

    def __init__(self, reach: Callable[[], Awaitable[Pair]]) -> None:
        self.port = 0
        self._reach = reach
        self._flows, self._is_cut = asyncio.Event(), False
        self._flows.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        place = socket.socket()
        place.bind(("127.0.0.1", 0))
        self.port = place.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, sock=place)

    async def close(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()

    def cut(self) -> None:
        """End every connection, and each new one at once."""
        self._is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def freeze(self) -> None:
        """Keep back what comes, in both directions; nobody is told. New connections hang."""
        self._flows.clear()

    def mend(self) -> None:
        """Pass on what comes, and what was kept back."""
        self._is_cut = False
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._flows.wait()
            if not self._is_cut:
                await self._join(reader, writer)
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._open.discard(writer)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_there, to_there = await self._reach()
        self._open.add(to_there)
        both = [
            asyncio.ensure_future(self._pump(reader, to_there)),
            asyncio.ensure_future(self._pump(from_there, writer)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in both:
                pump.cancel()
            to_there.transport.abort()
            self._open.discard(to_there)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()


def to_port(port: int) -> Callable[[], Awaitable[Pair]]:
    return lambda: asyncio.open_connection("127.0.0.1", port)


def to_socket(path: str) -> Callable[[], Awaitable[Pair]]:
    return lambda: asyncio.open_unix_connection(path)

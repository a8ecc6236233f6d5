"""A TCP proxy on this machine that cuts what goes through it, or keeps it back.

All of them run in a loop of their own: a test that keeps its loop busy is no network's fault.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import cache
from typing import Any

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Listens on a port of its own and passes on what comes, unless it is cut or frozen."""

    def __init__(self, reach: Callable[[], Awaitable[Pair]]) -> None:
        self._reach = reach
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._place = socket.socket()
        self._place.bind(("127.0.0.1", 0))
        self.port: int = self._place.getsockname()[1]

    async def start(self) -> None:
        await _there(self._start())

    async def close(self) -> None:
        self.cut()
        await _there(self._close())

    def cut(self) -> None:
        """End every connection, and each new one at once."""
        _loop().call_soon_threadsafe(self._cut)

    def freeze(self) -> None:
        """Keep back what comes, in both directions; nobody is told. New connections hang."""
        _loop().call_soon_threadsafe(self._flows.clear)

    def mend(self) -> None:
        """Pass on what comes, and what was kept back."""
        _loop().call_soon_threadsafe(self._mend)

    # --- in the loop of all proxies ---

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._place)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()

    def _cut(self) -> None:
        self._is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def _mend(self) -> None:
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


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="proxies", daemon=True).start()
    return loop


async def _there(work: Coroutine[Any, Any, None]) -> None:
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, _loop()))

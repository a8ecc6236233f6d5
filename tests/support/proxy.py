"""A TCP proxy on this machine that cuts what goes through it, or stands still.

All of them run in a loop of their own: a test that keeps its loop busy is no network's fault.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from typing import Any

from tests.support.still import freeze, thaw

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Listens on a port of its own and passes on what comes, unless it is cut or frozen."""

    def __init__(self, reach: Callable[[], Awaitable[Pair]]) -> None:
        self._reach = reach
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._callers: set[asyncio.StreamWriter] = set()
        self._reached: set[asyncio.StreamWriter] = set()
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
        """End every connection, also a frozen one, and each new one at once."""
        _now(self._cut)

    def freeze(self) -> None:
        """Lose what comes, as a network does that stands still; nobody is told.

        Its senders' kernels send it again, for as long as they keep it. Answers are kept back. New
        connections hang.
        """
        _now(self._freeze)

    def mend(self) -> None:
        """Pass on what comes, and the answers that were kept back."""
        _now(self._mend)

    # --- in the loop of all proxies ---

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._place)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()

    def _cut(self) -> None:
        self._mend()
        self._is_cut = True
        for writer in self._callers | self._reached:
            writer.transport.abort()

    def _freeze(self) -> None:
        self._flows.clear()
        self._each(freeze)

    def _mend(self) -> None:
        self._is_cut = False
        self._flows.set()
        self._each(thaw)

    def _each(self, change: Callable[[Any], None]) -> None:
        """Change what listens, and the connections of all callers."""
        for place in (self._place, *(w.get_extra_info("socket") for w in self._callers)):
            with suppress(OSError):  # it is closed, or was not frozen
                change(place)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers.add(writer)
        # One that had connected and was not taken yet: what it has sent since is lost as well.
        is_lost = not self._flows.is_set()
        try:
            await self._flows.wait()
            if not (self._is_cut or is_lost):
                await self._join(reader, writer)
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._callers.discard(writer)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_there, to_there = await self._reach()
        self._reached.add(to_there)
        both = [
            asyncio.ensure_future(self._ask(reader, to_there)),
            asyncio.ensure_future(self._answer(from_there, writer)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in both:
                pump.cancel()
            to_there.transport.abort()
            self._reached.discard(to_there)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while True:
                data = await reader.read(65536)
                await self._flows.wait()
                if not data:
                    return
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


def _now(work: Callable[[], None]) -> None:
    """Do it in that loop, and return when it is done."""
    done = Future[None]()
    _loop().call_soon_threadsafe(lambda: done.set_result(work()))
    done.result(10.0)


async def _there(work: Coroutine[Any, Any, None]) -> None:
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, _loop()))

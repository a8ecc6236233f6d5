"""The proxy of the tests: passes on, cuts, and keeps back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tests.support.proxy import Proxy, to_port


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """Before a server that says again what it is told."""
    closed: list[asyncio.StreamWriter] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        closed.append(writer)
        with suppress(OSError):
            while data := await reader.read(100):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    made = Proxy(to_port(server.sockets[0].getsockname()[1]))
    await made.start()
    yield made
    await made.close()
    for writer in closed:
        with suppress(OSError):
            await writer.wait_closed()
    server.close()


async def said(proxy: Proxy, word: bytes) -> bytes:
    """What is answered; nothing where the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(word)
        return await reader.read(100)
    except OSError:
        return b""
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_it_passes_on_what_comes(proxy: Proxy) -> None:
    assert await said(proxy, b"one") == b"one"


async def test_what_is_cut_ends_and_is_mended(proxy: Proxy) -> None:
    proxy.freeze()
    waiting = asyncio.create_task(said(proxy, b"one"))
    await asyncio.sleep(0.05)
    proxy.cut()
    assert await waiting == b""
    proxy.mend()
    proxy.cut()
    assert await said(proxy, b"two") == b""
    proxy.mend()
    assert await said(proxy, b"three") == b"three"


async def test_what_is_frozen_comes_later(proxy: Proxy) -> None:
    proxy.freeze()
    waiting = asyncio.create_task(said(proxy, b"one"))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    proxy.mend()
    assert await waiting == b"one"


async def test_a_connection_that_is_frozen_goes_on_later(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"one")
    assert await reader.read(100) == b"one"
    proxy.freeze()
    await asyncio.sleep(0.05)
    writer.write(b"two")
    done, waiting = await asyncio.wait([asyncio.ensure_future(reader.read(100))], timeout=0.3)
    assert not done
    proxy.mend()
    assert await waiting.pop() == b"two"
    writer.close()
    await writer.wait_closed()

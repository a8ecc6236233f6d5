"""Failures of connections in plain words: nobody has to know a library's names for them."""

import asyncio
import errno
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http.client import RemoteDisconnected
from types import SimpleNamespace

import aiohttp
import pytest
from typer.testing import CliRunner

from tests.support.ports import free_port
from tests.support.tls import OTHER, SERVER, context
from watcher.cli import app
from watcher.common.transport import failure
from watcher.errors import Undelivered
from watcher.events.webhook import Webhook

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_OF_A_LIBRARY = re.compile(r"\[|\]|_|Errno|Error\b|ssl\.c|127\.0\.0\.1|localhost|private")


def certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] (_ssl.c:1006)")
    error.verify_code = code
    return error


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] (_ssl.c:1006)")
    error.reason = reason
    return error


KEY = SimpleNamespace(host="private.example", port=443, ssl=True, is_ssl=True)
SAID = [
    (ConnectionRefusedError(111, "Connect call failed"), "refused: nothing listens"),
    (ConnectionResetError(104, "Connection reset by peer"), "the other side reset"),
    (RemoteDisconnected("x"), "the other side reset"),
    (BrokenPipeError(32, "x"), "the other side closed"),
    (OSError(errno.EHOSTUNREACH, "x"), "no route to the host"),
    (OSError(errno.ENETUNREACH, "x"), "the network is unreachable"),
    (OSError(errno.ETIMEDOUT, "x"), "no answer in time"),
    (OSError(errno.EMFILE, "x"), "this process has too many files open"),
    (OSError(errno.EADDRNOTAVAIL, "x"), "Cannot assign requested address"),
    (
        OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 101] unreachable"),
        "refused: nothing listens",
    ),
    (socket.gaierror(socket.EAI_NONAME, "x"), "no address is known for the host name"),
    (socket.gaierror(socket.EAI_NODATA, "x"), "no address is known for the host name"),
    (socket.gaierror(socket.EAI_AGAIN, "x"), "the name server does not answer"),
    (certificate(10), "certificate has expired"),
    (certificate(9), "not valid yet"),
    (certificate(18), "is self-signed"),
    (certificate(19), "a root that is not trusted here"),
    (certificate(20), "signed by an authority that is not trusted here"),
    (certificate(62), "is for another host name"),
    (certificate(1), "certificate is not trusted here"),
    (tls("WRONG_VERSION_NUMBER"), "does not speak TLS on this port"),
    (tls("HTTP_REQUEST"), "does not speak TLS on this port"),
    (tls("TLSV1_ALERT_PROTOCOL_VERSION"), "no version of TLS that is safe"),
    (tls("SSLV3_ALERT_HANDSHAKE_FAILURE"), r"\(sslv3 alert handshake failure\)"),
    (ssl.SSLError(1, ""), "no TLS connection could be agreed on"),
    (TimeoutError(), "no answer in time"),
    (aiohttp.ServerDisconnectedError(), "closed the connection without an answer"),
    (aiohttp.ClientPayloadError("x"), "cut off"),
    (aiohttp.InvalidURL("http://private"), "its URL can't be used"),
    (UnicodeError("x"), "host name can't be used"),
]


@pytest.mark.parametrize(("error", "words"), SAID, ids=lambda value: str(value)[:40])
def test_each_kind_is_said_in_plain_words(error: BaseException, words: str) -> None:
    assert re.search(words, failure(error))
    assert not _OF_A_LIBRARY.search(failure(error))


@pytest.mark.parametrize(("error", "words"), SAID[:10])
def test_a_connectors_error_says_its_cause(error: OSError, words: str) -> None:
    assert re.search(words, failure(aiohttp.ClientConnectorError(KEY, error)))
    proxied = failure(aiohttp.ClientProxyConnectionError(KEY, error))
    assert proxied.startswith("the proxy can't be reached: ")
    assert re.search(words, proxied)


def test_a_proxy_that_refuses_and_an_error_of_no_kind_we_know() -> None:
    info = SimpleNamespace(real_url="http://private")
    assert failure(aiohttp.ClientHttpProxyError(info, (), status=407)) == (
        "the proxy answers HTTP 407"
    )
    assert failure(RuntimeError("private")) == "RuntimeError"


# --- over real connections ---


async def ask(url: str, trusted: ssl.SSLContext | bool = True) -> str:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        try:
            async with session.post(url, ssl=trusted) as answer:
                await answer.read()
        except (aiohttp.ClientError, OSError) as error:
            return failure(error)
    raise AssertionError("it was answered")


@asynccontextmanager
async def served(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)


async def speaks_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.transport.abort()


async def test_nothing_listens() -> None:
    assert "refused" in await ask(f"http://127.0.0.1:{free_port()}")


async def test_tls_to_a_port_without() -> None:
    async with served(speaks_http) as port:
        said = await ask(f"https://127.0.0.1:{port}/api/v2")
    assert said == "the server does not speak TLS on this port: http:// or another port?"


async def test_the_connection_ends_amid_the_request() -> None:
    async with served(resets) as port:
        said = await ask(f"http://127.0.0.1:{port}")
    assert "closed the connection" in said or "reset the connection" in said


async def test_certificates() -> None:
    async with served(reads, context(SERVER)) as port:
        assert "self-signed" in await ask(f"https://127.0.0.1:{port}")
    trusted = ssl.create_default_context(cafile=OTHER)
    async with served(reads, context(OTHER)) as port:
        assert "another" in await ask(f"https://127.0.0.1:{port}", trusted)


async def test_a_webhook_says_it_too() -> None:
    webhook = Webhook(f"http://127.0.0.1:{free_port()}/private", None)
    with pytest.raises(Undelivered, match=r"^the connection is refused: nothing listens") as caught:
        await webhook.send("1", b"{}", 1.0)
    assert "private" not in str(caught.value)
    await webhook.close()


async def test_the_command_line_says_it_of_a_daemon() -> None:
    async with served(speaks_http) as port:
        url = f"https://127.0.0.1:{port}"
        ask = ("panels", "--url", url)
        result = await asyncio.to_thread(CliRunner().invoke, app, ask)
    assert result.exit_code == 3
    assert f"{url} does not answer: the server does not speak TLS on this port" in result.stderr

"""HTTP helpers: body sizes, Retry-After, redirections, failures, and keys in answers."""

import asyncio
import socket
import struct
import time
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, quote_plus, urljoin, urlsplit, urlunsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter

from watcher.common.transport import failure
from watcher.common.trust import Trust
from watcher.errors import NotSent, Redirected, RemoteFault
from watcher.panels.dialect import shown_url
from watcher.panels.protocol import clean
from watcher.panels.protocol.answers import pause

MIB = 1024 * 1024
# An invalid host name raises UnicodeError when it is resolved.
_UNUSABLE_URL = (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError)
_LARGEST_ERROR = MIB
# Characters. A shorter key, as in demos, can be a part of ordinary words.
_REAL_KEY, _SHORTEST_SECRET = 16, 4
_AT_ONCE = struct.pack("ii", 1, 0)  # struct linger: a close drops what has not arrived


class SecretText:
    """The secrets of a panel's requests, in every spelling that an answer may repeat."""

    def __init__(self, key: str, *others: str) -> None:
        secrets = [one for one in (key, *others) if len(one) >= _SHORTEST_SECRET]
        secrets.sort(key=len, reverse=True)  # one may be a part of another
        self._spellings = [spelling for secret in secrets for spelling in _spellings(secret)]
        real = [secret for secret in secrets if len(secret) >= _REAL_KEY]
        self._in_bodies = [one.encode() for secret in real for one in _spellings(secret)]

    def without(self, body: bytes) -> bytes:
        """Remove the secrets from an answer; done before decoding, which may clip texts."""
        for spelling in self._in_bodies:
            body = body.replace(spelling, b"[key]")
        return body

    def redact(self, text: str) -> str:
        """Remove the secrets from a message."""
        for spelling in self._spellings:
            text = text.replace(spelling, "[key]")
        return text


def _spellings(secret: str) -> set[str]:
    in_json = msgspec.json.encode(secret).decode()[1:-1]
    return {secret, quote_plus(secret), in_json, in_json.replace("/", r"\/")}


async def whole(response: aiohttp.ClientResponse, largest: int) -> bytes:
    """Read the body, up to `largest` bytes."""
    if (response.content_length or 0) > largest:
        raise RemoteFault(f"an answer of {response.content_length} bytes")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > largest:
            raise RemoteFault(f"an answer of more than {largest // MIB} MiB")
    return bytes(body)


async def best_effort(response: aiohttp.ClientResponse) -> bytes:
    """Read an error's body; return b"" if that fails, since the status is enough."""
    try:
        return await whole(response, _LARGEST_ERROR)
    except (RemoteFault, aiohttp.ClientError):
        return b""


def retry_after(header: str | None, date: str | None = None) -> float | None:
    """Read Retry-After as seconds; a date is relative to `date`, the sender's clock."""
    text = (header or "").strip()[:64]
    try:
        seconds = float(text) if text.isdecimal() else _timestamp(text) - _clock(date)
    except (ValueError, TypeError, OverflowError):
        return None
    return pause(seconds)


def _clock(date: str | None) -> float:
    """Return the sender's time; the local time if it is not given."""
    try:
        return _timestamp((date or "").strip()[:64])
    except (ValueError, TypeError, OverflowError):
        return time.time()


def _timestamp(text: str) -> float:
    at = parsedate_to_datetime(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def redirected(status: int, location: str | None, asked: str) -> Redirected:
    """Return the error for a redirection, with as much of its target as may be shown.

    Redirections are not followed: the key would go wherever an answer says. The whole URL is shown
    only if it differs from the one asked for by scheme, "www." or a slash at the end.
    """
    target = _target(location, asked)
    if target is None:
        return Redirected(f"HTTP {status}", None)
    host = target.hostname
    if not _is_alike(target, urlsplit(asked)):
        return Redirected(f"HTTP {status}, pointing to {host}", None)
    url = urlunsplit(target)
    return Redirected(f"HTTP {status}: it redirects to {shown_url(url)}: use that as url", url)


def _target(location: str | None, asked: str) -> SplitResult | None:
    try:
        target = urlsplit(urljoin(asked, location or ""))
        return target._replace(fragment="") if location and target.hostname else None
    except ValueError:
        return None


def _is_alike(target: SplitResult, asked: SplitResult) -> bool:
    try:
        same_port = target.scheme != asked.scheme or target.port == asked.port
    except ValueError:
        return False
    return (
        same_port
        and target.scheme in ("http", "https")
        and "@" not in target.netloc
        and _bare(target.hostname) == _bare(asked.hostname)
        and target.path.rstrip("/") == asked.path.rstrip("/")
        and target.query in ("", asked.query)
        and target != asked
    )


def _bare(host: str | None) -> str:
    return (host or "").removeprefix("www.")


def transport_fault(error: Exception, url: str, connect_within: float) -> Exception:
    """Convert a library's error: NotSent only if no byte was sent."""
    host, cause = urlsplit(url).hostname, clean(failure(error))
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return NotSent(f"no connection to {host} within {connect_within:g} s")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError):
        return NotSent(f"no connection to {host}: {cause}")
    if isinstance(error, _UNUSABLE_URL) and not isinstance(error, UnicodeDecodeError):
        return NotSent("its URL can't be used")
    return (
        error if isinstance(error, TimeoutError) else RemoteFault(f"the connection broke: {cause}")
    )


class ActionBody(aiohttp.BytesPayload):
    """An action's body: written only if there is trust at that moment, and taken back if need be.

    aiohttp keeps the headers back until then: if nothing may be sent, no byte leaves.

    `patience`, in seconds, is for how long the kernel sends it again while the network loses it
    (TCP_USER_TIMEOUT of tcp(7)). Without a limit it does so for minutes, also after this process
    was killed.
    """

    def __init__(self, body: bytes, trust: Trust, patience: float) -> None:
        super().__init__(body)
        self.is_withheld = False
        self._trust, self._patience = trust, patience
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write the body, or nothing."""
        if not self._trust.is_trusted():
            self.is_withheld = True
            raise ConnectionAbortedError("nothing may be sent any more")
        if isinstance(writer, StreamWriter) and writer.transport is not None:
            self._transport = writer.transport
            self._socket = writer.transport.get_extra_info("socket")
            self._set(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * self._patience))
        await super().write_with_length(writer, content_length)

    def take_back(self) -> None:
        """Reset the connection: what has not arrived by now never does."""
        if self._transport is not None:
            self._set(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self._transport.abort()

    def _set(self, level: int, option: int, value: int | bytes) -> None:
        with suppress(OSError, ValueError):  # the connection is closed
            self._socket.setsockopt(level, option, value)

"""What HTTP brings beside an answer: its size, its headers, and our key where it is repeated."""

import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import quote_plus, urlsplit

import aiohttp
import msgspec

from watcher.errors import RemoteFault
from watcher.panels.protocol import clean
from watcher.panels.protocol.answers import pause

MIB = 1024 * 1024
_LARGEST_ERROR = MIB
# Characters: a shorter key, as in demos, can be a part of ordinary words, or of any text at all.
_REAL_KEY, _SHORTEST_SECRET = 16, 4


class Secret:
    """A key, and the ways in which an answer may repeat it."""

    def __init__(self, key: str) -> None:
        in_json = msgspec.json.encode(key).decode()[1:-1]
        spellings = {key, quote_plus(key), in_json, in_json.replace("/", r"\/")}
        self._spellings = list(spellings) if len(key) >= _SHORTEST_SECRET else []
        self._is_real = len(key) >= _REAL_KEY

    def without(self, body: bytes) -> bytes:
        """An answer without the key; before it is decoded, so that no clipping leaves a part."""
        if self._is_real:
            for spelling in self._spellings:
                body = body.replace(spelling.encode(), b"[key]")
        return body

    def redact(self, text: str) -> str:
        """A message without the key."""
        for spelling in self._spellings:
            text = text.replace(spelling, "[key]")
        return text


async def whole(response: aiohttp.ClientResponse, largest: int) -> bytes:
    """The body, given up as soon as it is too large."""
    if (response.content_length or 0) > largest:
        raise RemoteFault(f"an answer of {response.content_length} bytes")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > largest:
            raise RemoteFault(f"an answer of more than {largest // MIB} MiB")
    return bytes(body)


async def best_effort(response: aiohttp.ClientResponse) -> bytes:
    """An error's body: the status counts without it."""
    try:
        return await whole(response, _LARGEST_ERROR)
    except (RemoteFault, aiohttp.ClientError):
        return b""


def retry_after(header: str | None, date: str | None = None) -> float | None:
    """Seconds, given as such or as a date: that is by the sender's clock, which `date` tells."""
    text = (header or "").strip()[:64]
    try:
        seconds = float(text) if text.isdecimal() else _timestamp(text) - _clock(date)
    except (ValueError, TypeError, OverflowError):
        return None
    return pause(seconds)


def _clock(date: str | None) -> float:
    """What the sender's clock shows; ours, where it does not say."""
    try:
        return _timestamp((date or "").strip()[:64])
    except (ValueError, TypeError, OverflowError):
        return time.time()


def _timestamp(text: str) -> float:
    at = parsedate_to_datetime(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def pointing_to(location: str | None) -> str:
    """A redirection's host; what else stands in it may be private."""
    try:
        host = urlsplit(location or "").hostname
    except ValueError:
        host = None
    return f", pointing to {host}" if host else ""


def cause(error: BaseException) -> str:
    """What a library says of a failure."""
    return clean(str(error) or type(error).__name__)

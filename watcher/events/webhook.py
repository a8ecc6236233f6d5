"""Messages to other programs over HTTP, signed."""

from collections.abc import Mapping

import aiohttp

from watcher.common.signatures import headers
from watcher.common.transport import failure
from watcher.errors import Undelivered
from watcher.events.retries import LONGEST

JSON = {"content-type": "application/json"}
_TIMEOUT = aiohttp.ClientTimeout(total=15.0)
_GONE = 410  # the receiver wants no more messages
_TOO_MANY, _SLOWER = 429, 1.0  # the status; the pause in seconds if Retry-After is missing


class Webhook:
    """One receiver; `fixed` are headers of every message. Like the URL they may be secret."""

    def __init__(
        self, url: str, secret: bytes | None, fixed: Mapping[str, str] | None = None
    ) -> None:
        self._url = url
        self._secret = secret
        self._fixed = fixed or {}
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, message_id: str, body: bytes, now: float, more: Mapping[str, str] = JSON
    ) -> None:
        """Send the message, with `more` headers; raise Undelivered if it may not have arrived."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        sent = {**self._fixed, **headers(self._secret, message_id, now, body), **more}
        try:
            async with self._session.post(
                self._url, data=body, headers=sent, allow_redirects=False
            ) as answer:
                status, wait = answer.status, answer.headers.get("retry-after", "")
        except TimeoutError:
            raise Undelivered("no answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Undelivered(failure(error)) from None
        if not 200 <= status < 300:
            after = float(wait) if wait.isascii() and wait.isdecimal() else 0.0
            after = min(LONGEST, max(after, _SLOWER if status == _TOO_MANY else 0.0))
            raise Undelivered(f"HTTP {status}", for_good=status == _GONE, retry_after=after)

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

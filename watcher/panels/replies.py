"""HTTP replies: read up to a size, then decoded, whatever their status is."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import aiohttp
import msgspec

from watcher.errors import PanelError, RateLimited, RemoteFault, ServerFault
from watcher.model import Accepted, RowError, Unclear
from watcher.panels import protocol
from watcher.panels.http_utils import MIB, SecretText, best_effort, redirected, retry_after, whole
from watcher.panels.protocol import StatusAnswer

Answer = TypeVar("Answer")
Decode = Callable[[bytes], Answer]


class HttpReply(NamedTuple):
    """An HTTP reply: status, body and two headers."""

    status: int
    body: bytes
    wait: float | None = None  # Retry-After, in seconds
    location: str | None = None

    @property
    def is_good(self) -> bool:
        return self.status < 300


async def read_reply(response: aiohttp.ClientResponse, largest: int) -> HttpReply:
    """Read the reply to a read; raise for a rate limit or a redirection."""
    status = response.status
    if status == protocol.TOO_MANY_REQUESTS:
        raise RateLimited(f"HTTP {status}", _wait(response))
    if 300 <= status < 400:
        raise redirected(status, response.headers.get("Location"), str(response.request_info.url))
    body = await (whole(response, largest) if status < 300 else best_effort(response))
    return HttpReply(status, body)


async def read_action_reply(response: aiohttp.ClientResponse, largest: int) -> HttpReply:
    """Read the reply to an action, with its body, whatever the status is."""
    status = response.status
    if status < 300:
        return HttpReply(status, await whole(response, largest))
    try:
        body = await whole(response, MIB)
    except (RemoteFault, aiohttp.ClientError):
        kind = ServerFault if status >= 500 else RemoteFault
        raise kind(f"HTTP {status} with a body that breaks off") from None
    return HttpReply(status, body, _wait(response), response.headers.get("Location"))


def _wait(response: aiohttp.ClientResponse) -> float | None:
    headers = response.headers
    return retry_after(headers.get("Retry-After"), headers.get("Date"))


class ReplyDecoder:
    """Decodes the replies of one panel; removes the `secret` that they may repeat."""

    def __init__(self, url: str, secret: SecretText) -> None:
        self._url = url
        self._secret = secret

    def of_read(self, reply: HttpReply, decode: Decode[Answer]) -> Answer:
        """Decode the reply to a read; with an error status, only if all rows are refusals."""
        status, body = reply.status, reply.body
        if reply.is_good:
            return self._decoded(body, decode)
        refusal = protocol.refusal(self._secret.without(body))
        if status >= 500:
            raise ServerFault(f"HTTP {status}" + (f": {refusal}" if refusal else ""))
        try:
            answer = self._decoded(body, decode)
        except RemoteFault as error:
            raise refusal or RemoteFault(f"HTTP {status}: {error}") from None
        rows = _rows(answer)
        if rows and all(isinstance(row, RowError) for row in rows.values()):
            return answer
        raise refusal or RemoteFault(f"HTTP {status} with an answer that names no error")

    def of_action(self, reply: HttpReply, decode: Decode[Answer]) -> Answer:
        """Decode the verdicts of an action; with an error status, the body decides."""
        if reply.is_good:
            return self._decoded(reply.body, decode)
        found: Any
        try:
            found = self._decoded(reply.body, decode)
        except PanelError as error:
            found = error
        try:
            body = self._secret.without(reply.body)
            return cast("Answer", protocol.read_failed(reply.status, body, found))
        except RateLimited as error:
            error.retry_after = error.retry_after if reply.wait is None else reply.wait
            raise
        except RemoteFault:
            if 300 <= reply.status < 400 and type(found) is RemoteFault:
                raise redirected(reply.status, reply.location, self._url) from None
            raise

    def _decoded(self, body: bytes, decode: Decode[Answer]) -> Answer:
        body = self._secret.without(body)
        try:
            answer = decode(body)
        except RemoteFault as error:
            raise protocol.as_unreadable(error, body) from None
        rows = _rows(answer)
        for name, row in rows.items():
            if isinstance(row, RowError | Accepted | Unclear):
                rows[name] = msgspec.structs.replace(row, text=self._secret.redact(row.text))
        return answer


def _rows(answer: object) -> dict[str, Any]:
    """Return the answer's rows, {} if it has none."""
    rows = answer.rows if isinstance(answer, StatusAnswer) else answer
    return rows if isinstance(rows, dict) else {}

"""One panel over HTTP: each method is one request, and says what is known when it fails."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec

from watcher import __version__
from watcher.errors import (
    BadKey,
    NotSent,
    PanelError,
    RateLimited,
    RemoteFault,
    ServerFault,
    TimedOut,
)
from watcher.model import (
    Accepted,
    Balance,
    Observation,
    RowError,
    Service,
    Unclear,
    Verdict,
)
from watcher.panels import protocol
from watcher.panels.dialect import PLAIN, Dialect
from watcher.panels.profiles import Profile
from watcher.panels.protocol import News, Reading, RefillObservation
from watcher.panels.wire import MIB, Secret, best_effort, cause, redirected, retry_after, whole
from watcher.turns import Turns

_LARGEST_ANSWER = 4 * MIB
_LARGEST_PRICE_LIST = 32 * MIB
_TEXT_LIMIT = 200
_HEADERS = {
    "User-Agent": f"watcher/{__version__}",
    "Accept": "application/json",
}

# A host's name that is no name is found out when it is to be resolved.
_UNUSABLE_URL = (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError)
_BROKE = "the connection broke: "

Answer = TypeVar("Answer")
Decode = Callable[[bytes], Answer]


class PanelClient:
    """A panel's API. Nothing is sent twice, split or delayed here: callers see to that.

    `on_request(action, seconds, reason)` is told of each request that ended; `reason` is that of
    the PanelError, or None. A cancelled request has no end. Clients that share `turns` read their
    answers in turn. `on_unread(action, field, value)` is told of values that are there and can't be
    read, a few an answer.
    """

    def __init__(
        self,
        *,
        name: str,
        url: str,
        key: str,
        profile: Profile,
        timeout: float,
        on_request: Callable[[str, float, str | None], None],
        on_unread: Callable[[str, str, str], None] = lambda action, field, value: None,
        turns: Turns | None = None,
        dialect: Dialect = PLAIN,
    ) -> None:
        self.name = name
        self._url = url
        self._key = key
        self._profile = profile
        self._timeout = timeout
        self._on_request = on_request
        self._on_unread = on_unread
        self._turns = turns or Turns()
        self._dialect = dialect
        self._secret = Secret(key, *dialect.secrets(url))
        self._reading: aiohttp.ClientSession | None = None
        self._acting: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready to send; nothing is sent yet."""
        self._reading = self._session(force_close=False)
        # A panel may close an idle connection just as a request is written to it, and whether
        # it was carried out then stays unknown: what costs or changes something never takes one.
        self._acting = self._session(force_close=True)

    async def close(self) -> None:
        """Give up every connection."""
        for session in (self._reading, self._acting):
            if session is not None:
                await session.close()
        self._reading = self._acting = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"PanelClient({self.name!r})"

    def limit(self, action: str) -> int:
        """How many ids one request may carry: 0 where the panel can't do it at all."""
        if not self._profile.can(action):
            return 0
        multiple = action == "cancel" or self._profile.can(f"multi_{action}")
        return self._profile.batch if multiple else 1

    async def statuses(self, ids: Sequence[str]) -> dict[str, Observation | RowError]:
        """The orders' statuses; an order that is left out was not observed."""
        return (await self.news(ids, [0] * len(ids))).rows

    async def news(self, ids: Sequence[str], marks: Sequence[int]) -> News:
        """The same, without what was told before: `marks` stand for that."""
        params = self._params("status", "order", ids)
        news = await self._request(
            self._reading, "status", params, lambda body: protocol.decode_news(body, ids, marks)
        )
        self._tell_unread("status", news.unread)
        return news

    async def refill(self, ids: Sequence[str]) -> dict[str, Verdict]:
        """Ask for refills: their ids, or what the panel said. What is left out is unclear, too."""
        params = self._params("refill", "order", ids)
        return await self._request(
            self._acting, "refill", params, lambda body: protocol.decode_refills(body, ids)
        )

    async def refill_statuses(self, ids: Sequence[str]) -> dict[str, RefillObservation | RowError]:
        """How far the refills are; a refill that is left out was not observed."""
        params = self._params("refill_status", "refill", ids)
        return await self._request(
            self._reading,
            "refill_status",
            params,
            lambda body: protocol.decode_refill_statuses(body, ids),
        )

    async def cancel(self, ids: Sequence[str]) -> dict[str, Verdict]:
        """Ask to cancel orders: what the panel said. What is left out is unclear, too."""
        self._check("cancel", ids)
        return await self._request(
            self._acting,
            "cancel",
            {"orders": ",".join(ids)},
            lambda body: protocol.decode_cancels(body, ids),
        )

    async def add(self, params: Mapping[str, str]) -> Verdict:
        """Place an order: its id, or what else the panel said."""

        def decode(body: bytes) -> dict[str, Verdict]:
            return {"": protocol.decode_add(body)}

        return (await self._request(self._acting, "add", params, decode))[""]

    async def services(self) -> tuple[list[Service], list[str]]:
        """The price list, and a line for each row of it that can't be read."""
        return await self._read("services", protocol.decode_services, _LARGEST_PRICE_LIST)

    async def balance(self) -> Balance:
        """What is left in the account."""
        return await self._read("balance", protocol.decode_balance)

    async def _read(
        self,
        action: str,
        decode: Callable[[bytes, Reading], Answer],
        largest: int = _LARGEST_ANSWER,
    ) -> Answer:
        """Ask for what has no ids."""
        reading = Reading()
        try:
            return await self._request(
                self._reading, action, {}, lambda body: decode(body, reading), largest
            )
        finally:
            self._tell_unread(action, reading.unread)

    def _tell_unread(self, action: str, unread: Sequence[protocol.Unread]) -> None:
        for field, value in unread:
            self._on_unread(action, field, self._secret.redact(value))

    async def probe(self, action: str, params: Mapping[str, str]) -> object:
        """Send a request that changes nothing, known to the panel or not; return its JSON."""
        return await self._request(self._reading, action, params, protocol.load)

    def _session(self, *, force_close: bool) -> aiohttp.ClientSession:
        # What is spent on connecting is known not to have sent anything; half of the time is
        # left for the answer. The whole is bounded around it.
        timeout = aiohttp.ClientTimeout(
            total=None, connect=self._timeout / 2, ceil_threshold=float("inf")
        )
        return aiohttp.ClientSession(
            # No limit here, the callers keep one: who waits for a connection would time out.
            connector=aiohttp.TCPConnector(
                limit=0, force_close=force_close, ttl_dns_cache=300, ssl=self._dialect.trusted()
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._dialect.all_headers(_HEADERS),
            timeout=timeout,
            proxy=self._dialect.proxy,
        )

    def _params(self, action: str, word: str, ids: Sequence[str]) -> dict[str, str]:
        self._check(action, ids)
        return {word: ids[0]} if len(ids) == 1 else {f"{word}s": ",".join(ids)}

    def _check(self, action: str, ids: Sequence[str]) -> None:
        most = self.limit(action)
        if not 1 <= len(ids) <= most:
            raise ValueError(f"{self.name}: {action} takes 1 to {most} ids, not {len(ids)}")

    async def _request(
        self,
        session: aiohttp.ClientSession | None,
        action: str,
        params: Mapping[str, str],
        decode: Decode[Answer],
        largest: int = _LARGEST_ANSWER,
    ) -> Answer:
        if session is None:
            raise RuntimeError("the client is not open")
        body = self._dialect.encode(self._key, action, params)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._exchange(session, body, decode, largest)
        except TimeoutError:
            failure: PanelError = TimedOut(f"no whole answer within {self._timeout:g} s")
        except PanelError as error:
            failure = error
        else:
            self._on_request(action, time.perf_counter() - started, None)
            return answer
        self._on_request(action, time.perf_counter() - started, failure.reason)
        told = self._secret.redact(str(failure))[:_TEXT_LIMIT]
        failure.args = (told + self._key_hint() if isinstance(failure, BadKey) else told,)
        raise failure from None

    def _key_hint(self) -> str:
        """What is odd about a key that the panel does not take: it is sent as it stands."""
        ends = self._key[:1] + self._key[-1:]
        return " (the key stands in quotes: take them off)" if ends in ("''", '""') else ""

    async def _exchange(
        self, session: aiohttp.ClientSession, sent: bytes, decode: Decode[Answer], largest: int
    ) -> Answer:
        """One request and its answer.

        aiohttp repeats a request by itself on a broken connection only where the method is
        idempotent; a POST never is.
        """
        try:
            async with session.post(self._url, data=sent, allow_redirects=False) as response:
                acts = session is self._acting
                reply = await (_of_action if acts else _of_question)(response, largest)
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise self._fault(error) from None
        if acts:
            return (
                self._decoded(reply.body, decode) if reply.is_good else self._acted(reply, decode)
            )
        await self._turns.take()  # what an action came to waits for nothing
        if reply.is_good:
            return self._decoded(reply.body, decode)
        return self._failed(reply, decode)

    def _fault(self, error: Exception) -> Exception:
        """What a library's error says of a request: never sent, or nobody knows."""
        host = urlsplit(self._url).hostname
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return NotSent(f"no connection to {host} within {self._timeout / 2:g} s")
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError):
            return NotSent(f"no connection to {host}: {cause(error)}")
        if isinstance(error, _UNUSABLE_URL) and not isinstance(error, UnicodeDecodeError):
            return NotSent("its URL can't be used")
        return error if isinstance(error, TimeoutError) else RemoteFault(_BROKE + cause(error))

    def _failed(self, reply: "_Reply", decode: Decode[Answer]) -> Answer:
        """What an error's answer tells a reader; rows only where each is a refusal."""
        status, body = reply.status, reply.body
        told = protocol.refusal(self._secret.without(body))
        if status >= 500:
            raise ServerFault(f"HTTP {status}" + (f": {told}" if told else ""))
        try:
            answer = self._decoded(body, decode)
        except RemoteFault as error:
            raise told or RemoteFault(f"HTTP {status}: {error}") from None
        rows = answer.rows if isinstance(answer, News) else answer
        if isinstance(rows, dict) and rows and all(map(_is_refused, rows.values())):
            return answer
        raise told or RemoteFault(f"HTTP {status} with an answer that tells of no error")

    def _acted(self, reply: "_Reply", decode: Decode[Answer]) -> Answer:
        """What an error's answer tells of an action: what it may have done decides the body."""
        found: Any
        try:
            found = self._decoded(reply.body, decode)
        except PanelError as error:
            found = error
        try:
            verdicts: Any = protocol.read_failed(
                reply.status, self._secret.without(reply.body), found
            )
        except RateLimited as error:
            error.retry_after = error.retry_after if reply.wait is None else reply.wait
            raise
        except RemoteFault:
            if 300 <= reply.status < 400 and type(found) is RemoteFault:
                raise redirected(reply.status, reply.location, self._url) from None
            raise
        return cast("Answer", verdicts)

    def _decoded(self, body: bytes, decode: Decode[Answer]) -> Answer:
        body = self._secret.without(body)
        try:
            answer = decode(body)
        except RemoteFault as error:
            raise protocol.as_unreadable(error, body) from None
        rows: Any = answer.rows if isinstance(answer, News) else answer
        if isinstance(rows, dict):
            for name, row in rows.items():
                if isinstance(row, RowError | Accepted | Unclear):
                    rows[name] = msgspec.structs.replace(row, text=self._secret.redact(row.text))
        return answer


class _Reply(NamedTuple):
    """An answer as HTTP brings it."""

    status: int
    body: bytes
    wait: float | None = None  # seconds for which the panel wants to be left alone
    location: str | None = None

    @property
    def is_good(self) -> bool:
        return self.status < 300


async def _of_question(response: aiohttp.ClientResponse, largest: int) -> _Reply:
    """The answer to a question: a limit and a redirection need no body."""
    status = response.status
    if status == protocol.TOO_MANY_REQUESTS:
        raise RateLimited(f"HTTP {status}", _wait(response))
    if 300 <= status < 400:
        raise redirected(status, response.headers.get("Location"), str(response.request_info.url))
    body = await (whole(response, largest) if status < 300 else best_effort(response))
    return _Reply(status, body)


async def _of_action(response: aiohttp.ClientResponse, largest: int) -> _Reply:
    """The answer to an action, whose body counts whatever its status is."""
    status = response.status
    if status < 300:
        return _Reply(status, await whole(response, largest))
    try:
        body = await whole(response, MIB)
    except (RemoteFault, aiohttp.ClientError):
        kind = ServerFault if status >= 500 else RemoteFault
        raise kind(f"HTTP {status} with a body that breaks off") from None
    return _Reply(status, body, _wait(response), response.headers.get("Location"))


def _wait(response: aiohttp.ClientResponse) -> float | None:
    headers = response.headers
    return retry_after(headers.get("Retry-After"), headers.get("Date"))


def _is_refused(row: object) -> bool:
    return isinstance(row, RowError)

"""One panel over HTTP: each method sends one request, and raises what is known when it fails."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self, TypeVar

import aiohttp

from watcher import __version__
from watcher.common.round_robin import RoundRobin
from watcher.common.trust import ALWAYS, Trust
from watcher.errors import BadKey, NotSent, PanelError, TimedOut
from watcher.model import Balance, Observation, RowError, Service, Verdict
from watcher.panels import protocol
from watcher.panels.dialect import PLAIN, Dialect
from watcher.panels.http_utils import MIB, ActionBody, SecretText, transport_fault
from watcher.panels.profiles import Profile
from watcher.panels.protocol import Reading, RefillObservation, StatusAnswer
from watcher.panels.replies import Decode, HttpReply, ReplyDecoder, read_action_reply, read_reply

_LARGEST_ANSWER = 4 * MIB
_LARGEST_PRICE_LIST = 32 * MIB
_TEXT_LIMIT = 200
_BROKEN = (aiohttp.ClientError, OSError, UnicodeError)
_HEADERS = {"User-Agent": f"watcher/{__version__}", "Accept": "application/json"}

Answer = TypeVar("Answer")


class PanelClient:
    """A panel's API. It sends each request once; the caller splits, delays and repeats.

    `on_request(action, seconds, reason)` is called for each request that ended; `reason` is that of
    the PanelError, or None; it is not called for a cancelled request. Clients that share a
    `round_robin` decode their answers one after the other. `on_unread(action, field, value)` is
    called for the first few values of an answer that are present and can't be read. `trust` is
    asked as the last thing before an action is written: without it, NotSent is raised.
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
        round_robin: RoundRobin | None = None,
        dialect: Dialect = PLAIN,
        trust: Trust = ALWAYS,
    ) -> None:
        self.name = name
        self._url = url
        self._key = key
        self._profile = profile
        self._timeout = timeout
        self._on_request = on_request
        self._on_unread = on_unread
        self._round_robin = round_robin or RoundRobin()
        self._dialect = dialect
        self._trust = trust
        self._secret = SecretText(key, *dialect.secrets(url))
        self._decoder = ReplyDecoder(url, self._secret)
        self._reading: aiohttp.ClientSession | None = None
        self._acting: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Prepare to send; nothing is sent yet."""
        self._reading = self._session(force_close=False)
        # A panel may close an idle connection just as a request is written to it. Nobody then knows
        # whether the request was carried out, so an action never takes a reused connection.
        self._acting = self._session(force_close=True)

    async def close(self) -> None:
        """Close every connection."""
        for session in (self._reading, self._acting):
            if session is not None:
                await session.close()
        self._reading = self._acting = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"PanelClient({self.name!r})"

    def limit(self, action: str) -> int:
        """Return how many ids one request may carry: 0 where the panel can't do it at all."""
        if not self._profile.can(action):
            return 0
        multiple = action == "cancel" or self._profile.can(f"multi_{action}")
        return self._profile.batch if multiple else 1

    async def statuses(self, ids: Sequence[str]) -> dict[str, Observation | RowError]:
        """Ask for the orders' statuses; an order that is left out was not observed."""
        return (await self.changed_statuses(ids, [0] * len(ids))).rows

    async def changed_statuses(self, ids: Sequence[str], marks: Sequence[int]) -> StatusAnswer:
        """Ask for the orders' statuses; rows whose `marks` are as before are not decoded."""
        answer = await self._request(
            self._reading,
            "status",
            self._params("status", ids),
            lambda body: protocol.decode_news(body, ids, marks),
        )
        self._tell_unread("status", answer.unread)
        return answer

    async def refill_statuses(self, ids: Sequence[str]) -> dict[str, RefillObservation | RowError]:
        """Ask for the refills' statuses; a refill that is left out was not observed."""
        return await self._request(
            self._reading,
            "refill_status",
            self._params("refill_status", ids),
            lambda body: protocol.decode_refill_statuses(body, ids),
        )

    async def services(self) -> tuple[list[Service], list[str]]:
        """Ask for the price list; return its services, and a line for each unreadable row."""
        return await self._read("services", protocol.decode_services, _LARGEST_PRICE_LIST)

    async def balance(self) -> Balance:
        """Ask for the account's balance."""
        return await self._read("balance", protocol.decode_balance)

    async def probe(self, action: str, params: Mapping[str, str]) -> object:
        """Send any request that changes nothing; return the answer's JSON."""
        return await self._request(self._reading, action, params, protocol.load)

    async def refill(self, ids: Sequence[str]) -> dict[str, Verdict]:
        """Ask for refills; return their ids, or what the panel said."""
        return await self._request(
            self._acting,
            "refill",
            self._params("refill", ids),
            lambda body: protocol.decode_refills(body, ids),
        )

    async def cancel(self, ids: Sequence[str]) -> dict[str, Verdict]:
        """Ask to cancel orders; return what the panel said."""
        return await self._request(
            self._acting,
            "cancel",
            self._params("cancel", ids),
            lambda body: protocol.decode_cancels(body, ids),
        )

    async def add(self, params: Mapping[str, str]) -> Verdict:
        """Place an order; return its id, or what the panel said instead."""

        def decode(body: bytes) -> dict[str, Verdict]:
            return {"": protocol.decode_add(body)}

        return (await self._request(self._acting, "add", params, decode))[""]

    def _params(self, action: str, ids: Sequence[str]) -> dict[str, str]:
        most = self.limit(action)
        if not 1 <= len(ids) <= most:
            raise ValueError(f"{self.name}: {action} takes 1 to {most} ids, not {len(ids)}")
        word = "refill" if action == "refill_status" else "order"
        if len(ids) == 1 and action != "cancel":
            return {word: ids[0]}
        return {f"{word}s": ",".join(ids)}

    async def _read(
        self,
        action: str,
        decode: Callable[[bytes, Reading], Answer],
        largest: int = _LARGEST_ANSWER,
    ) -> Answer:
        """Send a read that takes no ids."""
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

    async def _request(
        self,
        session: aiohttp.ClientSession | None,
        action: str,
        params: Mapping[str, str],
        decode: Decode[Answer],
        largest: int = _LARGEST_ANSWER,
    ) -> Answer:
        """Send one request and report to `on_request`. Errors never contain the key."""
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
        text = self._secret.redact(str(failure))[:_TEXT_LIMIT]
        failure.args = (text + self._key_hint() if isinstance(failure, BadKey) else text,)
        raise failure from None

    def _key_hint(self) -> str:
        """Return what may be wrong with a key that the panel does not accept."""
        ends = self._key[:1] + self._key[-1:]
        return " (the key stands in quotes: take them off)" if ends in ("''", '""') else ""

    async def _exchange(
        self, session: aiohttp.ClientSession, body: bytes, decode: Decode[Answer], largest: int
    ) -> Answer:
        """Post the body, once: aiohttp repeats only requests of idempotent methods by itself."""
        if session is self._acting:
            return self._decoder.of_action(await self._act(session, body, largest), decode)
        try:
            async with session.post(self._url, data=body, allow_redirects=False) as response:
                reply = await read_reply(response, largest)
        except _BROKEN as error:
            raise transport_fault(error, self._url, self._connect_within) from None
        await self._round_robin.take()  # answers to actions don't wait
        return self._decoder.of_read(reply, decode)

    async def _act(self, session: aiohttp.ClientSession, body: bytes, largest: int) -> HttpReply:
        """Post an action; if it is given up, what is still on its way doesn't arrive later."""
        data = ActionBody(body, self._trust, self._timeout - self._connect_within)
        try:
            async with session.post(self._url, data=data, allow_redirects=False) as response:
                return await read_action_reply(response, largest)
        except BaseException as error:
            data.take_back()
            if data.is_withheld:
                raise NotSent("this node's lease is over: nothing was sent") from None
            if isinstance(error, _BROKEN):
                raise transport_fault(error, self._url, self._connect_within) from None
            raise

    @property
    def _connect_within(self) -> float:
        """Half of the timeout, in seconds: the other half is for the answer."""
        return self._timeout / 2

    def _session(self, *, force_close: bool) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(
            total=None, connect=self._connect_within, ceil_threshold=float("inf")
        )
        return aiohttp.ClientSession(
            # No limit: callers limit requests; waiting for a connection would use up the timeout.
            connector=aiohttp.TCPConnector(
                limit=0, force_close=force_close, ttl_dns_cache=300, ssl=self._dialect.trusted()
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._dialect.all_headers(_HEADERS),
            timeout=timeout,
            proxy=self._dialect.proxy,
        )

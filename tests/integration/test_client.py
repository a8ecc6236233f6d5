"""One panel over loopback HTTP: what is known when a request ends well, badly or not at all."""

import asyncio
import gzip
import json
import re
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any, NamedTuple

import pytest

from tests.support.clockwork import time_passes
from tests.support.raw_panel import RawPanel, Request, Respond, a_raw_panel, http, stall
from watcher import __version__
from watcher.errors import (
    BadKey,
    NotSent,
    PanelError,
    RateLimited,
    Refused,
    RemoteFault,
    ServerFault,
    TimedOut,
    Unreadable,
)
from watcher.model import Balance, Observation, RefillStatus, RowError, Status, Unclear
from watcher.panels.client import PanelClient
from watcher.panels.profiles import Profile, shipped
from watcher.panels.protocol import RefillObservation, Unmatched
from watcher.simulator import SimulatedPanel, Trait

KEY = "0123456789abcdef0123456789abcdef"
MIB = 1024 * 1024
STANDARD = shipped()["standard"]
ROW = {"charge": "0.5", "start_count": "1", "status": "Partial", "remains": "2", "currency": "USD"}
SEEN = Observation(
    status=Status.PARTIAL,
    status_text="Partial",
    charge=Decimal("0.5"),
    currency="USD",
    start_count=1,
    remains=2,
)


class Calls(list[tuple[str, float, str | None]]):
    """What the client told of its requests."""

    def note(self, action: str, seconds: float, reason: str | None) -> None:
        self.append((action, seconds, reason))

    @property
    def outcomes(self) -> list[tuple[str, str | None]]:
        return [(action, reason) for action, _, reason in self]


class Line(NamedTuple):
    """A client and the raw panel that it is connected to."""

    client: PanelClient
    panel: RawPanel
    calls: Calls
    url: str


@asynccontextmanager
async def client_of(
    url: str,
    *,
    profile: Profile = STANDARD,
    key: str = KEY,
    within: float = 30.0,
    on_unread: Callable[[str, str, str], None] = lambda *said: None,
) -> AsyncIterator[tuple[PanelClient, Calls]]:
    calls = Calls()
    client = PanelClient(
        name="p",
        url=url,
        key=key,
        profile=profile,
        timeout=within,
        on_request=calls.note,
        on_unread=on_unread,
    )
    async with client:
        yield client, calls


@asynccontextmanager
async def connected(respond: Respond, **options: Any) -> AsyncIterator[Line]:
    async with (
        a_raw_panel(respond) as panel,
        client_of(panel.url, **options) as (client, calls),
    ):
        yield Line(client, panel, calls, panel.url)


def answering(body: Any = b"", status: str = "200 OK", headers: str = "") -> Respond:
    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(http(body, status, headers))

    return respond


def sending(raw: bytes, *, stalls: bool = False) -> Respond:
    """Sends these bytes; then it stalls, or closes the connection."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if stalls:
            await stall()
        writer.close()

    return respond


async def failure(respond: Respond, **options: Any) -> PanelError:
    """How an action ends at a panel that responds so."""
    async with connected(respond, **options) as line:
        with pytest.raises(PanelError) as caught:
            await line.client.refill(["7"])
        assert line.calls.outcomes == [("refill", caught.value.reason)]
        assert len(line.panel.requests) == 1, "nothing is sent twice"
        return caught.value


class TestRequests:
    """Each method is one request, in the single form for one id."""

    @pytest.mark.parametrize(
        ("call", "form", "body", "seen"),
        [
            (
                lambda c: c.statuses(["7"]),
                {"action": "status", "order": "7"},
                ROW,
                {"7": SEEN},
            ),
            (
                lambda c: c.statuses(["7", "8"]),
                {"action": "status", "orders": "7,8"},
                {"7": ROW, "8": {"error": "Incorrect order ID"}},
                {"7": SEEN, "8": RowError("Incorrect order ID")},
            ),
            (
                lambda c: c.refill(["7"]),
                {"action": "refill", "order": "7"},
                {"refill": "5"},
                {"7": "5"},
            ),
            (
                lambda c: c.refill(["7", "8"]),
                {"action": "refill", "orders": "7,8"},
                [{"order": 8, "refill": 6}, {"order": 7, "refill": {"error": "no"}}],
                {"7": RowError("no"), "8": "6"},
            ),
            (
                lambda c: c.refill_statuses(["5"]),
                {"action": "refill_status", "refill": "5"},
                {"status": "Completed"},
                {"5": RefillObservation(RefillStatus.COMPLETED, "Completed")},
            ),
            (
                lambda c: c.refill_statuses(["5", "6"]),
                {"action": "refill_status", "refills": "5,6"},
                [{"refill": 5, "status": "Completed"}],
                {"5": RefillObservation(RefillStatus.COMPLETED, "Completed")},
            ),
            (
                lambda c: c.cancel(["7"]),
                {"action": "cancel", "orders": "7"},
                [{"order": 7, "cancel": 1}],
                {"7": "1"},
            ),
            (
                lambda c: c.add({"service": "1", "link": "https://x.example/?a=b&c"}),
                {"action": "add", "service": "1", "link": "https://x.example/?a=b&c"},
                {"order": 23501},
                "23501",
            ),
            (lambda c: c.services(), {"action": "services"}, [], ([], [])),
            (
                lambda c: c.balance(),
                {"action": "balance"},
                {"balance": "1.50", "currency": "USD"},
                Balance(Decimal("1.50"), "USD"),
            ),
        ],
    )
    async def test_one_request(
        self,
        call: Callable[[PanelClient], Awaitable[object]],
        form: dict[str, str],
        body: object,
        seen: object,
    ) -> None:
        async with connected(answering(body)) as line:
            assert await call(line.client) == seen
            [request] = line.panel.requests
            assert request.form == {"key": KEY} | form
            assert request.head.startswith("POST /api/v2 HTTP/1.1\r\n")
            assert f"User-Agent: watcher/{__version__}\r\n" in request.head
            assert "Content-Type: application/x-www-form-urlencoded\r\n" in request.head
            [(action, seconds, reason)] = line.calls
            assert (action, reason) == (form["action"], None)
            assert 0 < seconds < 5

    async def test_201_is_an_answer_too(self) -> None:
        async with connected(answering({"order": 1}, "201 Created")) as line:
            assert await line.client.add({"service": "1"}) == "1"

    async def test_a_compressed_answer(self) -> None:
        body = gzip.compress(json.dumps({"refill": 5}).encode())
        async with connected(answering(body, headers="content-encoding: gzip\r\n")) as line:
            assert await line.client.refill(["7"]) == {"7": "5"}

    def test_limits(self) -> None:
        def limits(profile: Profile) -> list[int]:
            client = PanelClient(
                name="p", url="", key="", profile=profile, timeout=1, on_request=Calls().note
            )
            return [client.limit(a) for a in ("status", "refill", "refill_status", "cancel")]

        assert limits(STANDARD) == [100, 100, 100, 100]
        assert limits(shipped()["smmgenie"]) == [100, 1, 1, 0]
        assert limits(shipped()["genzsmm"]) == [100, 100, 100, 0]
        assert limits(STANDARD.altered(batch=20, lacks=("multi_status", "refill"))) == [
            1,
            0,
            20,
            20,
        ]

    async def test_more_ids_than_the_limit_are_a_bug(self) -> None:
        async with connected(answering(), profile=shipped()["smmgenie"]) as line:
            calls = [
                line.client.statuses([str(n) for n in range(101)]),
                line.client.refill(["1", "2"]),
                line.client.refill_statuses(["1", "2"]),
                line.client.cancel(["1"]),
                line.client.statuses([]),
            ]
            for call in calls:
                with pytest.raises(ValueError, match="ids"):
                    await call
            assert line.panel.requests == []
            assert line.calls == []

    async def test_a_client_that_is_not_open_is_a_bug(self) -> None:
        async with connected(answering()) as line:
            await line.client.close()
            with pytest.raises(RuntimeError):
                await line.client.balance()


class TestConnections:
    async def test_reads_keep_their_connection_actions_never_reuse_one(self) -> None:
        async with connected(answering({"refill": 5, **ROW})) as line:
            for _ in range(3):
                await line.client.statuses(["7"])
            for _ in range(2):
                await line.client.refill(["7"])
            assert [request.connection for request in line.panel.requests] == [1, 1, 1, 2, 3]

    async def test_nothing_is_sent_again_on_a_connection_that_breaks(self) -> None:
        """An idle connection that the panel closes as the next request is written to it."""

        async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
            if len(line.panel.requests) == 1:
                writer.write(http(ROW))
            else:
                writer.close()

        async with connected(respond) as line:
            await line.client.statuses(["7"])
            with pytest.raises(RemoteFault):
                await line.client.statuses(["7"])
            assert [request.connection for request in line.panel.requests] == [1, 1]

    async def test_nothing_listens(self) -> None:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        async with client_of(f"http://127.0.0.1:{port}/") as (client, calls):
            with pytest.raises(NotSent, match=r"no connection to 127\.0\.0\.1"):
                await client.refill(["7"])
        assert calls.outcomes == [("refill", "unreachable")]

    @pytest.mark.parametrize(
        "url",
        [
            "http://panel.invalid/api",
            "http://a..b/",
            f"http://{'a' * 64}.example/",
            "ftp://x/",
            "x",
        ],
    )
    async def test_addresses_that_lead_nowhere(self, url: str) -> None:
        async with client_of(url) as (client, _):
            with pytest.raises(NotSent):
                await client.refill(["7"])

    async def test_a_server_without_tls(self) -> None:
        async with connected(answering()) as line:
            async with client_of(line.url.replace("http:", "https:")) as (client, _):
                with pytest.raises(NotSent):
                    await client.refill(["7"])
            assert line.panel.requests == []

    async def test_a_tls_handshake_that_stalls(self) -> None:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(hold, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with client_of(f"https://127.0.0.1:{port}/", within=0.4) as (client, _):
            with pytest.raises(NotSent, match=r"no connection to 127\.0\.0\.1 within 0\.2 s"):
                await client.refill(["7"])
        server.close()


HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN = {
    "closed before the answer": b"",
    "cut in the head": HEAD + b"conte",
    "cut in the body": HEAD + b'content-length: 100\r\n\r\n{"refill": "5"}',
    "cut in a chunk": HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n{}",
    "bad chunks": HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "endless header": HEAD + b"x: " + b"y" * 100_000 + b"\r\n\r\n{}",
    "not gzip": HEAD + b"content-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!",
    "cut gzip": HEAD
    + b"content-encoding: gzip\r\ncontent-length: 10\r\n\r\n"
    + gzip.compress(b'{"refill": "5"}', mtime=0)[:10],
    "cut JSON": http(b'{"refill": "5"'),
    "nothing": http(b""),
    "a page": http(b"<html><title>Just a moment...</title>"),
    "204": http(b"", "204 No Content"),
}
UNCLEAR: dict[str, Any] = {
    "null": b"null",
    "nothing": {},
    "no rows": [],
    "no id": {"refill": "soon"},
    "another order": {"order": 8, "refill": 5},
    "both": {"refill": 5, "error": "but"},
}


class TestBrokenAnswers:
    """The request may have been carried out: nobody knows."""

    @pytest.mark.parametrize("how", BROKEN)
    async def test_unreadable(self, how: str) -> None:
        error = await failure(sending(BROKEN[how]))
        assert type(error) is (Unreadable if how in ("null", "no id") else RemoteFault)

    @pytest.mark.parametrize("how", UNCLEAR)
    async def test_unclear(self, how: str) -> None:
        async with connected(answering(UNCLEAR[how])) as line:
            found = await line.client.refill(["7"])
            assert isinstance(found["7"], Unclear)
            assert line.calls.outcomes == [("refill", None)], "it is a whole answer"

    async def test_the_connection_is_reset(self) -> None:
        async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        assert type(await failure(respond)) is RemoteFault

    @pytest.mark.parametrize(
        "raw", [b"", b"HTTP/1.1 200 OK\r\n", b'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"ref']
    )
    async def test_stalls(self, raw: bytes) -> None:
        error = await failure(sending(raw, stalls=True), within=30)
        assert type(error) is TimedOut
        assert str(error) == "no whole answer within 30 s"

    async def test_an_answer_that_drips_for_ever(self) -> None:
        async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await time_passes(5.0)

        assert type(await failure(respond, within=30)) is TimedOut

    async def test_an_answer_that_never_ends_is_given_up_early(self) -> None:
        sent = 0

        async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while sent < 200 * MIB:
                writer.write(b" " * MIB)
                await writer.drain()
                sent += MIB

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with connected(respond) as line:
            with pytest.raises(RemoteFault, match="more than 4 MiB"):
                await line.client.statuses(["7"])
            with pytest.raises(RemoteFault, match="more than 32 MiB"):
                await line.client.services()
        assert sent < 100 * MIB
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024

    async def test_an_answer_that_announces_its_size_is_not_read(self) -> None:
        raw = b"HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n"
        error = await failure(sending(raw, stalls=True), within=30)
        assert str(error) == "an answer of 200000000 bytes"

    async def test_a_compressed_bomb(self) -> None:
        bomb = gzip.compress(b" " * (64 * MIB), compresslevel=1)
        error = await failure(answering(bomb, headers="content-encoding: gzip\r\n"))
        assert str(error) == "an answer of more than 4 MiB"

    async def test_a_long_price_list_is_read(self) -> None:
        rows = [{"service": n, "name": "x" * 400} for n in range(20_000)]
        async with connected(answering(rows)) as line:
            services, faults = await line.client.services()
            assert (len(services), faults) == (20_000, [])

    async def test_unmatched_rows_are_told_apart(self) -> None:
        async with connected(answering([ROW, ROW])) as line:
            with pytest.raises(Unmatched):
                await line.client.statuses(["7", "8"])
            assert line.calls.outcomes == [("status", "unreadable")]

    async def test_a_cancelled_request_stays_cancelled(self) -> None:
        async with connected(sending(b"", stalls=True)) as line:
            task = asyncio.create_task(line.client.refill(["7"]))
            await line.panel.asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert line.calls == []


class TestStatuses:
    @pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect"])
    async def test_redirections_are_not_followed(self, status: str) -> None:
        headers = "location: https://user:pw@other.example/login?key=private\r\n"
        error = await failure(answering(b"", status, headers))
        assert isinstance(error, RemoteFault)
        assert str(error) == f"HTTP {status[:3]}, pointing to other.example"

    async def test_nor_are_those_of_questions(self) -> None:
        headers = "location: https://other.example/login\r\n"
        async with connected(answering(b"", "307 Temporary Redirect", headers)) as line:
            with pytest.raises(RemoteFault, match=r"HTTP 307, pointing to other\.example"):
                await line.client.statuses(["7"])

    async def test_a_redirection_to_nowhere(self) -> None:
        assert str(await failure(answering(b"", "302 Found"))) == "HTTP 302"
        headers = "location: https://[bad\r\n"
        assert str(await failure(answering(b"", "302 Found", headers))) == "HTTP 302"

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("", None),
            ("retry-after: 30\r\n", 30.0),
            ("retry-after: 0\r\n", 0.0),
            ("retry-after: 9999999\r\n", 86400.0),
            ("retry-after: " + "9" * 400 + "\r\n", 86400.0),
            ("retry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\n", 0.0),
            ("retry-after: soon\r\n", None),
            ("retry-after: -5\r\n", None),
            ("retry-after:\r\n", None),
        ],
    )
    async def test_429(self, header: str, seconds: float | None) -> None:
        error = await failure(answering({"error": "no"}, "429 Too Many Requests", header))
        assert isinstance(error, RateLimited)
        assert error.retry_after == seconds

    async def test_429_until_a_date(self) -> None:
        at = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
        error = await failure(answering(b"", "429 Too Many Requests", f"retry-after: {at}\r\n"))
        assert isinstance(error, RateLimited)
        assert error.retry_after == pytest.approx(90, abs=3)

    async def test_429_until_a_date_by_the_panels_own_clock(self) -> None:
        headers = (
            "date: Wed, 21 Oct 2015 07:28:00 GMT\r\nretry-after: Wed, 21 Oct 2015 07:29:30 GMT\r\n"
        )
        error = await failure(answering(b"", "429 Too Many Requests", headers))
        assert isinstance(error, RateLimited)
        assert error.retry_after == 90.0

    async def test_429_whose_body_stalls_proves_nothing_for_an_action(self) -> None:
        raw = b"HTTP/1.1 429 No\r\ncontent-length: 5\r\nretry-after: 7\r\n\r\n"
        assert type(await failure(sending(raw, stalls=True), within=30)) is TimedOut
        assert type(await failure(sending(raw))) is RemoteFault
        async with connected(sending(raw, stalls=True), within=30) as line:
            with pytest.raises(RateLimited) as caught:
                await line.client.statuses(["7"])
            assert caught.value.retry_after == 7.0, "a question needs no body"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"  \n",
            b"<html><title>429 Too Many Requests</title></html>",
            b"<!DOCTYPE html><title>Just a moment...</title>",
            b"Too many requests",
            b"error code: 1015",
            {"error": "no"},
            {"error": "Rate limit exceeded"},
            {"status": "error", "message": "slow down"},
            {"message": "Too Many Attempts."},
            {"detail": "Request was throttled. Expected available in 30 seconds."},
            {"retry_after": 30},
            [{"order": 7, "refill": {"error": "limit"}}],
        ],
    )
    async def test_429_that_says_no_more_is_proof(self, body: Any) -> None:
        error = await failure(answering(body, "429 No", "retry-after: 7\r\n"))
        assert type(error) is RateLimited
        assert error.retry_after == 7.0

    @pytest.mark.parametrize(
        "body",
        [
            b"null",
            b"OK",
            b"23501",
            b'{"refill": "5"',
            {},
            [],
            {"success": True},
            {"success": True, "message": "one more and the rate limit is reached"},
            {"message": "Refill request received"},
            {"refill": "success"},
            {"refill": 5, "error": "Rate limit exceeded"},
            {"error": "Internal server error"},
            [{"order": 8, "refill": 5}],
        ],
    )
    async def test_429_that_is_unclear_is_no_proof(self, body: Any) -> None:
        error = await failure(answering(body, "429 No"))
        assert type(error) is RemoteFault
        assert str(error).startswith("HTTP 429: ")

    @pytest.mark.parametrize(
        "status", ["301 Moved", "302 Found", "403 No", "422 What", "429 Many", "500 Oops", "503 No"]
    )
    async def test_an_id_is_acceptance_whatever_the_status(self, status: str) -> None:
        async with connected(answering({"refill": 5}, status)) as line:
            assert await line.client.refill(["7"]) == {"7": "5"}
        async with connected(answering({"order": "bVJizQKZab"}, status)) as line:
            assert await line.client.add({"service": "1"}) == "bVJizQKZab"
        rows = [{"order": 7, "refill": 5}, {"order": 8, "refill": {"error": "Too early"}}]
        async with connected(answering(rows, status)) as line:
            found = await line.client.refill(["7", "8", "9"])
            assert found["7"] == "5"
            is_refusal = status[0] == "4"
            assert isinstance(found["8"], RowError if is_refusal else Unclear)
            assert isinstance(found["9"], Unclear)

    @pytest.mark.parametrize("status", ["302 Found", "403 No", "429 Many", "503 No"])
    @pytest.mark.parametrize("body", [{"status": "success"}, {"message": "Order created"}])
    async def test_words_alone_are_none(self, status: str, body: Any) -> None:
        async with connected(answering(body, status)) as line:
            with pytest.raises(RemoteFault, match=f"^HTTP {status[:3]}"):
                await line.client.cancel(["7"])
            with pytest.raises(RemoteFault, match=f"^HTTP {status[:3]}"):
                await line.client.add({"service": "1"})

    async def test_a_rate_limit_in_an_answer(self) -> None:
        error = await failure(answering({"error": "Rate limit exceeded"}))
        assert type(error) is RateLimited

    @pytest.mark.parametrize("status", ["500 Oops", "502 Bad Gateway", "503 Busy", "504 Late"])
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b"", ""),
            (b"<html>", ": a page in place of JSON: <html>"),
            ({"error": "Incorrect order ID"}, ": Incorrect order ID"),
            ({"success": True}, ": true"),
        ],
    )
    async def test_5xx_without_an_id_tells_nothing(self, status: str, body: Any, said: str) -> None:
        error = await failure(answering(body, status))
        assert type(error) is ServerFault
        assert str(error) == f"HTTP {status[:3]}{said}"

    async def test_5xx_with_a_body_that_breaks_off(self) -> None:
        raw = b"HTTP/1.1 503 Busy\r\ncontent-length: 5\r\n\r\n"
        assert type(await failure(sending(raw))) is ServerFault

    @pytest.mark.parametrize("status", ["400 Bad", "401 Who", "403 No", "405 How", "422 What"])
    @pytest.mark.parametrize(
        ("body", "kind", "text"),
        [
            ({"error": "Incorrect request"}, Refused, "Incorrect request"),
            ({"message": "The link is required."}, Refused, "The link is required."),
            ({"error": "Invalid API key"}, BadKey, "Invalid API key"),
            ({"message": "Unauthenticated."}, BadKey, "Unauthenticated."),
            ({"error": "Rate limit exceeded"}, RateLimited, "Rate limit exceeded"),
            (b"", RemoteFault, "HTTP 4.."),
            (b"<title>Blocked</title>", RemoteFault, "HTTP 4..: a page in place of JSON: Blocked"),
            ({"refill": "?"}, RemoteFault, "HTTP 4..: the panel's answer is not understood: .*"),
        ],
    )
    async def test_4xx(self, status: str, body: Any, kind: type[PanelError], text: str) -> None:
        error = await failure(answering(body, status))
        assert type(error) is kind
        assert re.fullmatch(text, str(error))

    async def test_4xx_about_one_order_is_its_row(self) -> None:
        body = {"error": "Incorrect order ID"}
        async with connected(answering(body, "400 Bad")) as line:
            assert await line.client.statuses(["7"]) == {"7": RowError("Incorrect order ID")}
            with pytest.raises(Refused, match="Incorrect order ID"):
                await line.client.statuses(["7", "8"])

    async def test_4xx_with_a_row_for_each_order(self) -> None:
        rows: dict[str, Any] = {"7": {"error": "no"}, "8": "nor this"}
        async with connected(answering(rows, "400 Bad")) as line:
            found = await line.client.statuses(["7", "8"])
            assert found == {"7": RowError("no"), "8": RowError("nor this")}
        async with connected(answering(rows | {"8": ROW}, "400 Bad")) as line:
            with pytest.raises(RemoteFault):
                await line.client.statuses(["7", "8"])
        async with connected(answering([], "400 Bad")) as line:
            with pytest.raises(RemoteFault):
                await line.client.statuses(["7", "8"])


class TestUnreadValues:
    """What is there and can't be read is told, without the key."""

    async def test_told(self) -> None:
        told: list[tuple[str, str, str]] = []

        async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
            bodies: dict[str, Any] = {
                "status": ROW | {"charge": "1,234", "remains": f"left {KEY}"},
                "services": [{"service": 1, "name": "a", "rate": "1,234", "min": "N/A"}],
                "balance": {"balance": "1,234"},
            }
            writer.write(http(bodies[request.form["action"]]))

        async with connected(respond, on_unread=lambda *said: told.append(said)) as line:
            await line.client.statuses(["7"])
            await line.client.services()
            with pytest.raises(RemoteFault, match="a balance that can't be read: 1,234"):
                await line.client.balance()
        assert told == [
            ("status", "charge", "1,234"),
            ("status", "remains", "left [key]"),
            ("services", "rate", "1,234"),
            ("balance", "balance", "1,234"),
        ]


class TestSecrets:
    @pytest.mark.parametrize("key", [KEY, "a/b+c d&é\"'" * 3])
    @pytest.mark.parametrize(
        "body",
        [
            {"error": "bad key KEY here"},
            {"error": "x" * 190 + "KEY"},
            {"message": "KEY"},
            b"KEY is not JSON",
            b"<title>KEY</title>",
            {"KEY": 1},
            {"errors": {"KEY": ["KEY"]}},
        ],
    )
    @pytest.mark.parametrize("status", ["200 OK", "401 Who", "500 Oops"])
    async def test_the_key_is_in_no_error(self, key: str, body: Any, status: str) -> None:
        def echo(value: Any) -> Any:
            if isinstance(value, bytes):
                return value.replace(b"KEY", key.encode())
            return json.loads(json.dumps(value).replace("KEY", json.dumps(key)[1:-1]))

        if status == "200 OK" and body in ({"message": "KEY"}, {"KEY": 1}):
            async with connected(answering(echo(body), status), key=key) as line:
                found = await line.client.refill(["7"])
            assert isinstance(found["7"], Unclear)
            assert key[:12] not in found["7"].text
            return
        error = await failure(answering(echo(body), status), key=key)
        assert key not in str(error) + repr(error)
        assert key[:12] not in str(error)
        assert len(str(error)) <= 200
        assert error.__cause__ is None
        assert error.__suppress_context__

    async def test_the_key_is_in_no_row(self) -> None:
        body = {"7": {"error": f"{KEY} may not"}, "8": {"status": f"for {KEY}", "remains": 1}}
        async with connected(answering(body)) as line:
            found = await line.client.statuses(["7", "8"])
        assert found["7"] == RowError("[key] may not")
        assert found["8"].status_text == "for [key]"

    async def test_a_short_key_is_redacted_in_errors_and_spoils_no_answer(self) -> None:
        body = {"7": {"error": "not for demo"}, "8": {"status": "demolished", "remains": 1}}
        async with connected(answering(body), key="demo") as line:
            found = await line.client.statuses(["7", "8"])
        assert found["7"] == RowError("not for [key]")
        assert found["8"].status_text == "demolished"

    async def test_the_key_is_in_no_repr(self) -> None:
        async with connected(answering()) as line:
            assert repr(line.client) == "PanelClient('p')"


class TestSimulatedPanel:
    """Against the panel that watcher itself simulates."""

    @pytest.mark.parametrize("name", sorted(shipped()))
    async def test_every_profile(self, name: str) -> None:
        profile = shipped()[name]
        async with (
            SimulatedPanel(profile, key=KEY) as panel,
            client_of(panel.url, profile=profile) as (client, _),
        ):
            assert (await client.balance()).currency == "USD"
            services, faults = await client.services()
            assert faults == []
            first = services[0]
            order = await client.add(
                {"service": first.id, "link": "https://x.example/1", "quantity": str(first.min)}
            )
            found = await client.statuses([order])
            assert isinstance(found[order], Observation)
            found = await client.statuses([order, "999999999"])
            assert isinstance(found[order], Observation)
            assert found["999999999"] == RowError("Incorrect order ID")

    async def test_a_wrong_key(self) -> None:
        async with (
            SimulatedPanel(STANDARD, key="another") as panel,
            client_of(panel.url) as (client, calls),
        ):
            with pytest.raises(BadKey):
                await client.balance()
            assert calls.outcomes == [("balance", "bad_key")]

    @pytest.mark.parametrize(
        ("trait", "kind"),
        [
            (Trait.RATE_LIMITED, RateLimited),
            (Trait.HTML_200, RemoteFault),
            (Trait.HTML_BLOCKED, RemoteFault),
            (Trait.HTML_503, ServerFault),
            (Trait.HTML_504_AFTER, ServerFault),
            (Trait.CLOSE_BEFORE, RemoteFault),
            (Trait.CLOSE_AFTER, RemoteFault),
            (Trait.EMPTY_BODY, RemoteFault),
            (Trait.CUT_ANSWER, RemoteFault),
            (Trait.HUGE_ANSWER, RemoteFault),
            (Trait.ENDLESS_ANSWER, RemoteFault),
            (Trait.STALL, TimedOut),
            (Trait.STALL_BEFORE, TimedOut),
        ],
    )
    async def test_every_fault(self, trait: Trait, kind: type[PanelError]) -> None:
        async with (
            SimulatedPanel(STANDARD, key=KEY, traits=[trait]) as panel,
            client_of(panel.url, within=1.0) as (client, calls),
        ):
            with pytest.raises(kind) as caught:
                await client.balance()
            assert caught.value.reason in ("timeout", kind.reason)
            assert calls.outcomes == [("balance", caught.value.reason)]

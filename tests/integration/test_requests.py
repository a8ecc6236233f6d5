"""How a panel is asked: each dialect against a panel that takes no other, and nothing leaks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote_plus

import pytest
from aiohttp import web

from tests.support.ports import free_port
from tests.support.tls import OTHER, SERVER, context
from watcher.config import Secrets, parse
from watcher.errors import BadKey, NotSent, PanelError, Redirected, Refused, RemoteFault
from watcher.model import RowError
from watcher.panels.client import PanelClient
from watcher.panels.dialect import PLAIN, Dialect
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel, Trait

KEY = "0123456789abcdef0123456789abcdef"
TOKEN, FIELD, QUERY = 'tk/51e9 "quoted" d07f', "field+b1d3c2f4a5968778", "query-77aa88bb99cc"


@asynccontextmanager
async def asking(url: str, dialect: Dialect = PLAIN, key: str = KEY) -> AsyncIterator[PanelClient]:
    async with PanelClient(
        name="p",
        url=url,
        key=key,
        profile=shipped()["standard"],
        timeout=5.0,
        on_request=lambda action, seconds, reason: None,
        dialect=dialect,
    ) as client:
        yield client


class Recorder:
    """A panel that keeps what it was sent, and answers the same to all."""

    def __init__(self, answer: object = None, status: int = 200, **headers: str) -> None:
        self.answer = {"balance": "1", "currency": "USD"} if answer is None else answer
        self.status, self.headers = status, headers
        self.requests: list[tuple[web.BaseRequest, bytes]] = []

    async def take(self, request: web.BaseRequest) -> web.Response:
        self.requests.append((request, await request.read()))
        text = self.answer if isinstance(self.answer, str) else json.dumps(self.answer)
        return web.Response(text=text, status=self.status, headers=self.headers)


@asynccontextmanager
async def served(recorder: Recorder, **options: Any) -> AsyncIterator[int]:
    runner = web.ServerRunner(web.Server(recorder.take))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, **options)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("trait", "dialect"),
    [
        (Trait.WANTS_JSON, Dialect(body="json")),
        (Trait.WANTS_USER_AGENT, Dialect(user_agent="Mozilla/5.0 (X11)")),
        (Trait.WANTS_HEADER, Dialect(headers={"X-Panel-Token": "any"})),
        (Trait.WANTS_FIELD, Dialect(fields={"source": "api"})),
    ],
)
async def test_panels_that_want_requests_otherwise(trait: Trait, dialect: Dialect) -> None:
    async with SimulatedPanel(shipped()["standard"], key=KEY, traits=[trait]) as panel:
        async with asking(panel.url) as client:
            with pytest.raises((Refused, RemoteFault)):
                await client.balance()
        async with asking(panel.url, dialect) as client:
            order = await client.add(
                {"service": "1", "link": "https://example.com/ü?a=1&b=2", "quantity": "100"}
            )
            assert (await client.balance()).currency == "USD"
            assert set(await client.statuses([order, "1"])) == {order, "1"}
            await client.services()
            assert await client.refill([order])
            assert await client.cancel([order])
        assert panel.journal.links(carried_out=True) == {"https://example.com/ü?a=1&b=2": 1}


async def test_what_is_sent() -> None:
    recorder = Recorder()
    dialect = Dialect(
        headers={"accept": "text/json", "Authorization": "Bearer x"}, fields={"source": "api"}
    )
    async with served(recorder) as port:
        url = f"http://127.0.0.1:{port}/api.php?mod=v2&empty="
        async with asking(url, dialect) as client:
            await client.balance()
        async with asking(url, Dialect(body="json", fields={"source": "api"})) as client:
            await client.balance()
    (form, body), (as_json, text) = recorder.requests
    assert form.path_qs == as_json.path_qs == "/api.php?mod=v2&empty="
    assert dict(parse_qsl(body.decode())) == {"key": KEY, "action": "balance", "source": "api"}
    assert form.headers.getall("Accept") == ["text/json"]
    assert form.headers["Authorization"] == "Bearer x"
    assert form.headers["User-Agent"].startswith("watcher/")
    assert as_json.headers["Content-Type"] == "application/json"
    assert json.loads(text) == {"key": KEY, "action": "balance", "source": "api"}


async def test_ids_are_texts_in_json_and_joined_by_commas() -> None:
    recorder = Recorder({"1": {"error": "x"}, "99999999999999999999": {"error": "x"}})
    async with (
        served(recorder) as port,
        asking(f"http://127.0.0.1:{port}/", Dialect(body="json")) as client,
    ):
        await client.statuses(["1", "99999999999999999999"])
    sent = json.loads(recorder.requests[0][1])
    assert sent == {"key": KEY, "action": "status", "orders": "1,99999999999999999999"}


# --- redirections ---


@pytest.mark.parametrize(
    ("url", "location", "told", "leads"),
    [
        ("/api/v2", "/api/v2/", "redirects to {base}/api/v2/: use that as url", "{base}/api/v2/"),
        ("/api/v2/", "{base}/api/v2", "it redirects to {base}/api/v2: use", "{base}/api/v2"),
        ("/api/v2", "https://127.0.0.1/api/v2", "redirects to https://127.0.0.1/api/v2:", "https://127.0.0.1/api/v2"),
        ("/a?mod=v2", "/a/?mod=v2", "it redirects to {base}/a/?…: use that", "{base}/a/?mod=v2"),
        ("/api/v2", "/login", ", pointing to 127.0.0.1", None),
        ("/api/v2", "/api/v2/?token=private", ", pointing to 127.0.0.1", None),
        ("/api/v2", "http://u:private@127.0.0.1/api/v2/", ", pointing to 127.0.0.1", None),
        ("/api/v2", "https://other.example/api/v2", ", pointing to other.example", None),
        ("/api/v2", "/api/v2", ", pointing to 127.0.0.1", None),
        ("/api/v2", "ftp://127.0.0.1/api/v2", ", pointing to 127.0.0.1", None),
        ("/api/v2", "//[bad", "", None),
    ],
)  # fmt: skip
async def test_a_redirection_is_not_followed_and_says_where_to_go(
    url: str, location: str, told: str, leads: str | None
) -> None:
    recorder = Recorder("moved", 301)
    async with served(recorder) as port:
        base = f"http://127.0.0.1:{port}"
        recorder.headers = {"Location": location.format(base=base)}
        async with asking(base + url) as client:
            with pytest.raises(Redirected) as caught:
                await client.balance()
    assert len(recorder.requests) == 1
    assert told.format(base=base) in str(caught.value)
    assert caught.value.url == (leads.format(base=base) if leads else None)
    assert "private" not in str(caught.value)


# --- certificates and proxies ---


async def test_a_certificate_authority_of_ones_own() -> None:
    async with served(Recorder(), ssl_context=context(SERVER)) as port:
        url = f"https://127.0.0.1:{port}/api/v2"
        async with asking(url, Dialect(ca=SERVER.read_text())) as client:
            assert (await client.balance()).currency == "USD"
        for dialect in (PLAIN, Dialect(ca=OTHER.read_text())):
            async with asking(url, dialect) as client:
                with pytest.raises(NotSent, match="certificate is self-signed"):
                    await client.balance()


async def test_a_proxy_between() -> None:
    recorder = Recorder()
    async with served(recorder) as port:
        proxy = f"http://user:p%40ss@127.0.0.1:{port}"
        async with asking("http://panel.invalid/api/v2", Dialect(proxy=proxy)) as client:
            assert (await client.balance()).currency == "USD"
    [(request, _)] = recorder.requests
    assert request.headers["Host"] == "panel.invalid"
    assert request.headers["Proxy-Authorization"] == "Basic dXNlcjpwQHNz"


async def test_a_proxy_that_refuses_or_is_not_there_has_sent_nothing() -> None:
    async with served(Recorder("no", 407)) as port:
        proxy = f"http://user:private-pw@127.0.0.1:{port}"
        async with asking("https://panel.invalid/api/v2", Dialect(proxy=proxy)) as client:
            with pytest.raises(NotSent) as caught:
                await client.refill(["1"])
    assert str(caught.value) == "no connection to panel.invalid: the proxy answers HTTP 407"
    proxy = f"http://user:private-pw@127.0.0.1:{free_port()}"
    async with asking("https://panel.invalid/api/v2", Dialect(proxy=proxy)) as client:
        with pytest.raises(NotSent, match="the proxy can't be reached: the connection is refused"):
            await client.refill(["1"])


async def test_a_tunnel_through_a_proxy() -> None:
    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b" ")[:2])
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pump(reader, back), pump(there, writer))

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
        sink.close()

    asked: list[list[bytes]] = []
    async with served(Recorder(), ssl_context=context(SERVER)) as port:
        proxy = await asyncio.start_server(tunnel, "127.0.0.1", 0)
        through = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        url = f"https://localhost:{port}/api/v2"
        async with asking(url, Dialect(ca=SERVER.read_text(), proxy=through)) as client:
            assert (await client.balance()).currency == "USD"
        proxy.close()
    assert asked == [[b"CONNECT", f"localhost:{port}".encode()]]


# --- secrets ---

SECRET = Dialect(
    headers={"X-Token": TOKEN},
    fields={"secret": FIELD},
    proxy=None,
)


@pytest.mark.parametrize("status", [200, 400, 403, 500])
@pytest.mark.parametrize("form", ["error", "row", "page", "message"])
async def test_no_answer_brings_out_what_requests_carry(status: int, form: str) -> None:
    told = " ".join(
        spelling
        for value in (KEY, TOKEN, FIELD, QUERY)
        for spelling in (value, quote_plus(value), json.dumps(value)[1:-1])
    )
    answer: object = {
        "error": {"error": told},
        "row": {"1": {"error": told}, "2": {"status": told, "charge": "1"}},
        "page": f"<title>{told}</title>",
        "message": {"status": "fail", "message": told},
    }[form]
    recorder = Recorder(answer, status)
    async with (
        served(recorder) as port,
        asking(f"http://127.0.0.1:{port}/api?t={QUERY}", SECRET) as client,
    ):
        try:
            seen = str((await client.statuses(["1", "2"])).values())
        except PanelError as error:
            seen = str(error)
    for value in (KEY, TOKEN, FIELD, QUERY):
        for spelling in {value, quote_plus(value), json.dumps(value)[1:-1]}:
            assert spelling not in seen


async def test_short_and_ordinary_values_leave_words_as_they_are() -> None:
    dialect = Dialect(fields={"mod": "v2", "format": "order"})
    recorder = Recorder({"error": "Incorrect order ID"})
    async with (
        served(recorder) as port,
        asking(f"http://127.0.0.1:{port}/?mod=v2", dialect) as client,
    ):
        rows = await client.statuses(["1"])
    assert rows == {"1": RowError("Incorrect order ID")}


def test_logs_know_what_requests_carry(tmp_path: Path) -> None:
    text = (
        f'[panels.a]\nurl = "https://x.example/?t={QUERY}"\n[panels.a.request]\n'
        'headers = { X = { env = "TOKEN" } }\nproxy = { env = "PROXY" }\n'
    )
    env = {"A_KEY": KEY, "TOKEN": TOKEN, "PROXY": "http://somebody:p%40ssword@p.example:1"}
    found = parse(text, Secrets(env, tmp_path), tmp_path).secrets()
    assert {KEY, TOKEN, QUERY, "p@ssword"} <= set(found)


@pytest.mark.parametrize("mark", ['"', "'"])
async def test_a_key_that_stands_in_quotes_is_said_to(mark: str) -> None:
    async with SimulatedPanel(shipped()["standard"], key=KEY) as panel:
        async with asking(panel.url, key=f"{mark}{KEY}{mark}") as client:
            with pytest.raises(BadKey, match="the key stands in quotes: take them off"):
                await client.balance()
        async with asking(panel.url, key="another-key-of-nobody") as client:
            with pytest.raises(BadKey) as caught:
                await client.balance()
    assert str(caught.value) == "Invalid API key"

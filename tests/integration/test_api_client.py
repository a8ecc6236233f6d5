"""The Python client, blocking and for asyncio, with a real daemon."""

import asyncio
import ssl
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.house import KEY
from tests.support.ports import free_port
from tests.support.process import DaemonProcess
from tests.support.shops import a_market, until
from tests.support.tls import SERVER, context
from watcher.panels.profiles import shipped
from watcher.simulator import Fate, SimulatedPanel
from watcher_client import ApiError, Client, NotFound, Unauthorized, Unclear, Unreachable
from watcher_client.aio import AsyncClient

FINISHED = Fate(per_minute=1e9, refill_takes=1e9, start_count=500)
RUNNING = Fate(per_minute=0.001, start_count=500)
LINK = "https://example.com/p/{}?a=b&c=ü"
Ask = Callable[..., Awaitable[Any]]


def blocking(*where: Any, **how: Any) -> Ask:
    """Calls of the blocking client, each in a thread: daemon and panels run in this one."""
    client = Client(*where, **how)

    async def ask(name: str, *given: Any, **named: Any) -> Any:
        return await asyncio.to_thread(getattr(client, name), *given, **named)

    return ask


def asynchronous(*where: Any, **how: Any) -> Ask:
    client = AsyncClient(*where, **how)

    async def ask(name: str, *given: Any, **named: Any) -> Any:
        return await getattr(client, name)(*given, **named)

    return ask


both = pytest.mark.parametrize("client", [blocking, asynchronous])


@both
async def test_what_a_shop_does(tmp_path: Path, client: Callable[..., Ask]) -> None:
    async with a_market(tmp_path, shops="") as market:
        panel, ask = market.panel, client(market.base)
        now = (await ask("list_changes", after="now"))["cursor"]
        (done,) = panel.world.seed_orders(1, panel.now(), services=[1], age=60, fate=FINISHED)
        tracked = [{"panel": "standard", "order": done, "service": 1, "reference": "7/ü"}]
        assert (await ask("track", tracked))["tracked"] == 1
        assert (await ask("track", tracked))["known"] == 1

        order = {"panel": "standard", "service": 1, "link": LINK.format(1), "quantity": 100}
        placed = await ask("submit", "1042", **order, reference=1042, tags=["vip"])
        again = await ask("submit", "1042", **order, reference=1042, tags=["vip"])
        number = placed["order"]["order"]
        assert again["order"]["order"] == number
        assert len(panel.journal.requests("add")) == 1

        checked = (await ask("check", "standard", done, wait=1))["check"]
        assert checked["outcome"] in ("changed", "unchanged", "waiting")
        checks = await ask("check_all", [{"panel": "standard", "order": number}], wait=0)
        assert [one["order"] for one in checks["checks"]] == [number]

        asked = await ask("refill", "standard", done)
        await until(lambda: len(panel.journal.requests("refill")) == 1)
        action = await ask("show_action", asked["action"]["id"])
        assert (action["action"]["kind"], action["action"]["order"]) == ("refill", str(done))
        assert (await ask("cancel", "standard", number))["action"]["kind"] == "cancel"

        labelled = await ask("label", "standard", number, note="call first", reference=None)
        assert (labelled["note"], labelled["reference"]) == ("call first", None)
        found = await ask("list_orders", tag="vip", limit=1)
        assert [one["order"] for one in found["orders"]] == [number]
        assert (await ask("show", "standard", done))["state"]["reference"] == "7/ü"
        changes = await ask("list_changes", after=now, wait=1, panel="standard")
        assert changes["changes"]
        assert (await ask("list_panels"))["panels"][0]["panel"] == "standard"
        assert (await ask("whoami"))["rights"]
        await ask("list_attention")


@both
async def test_a_refusal_has_the_apis_words(tmp_path: Path, client: Callable[..., Ask]) -> None:
    async with a_market(tmp_path, shops="") as market:
        ask = client(market.base)
        with pytest.raises(NotFound, match="did you mean 'standard'"):
            await ask("list_changes", panel="standart")
        with pytest.raises(NotFound, match=r"\(HTTP 404, not_found\)"):
            await ask("show", "standard", "a/b?c")
        with pytest.raises(ApiError) as caught:
            await ask("submit", "k", panel="standard", service=1, link=LINK.format(1), quantity=1)
        assert (caught.value.status, caught.value.code) == (422, "rejected")


async def test_all_orders_come_page_by_page(tmp_path: Path) -> None:
    async with a_market(tmp_path, shops="") as market:
        ids = market.panel.world.seed_orders(5, market.panel.now(), fate=RUNNING)
        other = AsyncClient(market.base)
        await other.track([{"panel": "standard", "order": order} for order in ids])
        assert [int(one["order"]) async for one in other.orders(limit=2)] == list(ids)
        found = await asyncio.to_thread(lambda: list(Client(market.base).orders(limit=2)))
        assert [int(one["order"]) for one in found] == list(ids)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
async def test_following_survives_a_kill_of_the_daemon(tmp_path: Path, kind: type[Any]) -> None:
    panel = SimulatedPanel(shipped()["standard"], key=KEY)
    await panel.start()
    daemon = DaemonProcess(
        tmp_path, {"standard": panel}, defaults='requests_per_minute = 6000\nidle_every = "1s"\n'
    )
    seen: dict[str, str] = {}
    try:
        await daemon.start()
        client = kind(f"http://127.0.0.1:{daemon.port}")
        follower = asyncio.create_task(followed(client, seen))
        for place in range(2):
            ids = panel.world.seed_orders(3, panel.now(), services=[1], fate=FINISHED)
            await daemon.track("standard", ids)
            wanted = {str(order) for order in ids}
            await until(lambda wanted=wanted: wanted <= seen.keys(), 60.0)  # type: ignore[misc]
            if place == 0:
                await daemon.kill()
                await daemon.start()
        follower.cancel()
        assert set(seen.values()) == {"completed"}
    finally:
        await daemon.stop()
        await panel.stop()


async def followed(client: Client | AsyncClient, seen: dict[str, str]) -> None:
    if isinstance(client, AsyncClient):
        async for page in client.follow(wait=2):
            seen.update({one["order"]: one["state"]["status"] for one in page["changes"]})
        return

    def run() -> None:
        for page in client.follow(wait=2):
            seen.update({one["order"]: one["state"]["status"] for one in page["changes"]})

    threading.Thread(target=run, daemon=True).start()


@asynccontextmanager
async def cutting_off() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that reads each request, and closes without an answer."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.read(65536))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests


@both
async def test_after_a_lost_answer_an_action_is_not_sent_again(client: Callable[..., Ask]) -> None:
    async with cutting_off() as (url, requests), cutting_off() as (second, others):
        ask = client([url, second])
        with pytest.raises(Unclear, match="not known whether POST"):
            await ask("refill", "p", 7)
        with pytest.raises(Unclear):
            await ask("cancel", "p", 7)
        assert len(requests) == 2
        assert others == []
        with pytest.raises(Unclear):
            await ask("submit", "1042", panel="p", service=1)
        assert len(requests) == 5
        keys = [r.lower().split(b"idempotency-key: ")[1].split(b"\r\n")[0] for r in requests[2:]]
        assert keys == [b"1042"] * 3
        assert others == [], "it may have arrived at the first"
        with pytest.raises(Unreachable):
            await ask("whoami")
        assert len(others) > 0


@both
async def test_the_second_url_is_asked_where_nobody_listens_at_the_first(
    tmp_path: Path, client: Callable[..., Ask]
) -> None:
    async with a_market(tmp_path, shops="") as market:
        panel = market.panel
        (done,) = panel.world.seed_orders(1, panel.now(), services=[1], age=60, fate=FINISHED)
        ask = client([f"http://127.0.0.1:{free_port()}", market.base])
        await ask("track", [{"panel": "standard", "order": done, "service": 1}])
        assert (await ask("refill", "standard", done))["action"]["kind"] == "refill"
        await until(lambda: len(panel.journal.requests("refill")) == 1)


@both
async def test_the_key_is_in_no_error(tmp_path: Path, client: Callable[..., Ask]) -> None:
    secret = "secret-of-nobody-else"
    async with a_market(tmp_path, shops="") as market, cutting_off() as (url, requests):
        (tmp_path / "api.token").write_text("token-of-the-tests")
        (tmp_path / "api.token").chmod(0o600)
        text = market.path.read_text().replace("[daemon]", '[daemon]\ntoken_file = "api.token"')
        market.path.write_text(text)
        await market.restart()
        errors = []
        for where in (market.base, url, f"http://127.0.0.1:{free_port()}"):
            for call in (("whoami",), ("refill", "standard", 7)):
                try:
                    await client(where, secret, attempts=1)(*call)
                except Exception as error:  # noqa: BLE001
                    errors.append(error)
        assert [type(one) for one in errors] == [
            *[Unauthorized] * 2,
            *[Unreachable, Unclear],
            *[Unreachable] * 2,
        ]
        assert secret.encode() in requests[0]
        assert secret not in "".join("".join(traceback.format_exception(one)) for one in errors)
        assert secret not in repr(Client(url, secret)) + repr(AsyncClient(url, secret))
        assert (await client(market.base, "token-of-the-tests")("whoami"))["rights"]


@asynccontextmanager
async def behind_tls() -> AsyncIterator[tuple[str, list[str]]]:
    """A server with a certificate that nobody knows; the requests that reached it."""
    paths: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        paths.append(request.path_qs)
        return web.json_response({"action": {"id": 7}})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context(SERVER))
        await site.start()
        yield f"https://localhost:{runner.addresses[0][1]}/below", paths
    finally:
        await runner.cleanup()


@both
async def test_a_certificate_is_checked_before_anything_is_sent(client: Callable[..., Ask]) -> None:
    async with behind_tls() as (url, paths):
        with pytest.raises(Unreachable, match="certificate verify failed"):
            await client(url, "secret-of-nobody", attempts=1)("refill", "p", "7/8")
        assert paths == []
        known = ssl.create_default_context(cafile=SERVER)
        answer = await client(url, "secret-of-nobody", tls=known)("refill", "p", "7/8")
        assert answer == {"action": {"id": 7}}
        assert paths == ["/below/v1/orders/p/7%2F8/refill"]


@both
async def test_a_server_that_never_answers(client: Callable[..., Ask]) -> None:
    reached: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.put_nowait(writer)
        await reader.read()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(Unclear, match=r"(?i)time"):
            await client(url, timeout=1)("cancel", "p", 7)
        (await reached.get()).close()
        assert reached.empty(), "it is asked once"

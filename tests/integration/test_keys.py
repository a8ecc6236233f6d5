"""[[keys]]: each route wants its right, a key of some panels sees no other, and reloads end it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.cli_daemon import CannedDaemon
from tests.support.house import House, a_house
from watcher.config import Right
from watcher.simulator import Fate
from watcher.web.page import live_updates
from watcher.web.rights import ACCESS, RouteAccess

TOKEN = "a-token-of-the-tests"
SLOW = Fate(pending=30.0, per_minute=1.0)
ODD = {
    "panel": "standard",
    "order": "999999",
    "id": "999999",
    "name": "nobody",
    "digest": "x",
    "token": "x",
}
BOTH = ("standard", "smmgenie")


def secret_of(name: str) -> str:
    return f"the-secret-of-{name}"


def key_table(name: str, *rights: str, more: str = "") -> str:
    listed = ", ".join(f'"{right}"' for right in rights)
    return f'[[keys]]\nname = "{name}"\nrights = [{listed}]\n{more}\n'


ONE_EACH = "".join(key_table(f"one-{right}", right) for right in Right)
PARTNER = key_table("partner", *Right, more='panels = ["standard"]')
ENV = {
    f"API_{name.replace('-', '_').upper()}_KEY": secret_of(name)
    for name in ("partner", "reader", *(f"one-{right}" for right in Right))
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_updates, "FRESH_FOR", 0.02)


@asynccontextmanager
async def with_keys(tmp_path: Path, keys: str, **options: Any) -> AsyncIterator[House]:
    async with a_house(tmp_path, env=ENV, **options) as house:
        path = house.path.with_name("api.token")
        path.write_text(TOKEN)
        path.chmod(0o600)
        text = house.path.read_text()
        await reload(house, text.replace("[daemon]", '[daemon]\ntoken_file = "api.token"') + keys)
        yield house


async def reload(house: House, text: str) -> None:
    house.path.write_text(text)
    await house.daemon.reload()
    assert not house.daemon.config.problems


@asynccontextmanager
async def a_client(house: House, key: str | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    """Sends the key with each request, keeps cookies, and says whose its forms are."""
    url = f"http://127.0.0.1:{house.daemon.port}"
    headers = {"Origin": url, **({"Authorization": f"Bearer {key}"} if key else {})}
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(url, cookie_jar=jar, headers=headers) as session:
        yield session


async def ask(session: aiohttp.ClientSession, method: str, path: str) -> tuple[int, str]:
    """The answer of a route to a request that does nothing: ids that are not there, no body."""
    is_form = method == "POST" and not path.startswith("/v1/")
    more: dict[str, Any] = {"data": {"x": "y"}} if is_form else {}
    if not is_form and method != "GET":
        more = {"json": {}}
    async with session.request(method, path.format(**ODD), allow_redirects=False, **more) as answer:
        streams = answer.content_type == "text/event-stream"
        return answer.status, "" if streams else (await answer.read()).decode(errors="replace")


def guarded() -> list[tuple[str, str, RouteAccess]]:
    return [(*route, access) for route, access in ACCESS.items() if not access.is_open]


# --- the table -----------------------------------------------------------------------------------


async def test_every_route_has_a_line_and_every_line_a_route(tmp_path: Path):
    async with a_house(tmp_path) as house:
        assert house.daemon._runner is not None
        routes = {
            (route.method, route.resource.canonical)
            for route in house.daemon._runner.app.router.routes()
            if route.method != "HEAD" and route.resource is not None
        }
        assert routes - ACCESS.keys() == set(), "name the right of each in watcher/web/rights.py"
        assert ACCESS.keys() - routes == set(), "these lines lead nowhere"


async def test_each_route_wants_its_right_and_no_other(tmp_path: Path):
    async with with_keys(tmp_path, ONE_EACH) as house:
        for right in Right:
            async with a_client(house, secret_of(f"one-{right}")) as session:
                for method, path, access in guarded():
                    status, text = await ask(session, method, path)
                    where = f"{method} {path} with {right}"
                    if access.right is None or right in (access.right, Right.ADMIN):
                        assert status not in (401, 403, 500), where
                        continue
                    assert status == 403, where
                    said = f"this key may {right}; it lacks `{access.right}`"
                    assert said in text.replace("&#39;", "'"), where


async def test_the_token_may_everything_and_nobody_else_anything(tmp_path: Path):
    async with with_keys(tmp_path, ONE_EACH) as house:
        async with a_client(house, TOKEN) as session:
            for method, path, _ in guarded():
                assert (await ask(session, method, path))[0] not in (401, 403, 500), path
        for key in (None, "not-a-key-of-anybody"):
            async with a_client(house, key) as session:
                for method, path, _ in guarded():
                    assert (await ask(session, method, path))[0] in (401, 429), path


async def test_a_route_without_a_line_needs_admin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with with_keys(tmp_path, ONE_EACH) as house:
        monkeypatch.setattr("watcher.web.rights.ACCESS", {})
        for right in Right:
            async with a_client(house, secret_of(f"one-{right}")) as session:
                status, _ = await ask(session, "GET", "/v1/orders")
                assert status == (200 if right is Right.ADMIN else 403)


async def test_a_key_that_only_reads_may_stand_in_the_query_of_some_routes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    more = key_table("reader", "read", "check")
    async with with_keys(tmp_path, ONE_EACH + more) as house, a_client(house) as session:
        reads = f"/v1/orders?key={secret_of('one-read')}"
        assert (await ask(session, "GET", reads))[0] == 401, "only where the table says so"
        access = RouteAccess(Right.READ, takes_query=True)
        monkeypatch.setattr("watcher.web.rights.ACCESS", {("GET", "/v1/orders"): access})
        assert (await ask(session, "GET", reads))[0] == 200
        for key in (TOKEN, secret_of("reader"), secret_of("one-admin"), secret_of("one-act")):
            status, text = await ask(session, "GET", f"/v1/orders?key={key}")
            assert status == 403
            assert "may read and nothing else" in text
        for wrong in ("", "?key=", "?key=nobody's"):
            assert (await ask(session, "GET", f"/v1/orders{wrong}"))[0] == 401


async def test_who_am_i(tmp_path: Path):
    async with with_keys(tmp_path, key_table("reader", "check", "read") + PARTNER) as house:
        expected = {
            TOKEN: {"name": "token", "rights": [*Right], "panels": None},
            secret_of("reader"): {"name": "reader", "rights": ["read", "check"], "panels": None},
            secret_of("partner"): {"name": "partner", "rights": [*Right], "panels": ["standard"]},
        }
        for key, answer in expected.items():
            headers = {"Authorization": f"Bearer {key}"}
            assert await house.call("GET", "/v1/whoami", headers=headers) == answer
        headers = {"Authorization": f"Bearer {secret_of('reader')}"}
        fault = await house.call("GET", "/v1/backup", headers=headers, status=403)
        assert fault["error"]["message"] == "this key may read and check; it lacks `admin`"


async def test_without_a_token_keys_alone_let_in(tmp_path: Path):
    async with a_house(tmp_path, rules=key_table("reader", "read"), env=ENV) as house:
        await house.call("GET", "/v1/orders", status=401)
        headers = {"Authorization": f"Bearer {secret_of('reader')}"}
        await house.call("GET", "/v1/orders", headers=headers, status=200)
    async with a_house(tmp_path) as house:
        assert (await house.call("GET", "/v1/whoami"))["name"] == "local"


# --- panels --------------------------------------------------------------------------------------


async def test_a_key_of_some_panels_sees_and_does_nothing_elsewhere(tmp_path: Path):
    async with with_keys(tmp_path, PARTNER, profiles=BOTH) as house:
        admin = {"Authorization": f"Bearer {TOKEN}"}
        hidden = {"link": "https://hidden.example/7", "service": "4711"}
        listed = [
            {"panel": "smmgenie", "order": "777001", **hidden},
            {"panel": "standard", "order": "1", "link": "https://shown.example/1"},
        ]
        await house.call("POST", "/v1/orders", json={"orders": listed}, headers=admin)
        await house.run(600.0)
        act = "/v1/orders/smmgenie/777001/refill"
        action = (await house.call("POST", act, headers=admin))["action"]["id"]
        async with a_client(house, secret_of("partner")) as session:
            searches = ("/orders?q=77700", "/orders?q=hidden.ex", "/orders?q=4711")
            lists = ("/v1/orders", "/v1/history", "/v1/actions", "/orders", "/actions")
            paths = [path for method, path, access in guarded() if method == "GET"]
            paths += [*searches, *(f"{path}?panel=smmgenie" for path in lists)]
            paths += [f"{path}?stalled=true&problem=true" for path in ("/v1/orders", "/orders")]
            for path in paths:
                _, text = await ask(session, "GET", path)
                for word in ("777001", "hidden.example", "smmgenie</a>", '"smmgenie"'):
                    assert word not in text, (path, word)
            here = "/v1/orders/standard/1"
            assert (await ask(session, "GET", here))[0] == 200
            there = [
                ("GET", "/v1/orders/smmgenie/777001"),
                ("POST", "/v1/orders/smmgenie/777001/cancel"),
                ("DELETE", "/v1/orders/smmgenie/777001"),
                ("GET", f"/v1/actions/{action}"),
                ("POST", f"/v1/actions/{action}/withdraw"),
                ("POST", f"/actions/{action}/withdraw"),
                ("POST", "/panels/smmgenie/retry"),
                ("POST", "/v1/panels/smmgenie/retry"),
                ("GET", "/v1/rules/explain?panel=smmgenie&order=777001"),
                ("GET", "/events/page?panel=smmgenie&order=777001"),
                ("GET", "/v1/orders?panel=standard&panel=smmgenie"),
            ]
            for method, path in there:
                status, text = await ask(session, method, path)
                assert status == 404, path
            for method, path, access in guarded():
                if access.is_whole:
                    status, text = await ask(session, method, path)
                    assert status == 403, path
                    assert "reaches only standard" in text
            body = {"orders": [{"panel": "smmgenie", "order": "5"}, {"panel": "none", "order": 6}]}
            async with session.post("/v1/orders", json=body) as answer:
                refused = (await answer.json())["rejected"]
            assert [re.sub("'[a-z]+'", "X", one["error"], count=1) for one in refused] == [
                "there is no panel X; there are: standard"
            ] * 2
            order = {"panel": "smmgenie", "service": 1, "link": "https://x.example", "quantity": 9}
            key = {"Idempotency-Key": "k"}
            async with session.post("/v1/submit", json=order, headers=key) as answer:
                assert answer.status == 404
        assert sum(house.panels["smmgenie"].journal.sent("add").values()) == 0


async def test_attention_rules_and_counts_are_those_of_its_panels(tmp_path: Path):
    rule = '[[rules]]\nname = "there"\naction = "notify"\nwhen = "true"\npanels = ["smmgenie"]\n'
    both = rule.replace("there", "both").replace('["smmgenie"]', '["smmgenie", "standard"]')
    defaults = 'low_balance = "5000000.00"\n'
    async with with_keys(
        tmp_path, PARTNER + rule + both, profiles=BOTH, defaults=defaults
    ) as house:
        await house.run(600.0)
        headers = {"Authorization": f"Bearer {secret_of('partner')}"}
        items = (await house.call("GET", "/v1/attention", headers=headers))["attention"]
        assert {item["panel"] for item in items} == {"standard"}
        rules = (await house.call("GET", "/v1/rules", headers=headers))["rules"]
        assert [(found["name"], found["panels"]) for found in rules] == [("both", ["standard"])]
        panels = (await house.call("GET", "/v1/panels", headers=headers))["panels"]
        assert [found["panel"] for found in panels] == ["standard"]


# --- rate and reload -----------------------------------------------------------------------------


async def test_a_key_that_asks_too_often_is_told_to_wait(tmp_path: Path):
    slow = key_table("reader", "read", more="requests_per_minute = 5") + key_table(
        "one-read", "read"
    )
    async with with_keys(tmp_path, slow) as house:
        async with a_client(house, secret_of("reader")) as session:
            found = [(await ask(session, "GET", "/v1/whoami"))[0] for _ in range(7)]
            assert found == [200] * 5 + [429] * 2
            async with session.get("/v1/whoami") as answer:
                assert 1 <= int(answer.headers["Retry-After"]) <= 12
                assert "more than 5 requests a minute" in await answer.text()
        async with a_client(house, secret_of("one-read")) as session:
            assert (await ask(session, "GET", "/v1/whoami"))[0] == 200


async def sign_in(session: aiohttp.ClientSession, key: str) -> None:
    async with session.post("/login", data={"token": key}, allow_redirects=False) as answer:
        assert answer.status == 303


@pytest.mark.parametrize("what", ["goes", "rights", "panels", "secret"])
async def test_a_session_ends_when_its_key_changes_or_goes(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live_updates, "_HEARTBEAT", 0.05)
    before = key_table("reader", "read")
    after = {
        "goes": "",
        "rights": key_table("reader", "read", "act"),
        "panels": key_table("reader", "read", more='panels = ["standard"]'),
        "secret": before,
    }[what]
    async with with_keys(tmp_path, before) as house, a_client(house) as session:
        await sign_in(session, secret_of("reader"))
        async with session.get("/events/page?view=overview") as stream:
            assert (await ask(session, "GET", "/"))[0] == 200
            if what == "secret":
                house.env["API_READER_KEY"] = "another-secret-of-the-reader"
            await reload(house, house.path.read_text().replace(before, after))
            await asyncio.wait_for(stream.content.read(), 10)  # to its end
        assert (await ask(session, "GET", "/"))[0] == 401
        key = house.env["API_READER_KEY"]
        async with a_client(house, key) as again:
            assert (await ask(again, "GET", "/v1/orders"))[0] == (401 if what == "goes" else 200)


async def test_another_key_or_rate_leaves_a_session_as_it_is(tmp_path: Path):
    async with (
        with_keys(tmp_path, key_table("reader", "read")) as house,
        a_client(house) as session,
    ):
        await sign_in(session, secret_of("reader"))
        text = house.path.read_text()
        await reload(house, text + "requests_per_minute = 100\n" + key_table("one-act", "act"))
        assert (await ask(session, "GET", "/"))[0] == 200


def test_a_command_says_what_is_missing_and_fails() -> None:
    said = "this key may read; it lacks `act`"
    with CannedDaemon() as daemon:
        daemon.refuse("POST /v1/orders/p/1/refill", 403, "forbidden", said)
        result = daemon.watcher("refill", "p", "1")
    assert (result.exit_code, result.stderr) == (1, f"1: {said}\n")


# --- the page ------------------------------------------------------------------------------------


async def test_the_page_shows_what_a_key_may_do(tmp_path: Path):
    async with with_keys(tmp_path, key_table("reader", "read") + PARTNER) as house:
        (order,) = await place(house)
        await house.run(60.0)
        page = f"/orders/standard/{order}"
        for name, buttons in (("reader", False), ("partner", True)):
            async with a_client(house) as session:
                await sign_in(session, secret_of(name))
                status, html = await ask(session, "GET", page)
                assert status == 200
                assert ("Untrack" in html) is buttons
                assert ('method="post"' in html.replace('method="post" action="/logout"', "")) is (
                    buttons
                )
                assert f'Logged in as <bdi class="t">{name}</bdi>' in html
                status, html = await ask(session, "POST", f"{page}/refill")
                assert status == (303 if buttons else 403)


async def test_who_may_not_read_can_log_out(tmp_path: Path):
    async with with_keys(tmp_path, ONE_EACH) as house, a_client(house) as session:
        await sign_in(session, secret_of("one-submit"))
        status, html = await ask(session, "GET", "/")
        assert status == 403
        assert "this key may submit; it lacks `read`" in html
        assert 'action="/logout"' in html
        assert (await ask(session, "POST", "/logout"))[0] == 303
        assert (await ask(session, "GET", "/"))[0] == 401


async def place(house: House) -> list[str]:
    ids = [str(n) for n in house.panel.world.seed_orders(1, house.panel.now(), fate=SLOW)]
    orders = [{"panel": "standard", "order": order} for order in ids]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    await house.call("POST", "/v1/orders", json={"orders": orders}, headers=headers)
    return ids

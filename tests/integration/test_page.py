"""The status page over HTTP: sessions, forms, streams, and what is let in."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.house import House, a_house
from watcher.simulator import Fate, Trait
from watcher.web.auth import SESSION, SessionAuth
from watcher.web.page import live_updates, rendering
from watcher.web.page.live_updates import MOST_VIEWERS
from watcher.web.page.routes import LIVE

TOKEN = "a-token-of-the-tests"
DONE = Fate(pending=30.0, per_minute=1000.0)
SLOW = Fate(pending=30.0, per_minute=1.0)
PAGES = ("/", "/orders", "/actions", "/panels", "/panels/standard", "/services")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_updates, "FRESH_FOR", 0.02)


@asynccontextmanager
async def a_browser(house: House) -> AsyncIterator[aiohttp.ClientSession]:
    """Keeps cookies, follows nothing, and says whose its forms are."""
    url = f"http://127.0.0.1:{house.daemon.port}"
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(url, cookie_jar=jar, headers={"Origin": url}) as session:
        yield session


async def send(
    session: aiohttp.ClientSession, path: str, form: dict[str, str] | None = None, **more: Any
) -> tuple[int, str, Any]:
    """A form's answer: status, text, headers."""
    async with session.post(path, data=form or {"x": "y"}, allow_redirects=False, **more) as answer:
        return answer.status, await answer.text(), answer.headers


async def get(session: aiohttp.ClientSession, path: str, **more: Any) -> tuple[int, str]:
    async with session.get(path, allow_redirects=False, **more) as answer:
        return answer.status, await answer.text()


async def set_token(house: House, token: str = TOKEN) -> None:
    path = house.path.with_name("api.token")
    path.write_text(token)
    path.chmod(0o600)
    text = house.path.read_text()
    if "token_file" not in text:
        house.path.write_text(text.replace("[daemon]", '[daemon]\ntoken_file = "api.token"', 1))
    await house.daemon.reload()
    assert not house.daemon.config.problems


async def actions(house: House) -> list[tuple[str, str]]:
    found, _ = await house.daemon.store.actions.page()
    return [(action.kind, action.state) for action in found]


# --- pages ---------------------------------------------------------------------------------------


async def test_the_policy_lets_in_the_pages_own_files_alone(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        for path in PAGES:
            async with session.get(path) as answer:
                assert answer.status == 200
                policy = dict(
                    part.strip().partition(" ")[::2]
                    for part in answer.headers["Content-Security-Policy"].split(";")
                )
                html = await answer.text()
            assert policy.pop("default-src") == policy.pop("base-uri") == "'none'"
            assert policy.pop("frame-ancestors") == "'none'"
            assert set(policy.values()) == {"'self'"}
            assert not re.search(r"<style|<script>|\son\w+=|\sstyle=", html)
            for url in re.findall(r'(?:src|href)="([^"]*)"', html):
                assert url.startswith(("/", "#")), url
                if url.startswith("/static/"):
                    async with session.get(url) as file:
                        assert file.status == 200
                        assert "immutable" in file.headers["Cache-Control"]
        for path in ("/static/x/..%2fpage%2flook.py", "/static/x/none.js", "/static/x/%2e%2e"):
            assert (await get(session, path))[0] == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/orders?status=done", 400),
        ("/orders?cursor=-1", 400),
        ("/orders?stalled=perhaps", 400),
        ("/orders?q=" + "x" * 3000, 400),
        ("/orders?panel=nobody", 200),
        ("/orders?service=%00", 200),
        ("/orders/standard/1", 404),
        ("/orders/nobody/1", 404),
        ("/actions?state=done", 400),
        ("/actions?panel=nobody", 404),
        ("/panels/nobody", 404),
        ("/services?skip=x", 400),
        ("/services?skip=999999999", 200),
        ("/services?sort=colour", 400),
        ("/services?panel=nobody", 404),
        ("/services?panel=standard&q=%25_", 200),
        ("/services?sort=-completed&q=likes", 200),
        ("/static/x/page.py", 404),
    ],
)
async def test_odd_questions_get_a_page(tmp_path: Path, path: str, status: int):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        found, html = await get(session, path)
        assert found == status
        assert "<h1>" in html


async def test_stalled_orders_are_listed(tmp_path: Path):
    settings = 'stalled_after = "1h"'
    async with a_house(tmp_path, defaults=settings) as house, a_browser(house) as session:
        stuck, _ = await house.place(1, fate=Fate(pending=1e9)), await house.run(2 * 3600.0)
        (fresh,) = await house.place(1, fate=Fate(pending=1e9))
        await house.run(60.0)
        assert len(house.daemon.daemon_status.panel_counts("standard").stalled_keys) == 1
        _, html = await get(session, "/orders?stalled=true")
        assert f">{stuck[0]}<" in html
        assert f">{fresh}<" not in html


# --- forms ---------------------------------------------------------------------------------------


async def test_buttons_act_once_through_the_intent_log(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        (order,) = await house.place(1, quantity=1000, services=[2], fate=SLOW)
        await house.run(120.0)
        path = f"/orders/standard/{order}/cancel"
        status, _, headers = await send(session, path)
        assert (status, headers["Location"]) == (303, f"/orders/standard/{order}?done=1#action-1")
        status, html, _ = await send(session, path)
        assert status == 409
        assert "That did not work" in html
        assert await actions(house) == [("cancel", "planned")]
        assert (await send(session, "/orders/standard/99/cancel"))[0] == 404


async def test_a_service_that_is_not_known_can_be_set_once(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        seeded = {"quantity": 1000, "services": [2], "fate": SLOW}
        (order,) = map(str, house.panel.world.seed_orders(1, house.panel.now(), **seeded))
        await house.track([order])
        await house.run(120.0)
        page, path = f"/orders/standard/{order}", f"/orders/standard/{order}/service"
        assert f'action="{path}"' in (await get(session, page))[1]
        for form, status in (({"service": "a b"}, 400), ({"service": "nowhere"}, 400)):
            assert (await send(session, path, form))[0] == status, form
        status, _, headers = await send(session, path, {"service": "2"})
        assert (status, headers["Location"]) == (303, page)
        assert house.order(order).service == "2"
        assert f'action="{path}"' not in (await get(session, page))[1]
        assert (await send(session, path, {"service": "1"}))[0] == 409
        assert (await send(session, path, {"service": "2"}))[0] == 303
        assert (await send(session, "/orders/standard/99/service", {"service": "2"}))[0] == 404


async def test_what_is_planned_can_be_withdrawn_once(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        (order,) = await house.place(1, quantity=1000, services=[2], fate=SLOW)
        await house.run(120.0)
        await send(session, f"/orders/standard/{order}/cancel")
        for page in ("/actions", f"/orders/standard/{order}"):
            assert 'action="/actions/1/withdraw"' in (await get(session, page))[1]
        path, form = "/actions/1/withdraw", {"back": "/actions?panel=standard"}
        status, _, headers = await send(session, path, form)
        assert (status, headers["Location"]) == (303, "/actions?panel=standard#action-1")
        await house.run(3600.0)
        assert house.panel.journal.sent("cancel") == {}
        assert await actions(house) == [("cancel", "rejected")]
        _, html = await get(session, "/actions")
        assert "withdrawn by hand" in html
        assert "/withdraw" not in html
        status, html, _ = await send(session, path, form)
        assert status == 409
        assert "only a planned action can be withdrawn" in html
        assert (await send(session, "/actions/9/withdraw", form))[0] == 404
        assert (await send(session, "/actions/x/withdraw", form))[0] == 404


async def test_a_refused_form_comes_back_with_what_was_typed(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        await house.run(600.0)  # the price list is read
        await house.track(["77"])
        for typed, problem in (("none-such", "lists no service"), ("a b", "give the service")):
            status, html, _ = await send(session, "/orders/standard/77/service", {"service": typed})
            assert status == 400
            assert problem in html
            assert 'name="service" required maxlength="64" size="8"' in html
            assert f'value="{typed}"' in html
        house.panel.switches.on(Trait.CLOSE_AFTER, action="refill", times=1)
        (order,) = await house.place(1, quantity=100, services=[1], fate=DONE)
        await house.run(600.0)
        await house.call("POST", f"/v1/orders/standard/{order}/refill", status=202)
        await house.run(60.0)
        form = {"state": "accepted", "result": "7 8"}
        status, html, _ = await send(session, "/actions/1/resolve", form)
        assert status == 400
        assert 'value="7 8"' in html
        assert "can&#39;t be an id" in html


@pytest.mark.parametrize("path", ["/nonexistent", "/services.php", "/orders/a/b/c/d"])
async def test_an_unknown_address_is_a_page_for_browsers_alone(tmp_path: Path, path: str):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        html = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        status, text = await get(session, path, headers=html)
        assert status == 404
        assert "There is no such page." in text
        assert 'href="/"' in text
        if path.startswith("/orders"):
            return
        for headers in ({}, {"Accept": "application/json"}):
            async with session.get(path, headers=headers) as answer:
                assert answer.status == 404
                assert (await answer.json())["error"]["code"] == "http"
        async with session.get("/v1/nothing", headers=html) as answer:
            assert (await answer.json())["error"]["code"] == "http"


async def test_odd_resolutions_are_refused(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        for path, form, status in (
            ("/actions/x/resolve", {"state": "accepted"}, 404),
            ("/actions/1/resolve", {"state": "accepted"}, 404),
            ("/actions/1/resolve", {"state": "planned"}, 400),
            ("/actions/1/resolve", {"state": "accepted", "result": "a b"}, 400),
            ("/actions/1/resolve", {f"f{n}": "x" for n in range(30)}, 400),
            ("/actions/1/resolve", {"state": "x" * 70_000}, 413),
        ):
            assert (await send(session, path, form))[0] == status, (path, form)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
    ],
    ids=str,
)
async def test_forms_of_others_are_refused(tmp_path: Path, headers: dict[str, str]):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        (order,) = await house.place(1, quantity=1000, services=[2], fate=SLOW)
        await house.run(120.0)
        for path in (
            f"/orders/standard/{order}/cancel",
            "/login",
            "/logout",
            "/actions/1/resolve",
            "/actions/1/withdraw",
        ):
            assert (await send(session, path, headers=headers))[0] in (403, 421)
        assert await actions(house) == []


async def test_a_form_has_to_say_where_it_stood(tmp_path: Path):
    async with a_house(tmp_path) as house:
        (order,) = await house.place(1, quantity=1000, services=[2], fate=SLOW)
        await house.run(120.0)
        path = f"/orders/standard/{order}/cancel"
        async with aiohttp.ClientSession(f"http://127.0.0.1:{house.daemon.port}") as session:
            assert (await send(session, path))[0] == 403
            same = {"Sec-Fetch-Site": "same-origin"}
            for kind in ("application/json", "text/plain", "multipart/form-data"):
                headers = {**same, "Content-Type": kind}
                async with session.post(path, data=b"{}", headers=headers) as answer:
                    assert answer.status == 415
            assert await actions(house) == []
            assert (await send(session, path, headers=same))[0] == 303


# --- sessions ------------------------------------------------------------------------------------


async def test_the_token_opens_a_session(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        assert (await get(session, "/login"))[0] == 303  # nothing to log in to
        await set_token(house)
        for path in (*PAGES, "/events/page", "/orders/standard/1?do=refill"):
            status, html = await get(session, path)
            assert status == 401
            assert 'type="password"' in html
            assert "standard" not in re.sub('value="[^"]*"', "", html)
        assert (await send(session, "/login", {"token": "wrong"}))[0] == 401
        status, _, headers = await send(
            session, "/login", {"token": TOKEN, "wanted": "/orders?q=1"}
        )
        assert (status, headers["Location"]) == (303, "/orders?q=1")
        cookie = headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
        assert TOKEN not in cookie
        for path in PAGES:
            assert (await get(session, path))[0] == 200
        for path in ("/v1/orders", "/v1/backup"):  # of the page, not of the API
            assert (await get(session, path))[0] == 401


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "x", "/\n", "/logout"]
)
async def test_a_login_leads_nowhere_else(tmp_path: Path, wanted: str):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        await set_token(house)
        form = {"token": TOKEN, "wanted": wanted}
        _, _, headers = await send(session, "/login", form)
        assert headers["Location"] == "/"


async def test_behind_tls_the_cookie_stays_there(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        await set_token(house)
        text = house.path.read_text()
        house.path.write_text(
            text.replace("[daemon]", '[daemon]\nallowed_hosts = ["watcher.example"]', 1)
        )
        await house.daemon.reload()
        there = {"Host": "watcher.example", "Origin": "https://watcher.example"}
        _, _, headers = await send(session, "/login", {"token": TOKEN}, headers=there)
        assert "Secure" in headers["Set-Cookie"]


async def test_guesses_at_the_login_cost_as_much_as_elsewhere(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        await set_token(house)
        found = [(await send(session, "/login", {"token": "wrong"}))[0] for _ in range(25)]
        assert set(found) == {401, 429}
        assert (await send(session, "/login", {"token": TOKEN}))[0] == 303


async def test_a_session_is_what_the_token_made(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        await set_token(house)
        _, _, headers = await send(session, "/login", {"token": TOKEN})
        name, _, value = headers["Set-Cookie"].split(";")[0].partition("=")
        expires, nonce, signature = value.split(".")
        forged = (
            f"{int(expires) + 1}.{nonce}.{signature}",
            f"{expires}.x.{signature}",
            f"{expires}.{nonce}.{'0' * 64}",
            f"..{signature}",
            "",
            ".",
            "é.é.é",
        )
        session.cookie_jar.clear()
        for given in forged:
            headers = {"Cookie": f"{name}={given}"}
            assert (await get(session, "/", headers=headers))[0] == 401, given
        assert (await get(session, "/", headers={"Cookie": f"{name}={value}"}))[0] == 200
        await send(session, "/logout", headers={"Cookie": f"{name}={value}"})
        assert (await get(session, "/", headers={"Cookie": f"{name}={value}"}))[0] == 401


async def test_a_session_is_over_at_some_time(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await set_token(house)
        at = [1000.0]
        keeper = SessionAuth(clock=lambda: at[0])
        request = _Request(house, {})
        value = keeper.begin(request, TOKEN)
        held = _Request(house, {"watcher": value})
        assert keeper.has_session(held)
        at[0] += SESSION
        assert not keeper.has_session(held)


class _Request:
    """As much of a request as a keeper looks at."""

    remote = "127.0.0.1"

    def __init__(self, house: House, cookies: dict[str, str]) -> None:
        assert house.daemon._runner is not None
        self.app = house.daemon._runner.app
        self.cookies = cookies

    def get(self, name: object) -> None:
        """No node passes it on."""

    def get_extra_info(self, name: str) -> None:
        return None


# --- streams -------------------------------------------------------------------------------------


async def events(answer: aiohttp.ClientResponse, name: str) -> AsyncIterator[str]:
    """The data of the stream's events of that name."""
    async for line in answer.content:
        if line == f"event: {name}\n".encode():
            yield (await answer.content.readline()).decode().removeprefix("data: ").strip()


async def test_what_changes_is_sent_and_nothing_else(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        await house.place(2, quantity=1000, services=[2], fate=SLOW)
        async with session.get("/events/page?view=overview") as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            parts = events(answer, "part")
            first = [await anext(parts) for _ in range(7)]
            assert len({part.split('"')[3] for part in first}) == 7
            await house.track(["77"])
            changed = await asyncio.wait_for(anext(parts), 10)
            assert '"part-' in changed
            assert changed not in first
        async with session.get("/events/page") as answer:
            found = await answer.content.readuntil(b"\n\n")
            assert found == b'event: unresolved\ndata: "0"\n\n'


async def test_an_orders_viewer_hears_of_it(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        (order,) = await house.place(1, quantity=1000, services=[2], fate=SLOW)
        await house.run(120.0)
        async with session.get(f"/events/page?panel=standard&order={order}") as answer:
            states = events(answer, "order")
            before = await anext(states)
            await send(session, f"/orders/standard/{order}/cancel")
            assert await asyncio.wait_for(anext(states), 10) != before


async def test_nothing_is_made_while_nobody_looks(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        page = _live(house)
        for _ in range(2):
            async with session.get("/events/page?view=overview") as answer:
                await anext(events(answer, "part"))
                assert len(page._viewers) == 1
            for _ in range(500):
                if page._task is None or page._task.done():
                    break
                await asyncio.sleep(0.01)
            assert page._viewers == set()
            assert page._task is not None
            assert page._task.done()


async def test_so_many_look_at_once_and_no_more(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        opened = [await session.get("/events/page") for _ in range(MOST_VIEWERS)]
        assert {answer.status for answer in opened} == {200}
        assert (await get(session, "/events/page"))[0] == 429
        assert (await get(session, "/"))[0] == 200
        opened.pop().close()
        for _ in range(500):
            if len(_live(house)._viewers) < MOST_VIEWERS:
                break
            await asyncio.sleep(0.01)
        async with session.get("/events/page") as answer:
            assert answer.status == 200
        for answer in opened:
            answer.close()


async def test_another_token_ends_sessions_and_streams(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        await set_token(house)
        await send(session, "/login", {"token": TOKEN})
        async with session.get("/events/page?view=overview") as answer:
            await anext(events(answer, "part"))
            await set_token(house, "another-token-of-the-tests")
            await asyncio.wait_for(answer.content.read(), 10)  # to its end
        assert (await get(session, "/"))[0] == 401


async def test_a_stop_ends_streams_at_once(tmp_path: Path):
    async with (
        a_house(tmp_path) as house,
        a_browser(house) as session,
        session.get("/events/page?view=overview") as answer,
    ):
        await anext(events(answer, "part"))
        await asyncio.wait_for(house.daemon._stop_listening(), 3.0)
        await answer.content.read()


async def test_what_is_told_is_the_same_text_until_it_changes(tmp_path: Path):
    """Else every viewer would be sent everything, every two seconds."""
    async with a_house(tmp_path) as house:
        await house.place(3, quantity=1000, services=[2], fate=SLOW)
        await house.run(60.0)
        page = _live(house)
        first = dict(await page.parts())
        house.clock.advance(1.0)
        page._made_at = -1e9
        again = dict(await page.parts())
        assert {name for name in first if first[name] != again[name]} <= {"next"}


def _live(house: House) -> Any:
    assert house.daemon._runner is not None
    return house.daemon._runner.app[LIVE]


def test_every_asset_is_there():
    for name in ("page.css", "page.js", "icon.svg"):
        assert re.fullmatch(rf"/static/[0-9a-f]{{16}}/{name}", rendering.asset(name))

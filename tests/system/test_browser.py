"""The status page in a real Chromium: each flow, wide and narrow, light and dark, by keyboard.

A hundred thousand orders of another panel are behind it.
"""

import asyncio
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks.house import make_database, mixed_orders
from tests.support.browser import accessible, browser, fits, looking, missing
from tests.support.house import House, a_house
from watcher.simulator import Fate, Trait
from watcher.web.page import live_updates

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

TOKEN = "a-token-of-the-tests"
CROWD = 100_000
HOUR = 3600.0
DONE = Fate(pending=30.0, per_minute=1000.0, refill_takes=2 * HOUR)
SLOW = Fate(pending=30.0, per_minute=1.0)
RULES = """
[[rules]]
name = "refill <b>daily</b>"
action = "refill"
when = "order.status == 'completed' && order.finished_ago > duration('100h')"
[[rules]]
name = "cancel what is slow"
action = "cancel"
when = "order.status == 'in_progress' && order.idle > duration('1000h')"
dry_run = true
"""
HOSTILE = (
    "<script>window.ran = 1</script>",
    '"><img src=x onerror="window.ran = 1">',
    "\u202egnp.evil\u202c",
    "</title></td></table><style>*{display:none}</style>",
    "x" * 1500,
)
VIEWS = [
    pytest.param({"width": width, "scheme": scheme}, id=f"{width}-{scheme}")
    for width in (1440, 390)
    for scheme in ("light", "dark")
]
WIDTHS = [pytest.param({"width": width, "scheme": "light"}, id=str(width)) for width in (1440, 390)]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which the second panel has very many orders."""
    path = tmp_path_factory.mktemp("crowd") / "watcher.db"
    now = 1_800_000_000.0
    rows = (((order[0], 2, *order[2:]), state) for order, state in mixed_orders(1, CROWD, now))
    make_database(path, panels=2, rows=rows, now=now)
    _settle(path)
    return path


def _settle(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE panels SET name = 'standard' WHERE id = 1")
        connection.execute("UPDATE panels SET name = 'genzsmm' WHERE id = 2")
        # Were all of them open, each test would check each of them first.
        connection.execute("UPDATE order_states SET phase = 'closed' WHERE key % 50 > 0")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_updates, "FRESH_FOR", 0.1)


@asynccontextmanager
async def watched(
    tmp_path: Path, crowd: Path, view: dict[str, Any], **options: Any
) -> AsyncIterator[tuple[House, Any]]:
    """A daemon, and a browser's page that looks at it."""
    shutil.copyfile(crowd, tmp_path / "watcher.db")
    async with (
        a_house(
            tmp_path,
            profiles=("standard", "genzsmm"),
            rules=RULES,
            traits=[Trait.HOSTILE_TEXT],
        ) as house,
        browser() as chrome,
        looking(
            chrome,
            f"http://127.0.0.1:{house.daemon.port}",
            viewport={"width": view["width"], "height": 900},
            color_scheme=view["scheme"],
            **options,
        ) as page,
    ):
        yield house, page


async def unresolved(house: House) -> str:
    """An order whose refill nobody knows the outcome of."""
    (order,) = await house.place(1, quantity=100, services=[1], fate=DONE)
    await house.run(600.0)
    house.panel.switches.on(Trait.CLOSE_AFTER, action="refill", times=1)
    await house.call("POST", f"/v1/orders/standard/{order}/refill", status=202)
    await house.run(60.0)
    return order


async def states(house: House) -> list[tuple[str, str]]:
    actions = (await house.call("GET", "/v1/actions"))["actions"]
    return [(action["kind"], action["state"]) for action in actions]


async def until(page: Any, selector: str, text: str) -> None:
    """Until an element has the text, without a new page being asked for."""
    await page.locator(selector, has_text=text).first.wait_for()


# --- all pages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
async def test_every_page_fits_and_is_accessible(tmp_path: Path, crowd: Path, view):
    async with watched(tmp_path, crowd, view) as (house, page):
        order = await unresolved(house)
        for path in (
            "/",
            "/orders",
            "/orders?q=999&status=in_progress",
            "/orders?q=nothing-like-this",
            f"/orders/standard/{order}",
            f"/orders/standard/{order}?do=refill",
            "/actions?state=unresolved",
            "/actions?state=unresolved&resolve=1",
            "/panels",
            "/panels/standard",
            "/services",
            "/services?panel=standard&sort=-orders&q=likes",
            "/orders?q=likes&sort=-charge",
            "/orders/upload",
        ):
            answer = await page.goto(path)
            assert answer.status == 200, path
            assert await accessible(page) == [], path
            assert await fits(page), path


@pytest.mark.parametrize("view", WIDTHS)
async def test_what_panels_and_people_wrote_is_only_text(tmp_path: Path, crowd: Path, view):
    async with watched(tmp_path, crowd, view) as (house, page):
        ids = await house.place(len(HOSTILE), quantity=100, services=[3], fate=SLOW)
        links = [f"https://example.com/{text}" for text in HOSTILE]
        links[0] = "javascript:window.ran=1"
        orders = [
            {"panel": "standard", "order": f"9{order}", "link": link, "service": text[:60]}
            for order, link, text in zip(ids, links, HOSTILE, strict=True)
        ]
        await house.call("POST", "/v1/orders", json={"orders": orders})
        await house.run(300.0)
        for path in ("/", "/orders", "/services", *(f"/orders/standard/9{i}" for i in ids)):
            await page.goto(path)
            assert await page.evaluate("window.ran") is None, path
            assert await page.locator("main img").count() == 0, path
            assert await page.locator("h1").is_visible(), path
            assert await page.locator("a[href^='javascript' i]").count() == 0, path
            assert await fits(page), path
        await page.goto(f"/orders/standard/9{ids[0]}")
        assert await page.get_by_text("javascript:window.ran=1").is_visible()
        await page.goto("/services")
        assert await page.get_by_text("<script>alert('likes')</script>").first.is_visible()


async def test_it_works_without_scripts(tmp_path: Path, crowd: Path):
    view = {"width": 390, "scheme": "light"}
    async with watched(tmp_path, crowd, view, java_script_enabled=False) as (house, page):
        (order,) = await house.place(1, quantity=1000, services=[2], fate=SLOW)
        await house.run(120.0)
        await page.goto("/")
        await page.fill("#search", order)
        await page.press("#search", "Enter")
        await page.get_by_role("link", name=order, exact=True).click()
        await page.get_by_role("button", name="Cancel …").click()
        await page.get_by_role("button", name="Cancel the order").click()
        assert await page.get_by_text("It is planned").is_visible()
        assert await states(house) == [("cancel", "planned")]


# --- flows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
async def test_an_order_is_found_and_refilled_after_asking(tmp_path: Path, crowd: Path, view):
    async with watched(tmp_path, crowd, view) as (house, page):
        (order,) = await house.place(1, quantity=100, services=[1], fate=DONE)
        await house.run(600.0)
        await page.goto("/")
        await page.fill("#search", order)
        await page.press("#search", "Enter")
        await page.get_by_role("link", name=order, exact=True).click()
        await page.get_by_role("img", name=re.compile("Remains over time: 0 of 100")).wait_for()
        await page.get_by_role("button", name="Refill …").click()
        await page.get_by_role("link", name="Not now").click()
        assert await states(house) == []
        await page.get_by_role("button", name="Refill …").click()
        await page.get_by_role("button", name="Ask for a refill").click()
        await page.get_by_text("It is planned").wait_for()
        assert await states(house) == [("refill", "planned")]
        await house.run(30.0)
        await until(page, "#action-1 .pill", "accepted")  # live
        assert await page.get_by_role("heading", name="Refills", exact=True).is_visible()
        assert house.panel.journal.sent("refill")[int(order)] == 1


@pytest.mark.parametrize("view", WIDTHS)
async def test_an_order_is_cancelled_after_asking(tmp_path: Path, crowd: Path, view):
    async with watched(tmp_path, crowd, view) as (house, page):
        (order,) = await house.place(1, quantity=1000, services=[2], fate=SLOW)
        await house.run(120.0)
        await page.goto(f"/orders/standard/{order}")
        await page.get_by_role("button", name="Cancel …").click()
        assert await accessible(page) == []
        await page.get_by_role("button", name="Cancel the order").click()
        await page.get_by_text("It is planned").wait_for()
        assert await states(house) == [("cancel", "planned")]
        assert await page.get_by_role("button", name="Cancel …").is_disabled()


@pytest.mark.parametrize("view", WIDTHS)
async def test_an_unresolved_action_is_told_of_and_resolved(tmp_path: Path, crowd: Path, view):
    async with watched(tmp_path, crowd, view) as (house, page):
        await unresolved(house)
        await page.goto("/")
        await page.get_by_role("link", name=re.compile("Resolve: Action unresolved")).click()
        await page.get_by_role("button", name="Resolve …").click()
        await page.get_by_label("The panel's id of the refill").fill("7")
        await page.get_by_role("button", name="The panel accepted it").click()
        await page.get_by_text("Nothing is unresolved.").wait_for()
        assert await states(house) == [("refill", "accepted")]
        assert await page.locator("#unresolved").is_hidden()


@pytest.mark.parametrize("view", WIDTHS)
async def test_filters_and_pages(tmp_path: Path, crowd: Path, view):
    async with watched(tmp_path, crowd, view) as (house, page):
        await house.run(30.0)
        await page.goto("/orders")
        assert await page.locator("tbody tr").count() == 50
        await page.select_option("select[name=panel]", "genzsmm")
        await page.wait_for_url("**/orders?panel=genzsmm")
        await page.select_option("select[name=status]", "processing")
        await page.wait_for_url("**status=processing")
        assert await page.locator("tbody .pill").all_inner_texts() == ["processing"] * 50
        first = await page.locator("tbody .lead a").first.inner_text()
        await page.get_by_role("link", name="Older").click()
        await page.get_by_role("link", name="Newest").wait_for()
        assert await page.locator("tbody .lead a").first.inner_text() != first
        await page.get_by_role("link", name="Clear").click()
        await page.wait_for_url("**/orders")
        await page.goto("/panels/standard")
        await page.get_by_role("link", name="Its services").click()
        await page.get_by_placeholder("Id, name or category").fill("likes 12")
        await page.get_by_role("button", name="Search").click()
        await page.wait_for_url("**q=likes+12**")
        assert await page.locator("table.services tbody tr").count() == 1


@pytest.mark.parametrize("view", WIDTHS)
async def test_a_list_is_sorted_by_its_head_or_by_a_choice(tmp_path: Path, crowd: Path, view):
    async with watched(tmp_path, crowd, view) as (_, page):
        await page.goto("/orders?panel=genzsmm")
        if view["width"] > 1000:
            await page.get_by_role("link", name="Charge").click()
            assert await page.locator("select[name=sort]").is_hidden()
        else:
            await page.select_option("select[name=sort]", label="Charge, falling")
        await page.wait_for_url("**/orders?panel=genzsmm&sort=-charge")
        told = await page.locator("tbody td[data-name=Charge]").all_inner_texts()
        charges = [float(text.split()[-2].replace(",", "")) for text in told]
        assert charges == sorted(charges, reverse=True)
        assert await page.get_by_text("Only the newest 20,000 orders were sorted").is_visible()
        assert await page.locator("th[aria-sort=descending]").inner_text() in ("Charge", "")


@pytest.mark.parametrize("view", VIEWS)
async def test_a_list_is_looked_at_before_it_is_tracked(tmp_path: Path, crowd: Path, view):
    async with watched(tmp_path, crowd, view) as (house, page):
        file = tmp_path / "list.csv"
        hostile = "".join(f"{n};https://example.com/{text}\n" for n, text in enumerate(HOSTILE, 1))
        file.write_text(f"order;link\n{hostile}a b;x\n")
        await page.goto("/orders")
        await page.get_by_role("link", name="Upload a list").click()
        await page.select_option("select[name=panel] >> nth=0", "standard")
        await page.set_input_files("input[type=file]", file)
        await page.get_by_role("button", name="Preview").click()
        await page.get_by_role("heading", name=f"{len(HOSTILE)} orders to track").wait_for()
        assert await page.get_by_text("'a b' is not an order's id").is_visible()
        assert await page.evaluate("window.ran") is None
        assert await accessible(page) == []
        assert await fits(page)
        assert not (await house.call("GET", "/v1/orders?panel=standard&limit=1"))["orders"]
        await page.get_by_role("button", name="Track them").click()
        await page.get_by_text(f"{len(HOSTILE)} tracked, 0 known already").wait_for()
        listed = (await house.call("GET", "/v1/orders?panel=standard"))["orders"]
        assert len(listed) == len(HOSTILE)


@pytest.mark.parametrize("view", WIDTHS)
async def test_what_changes_is_shown_as_it_happens(tmp_path: Path, crowd: Path, view):
    async with watched(tmp_path, crowd, view) as (house, page):
        await page.goto("/")
        await until(page, "#part-summary", "watched at 2 panels")
        before = await page.locator("#part-summary").inner_text()
        await house.track(["77"], link="https://example.com/77")
        await page.wait_for_function(
            "before => document.getElementById('part-summary').innerText !== before", arg=before
        )
        await unresolved(house)
        await until(page, "#unresolved", "1")
        await until(page, ".needs .what", "Action unresolved")


async def test_by_keyboard_alone(tmp_path: Path, crowd: Path):
    async with watched(tmp_path, crowd, {"width": 1440, "scheme": "dark"}) as (house, page):
        (order,) = await house.place(1, quantity=100, services=[1], fate=DONE)
        await house.run(600.0)
        keys = page.keyboard
        await page.goto("/")
        await keys.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await keys.press("?")
        assert await page.locator("#keys").is_visible()
        await keys.press("Escape")
        await keys.press("g")
        await keys.press("o")
        await page.wait_for_url("**/orders")
        await keys.press("/")
        await keys.type(order)
        await keys.press("Enter")
        await page.wait_for_url(f"**/orders?q={order}")
        await keys.press("j")
        assert await page.evaluate("document.activeElement.innerText") == order
        await keys.press("Enter")
        await page.wait_for_url(f"**/orders/standard/{order}")
        for _ in range(30):
            await keys.press("Tab")
            if await page.evaluate("document.activeElement.value") == "refill":
                break
        await keys.press("Enter")
        assert await page.locator("#do-refill").is_visible()
        await keys.press("Escape")
        assert await page.locator("#do-refill").is_hidden()
        assert await page.evaluate("document.activeElement.value") == "refill"
        await keys.press("Enter")
        await keys.press("Enter")  # the dialog's first button has the focus
        await page.get_by_text("It is planned").wait_for()
        assert await states(house) == [("refill", "planned")]


# --- the token -----------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
async def test_the_token_lets_in_until_it_is_another(tmp_path: Path, crowd: Path, view):
    async with watched(tmp_path, crowd, view) as (house, page):
        (order,) = await house.place(1, quantity=100, services=[1], fate=DONE)
        await house.run(600.0)
        await _set_token(house, TOKEN)
        await page.goto(f"/orders/standard/{order}")
        assert await accessible(page) == []
        assert await page.locator("main table, nav").count() == 0
        await page.get_by_label("Token").fill("wrong")
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_text("That is not the token.").wait_for()
        assert await accessible(page) == []
        await page.get_by_label("Token").fill(TOKEN)
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("button", name="Refill …").wait_for()
        (cookie,) = await page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert TOKEN not in cookie["value"]
        await page.get_by_role("button", name="Refill …").click()
        await page.get_by_role("button", name="Ask for a refill").click()
        await page.get_by_text("It is planned").wait_for()
        await page.get_by_role("button", name="Log out").click()
        await page.get_by_label("Token").wait_for()
        await page.context.add_cookies([cookie])  # one that was ended by hand
        assert (await page.goto("/")).status == 401
        await page.get_by_label("Token").fill(TOKEN)
        await page.get_by_role("button", name="Log in").click()
        await page.locator("#live.on").wait_for(state="attached")
        await _set_token(house, TOKEN.upper())
        await page.locator("#live.off").wait_for()
        assert (await page.goto("/")).status == 401
        page.looked.errors = [e for e in page.looked.errors if "401" not in e]


async def test_a_stop_does_not_wait_for_who_looks(tmp_path: Path, crowd: Path):
    async with watched(tmp_path, crowd, {"width": 1440, "scheme": "light"}) as (house, page):
        await page.goto("/")
        await page.locator("#live.on").wait_for(state="attached")
        await asyncio.wait_for(house.daemon._stop_listening(), 30.0)  # who looks stays for hours
        await page.locator("#live.off").wait_for()
        page.looked.errors.clear()  # it can't connect any more, and says so


async def _set_token(house: House, token: str) -> None:
    path = house.path.with_name("api.token")
    path.write_text(token)
    path.chmod(0o600)
    text = house.path.read_text()
    if "token_file" not in text:
        house.path.write_text(text.replace("[daemon]", '[daemon]\ntoken_file = "api.token"', 1))
    await house.daemon.reload()
    assert not house.daemon.config.problems

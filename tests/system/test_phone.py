"""The status page on a phone while things are wrong: nothing is printed over anything else.

That is when it is looked at. Each state is made with a real daemon, and measured in Chromium.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.browser import browser, fits, looking, missing, overlaps
from tests.support.house import KEY, House, a_house
from tests.support.sayings import Sayings
from watcher.simulator import Fate, SimService, Trait, World
from watcher.simulator.catalog import PRICE_LIST

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
HOUR = 3600.0
DONE = Fate(pending=30.0, per_minute=1000.0, refill_takes=2 * HOUR)
SLOW = Fate(pending=30.0, per_minute=1.0)
CAUSE = "Your account has been suspended by the administrator until the invoice is paid, see " * 3
LONG = "Instagram Followers | Real & Active | [30 Days Refill] | Max 500K | Speed 50K per day " * 2
LINK = "https://www.example.com/some/very/long/path/" + "x" * 900
NAMES = [f"panel-{n:02}-with-a-name-as-long-as-it-goes"[:40] for n in range(19)]
SERVICES = [SimService(service=n, name=LONG, category=LONG, rate=Decimal("1.25")) for n in (1, 2)]
RULE = """
[[rules]]
name = "refill what has dropped, daily, for as long as the guarantee lasts"
action = "refill"
when = "order.status == 'completed' && order.finished_ago > duration('1m')"
per_hour = 1
"""


def silent(*names: str) -> str:
    """The tables of panels where nobody listens."""
    url = "http://127.0.0.1:1/api/v2"
    return "".join(f'[panels.{name}]\nprofile = "standard"\nurl = "{url}"\n' for name in names)


async def down(house: House) -> None:
    """The panel is gone; an order's cancel waits."""
    (order,) = await house.place(1, quantity=1000, services=[2], fate=SLOW)
    await house.run(120.0)
    await house.panel.stop()
    await house.call("POST", f"/v1/orders/standard/{order}/cancel", status=202)
    await house.run(1200.0)


async def refusing(house: House) -> None:
    """The panel refuses everything in many words."""
    await house.place(2, quantity=1000, services=[2], fate=SLOW)
    await house.run(120.0)
    Sayings(house.panel).refuse(CAUSE)
    await house.run(1200.0)


async def wrong_key(house: House) -> None:
    await house.track(["23501"], link="https://example.com")
    await house.run(1200.0)


async def braked(house: House) -> None:
    await house.place(4, quantity=100, services=[1], fate=DONE)
    await house.run(1200.0)


async def unresolved(house: House) -> None:
    (order,) = await house.place(1, quantity=100, services=[1], fate=DONE)
    await house.run(600.0)
    house.panel.switches.on(Trait.CLOSE_AFTER, action="refill", times=1)
    await house.call("POST", f"/v1/orders/standard/{order}/refill", status=202)
    await house.run(60.0)


async def long_texts(house: House) -> None:
    placed = {"quantity": 1_234_567, "submitted_at": "2026-01-01T00:00:00Z"}
    await house.track(["9" * 40, "23501"], link=LINK, service="1", **placed)
    await house.track(["not-an-id-of-this-panel-at-all"], link=LINK, **placed)  # it has a problem
    await house.track(["a" * 64], NAMES[0], link=LINK, service="s" * 60, **placed)
    await house.run(1200.0)


async def many(house: House) -> None:
    await house.place(3, quantity=1000, services=[2], fate=SLOW)
    await house.run(1200.0)


async def nothing(house: House) -> None:
    """The panel was not asked yet."""


class State(NamedTuple):
    """What is wrong, and with which configuration."""

    make: Callable[[House], Awaitable[None]]
    more: str = ""
    key: str = KEY


STATES: Mapping[str, State] = {
    "nothing yet": State(nothing),
    "down": State(down),
    "refusing": State(refusing),
    "wrong key": State(wrong_key, key="an-old-key"),
    "brake": State(braked, RULE),
    "unresolved": State(unresolved),
    "long texts": State(long_texts, RULE + silent(NAMES[0])),
    "twenty panels": State(many, silent(*NAMES)),
}


@asynccontextmanager
async def a_phone(house: House, **options: Any) -> AsyncIterator[Any]:
    url = f"http://127.0.0.1:{house.daemon.port}"
    async with browser() as chrome, looking(chrome, url, **{**PHONE, **options}) as page:
        yield page


async def paths(house: House) -> list[str]:
    """The pages that are looked at: all, and that of each order and panel."""
    orders = (await house.call("GET", "/v1/orders"))["orders"]
    panels = (await house.call("GET", "/v1/panels"))["panels"]
    return [
        *("/", "/panels", "/orders", "/actions"),
        *(f"/orders/{order['panel']}/{order['order']}" for order in orders[:3]),
        *(f"/panels/{panel['panel']}" for panel in panels[:2]),
    ]


@pytest.mark.parametrize(
    ("name", "scripts"), [*((name, True) for name in STATES), ("down", False), ("brake", False)]
)
async def test_nothing_is_printed_over_anything_else(tmp_path: Path, name: str, scripts: bool):
    """Without scripts the times are longer: in UTC, with their date."""
    state = STATES[name]
    services = SERVICES if name == "long texts" else PRICE_LIST
    async with (
        a_house(
            tmp_path, rules=state.more, env={"TEST_KEY": state.key}, world=World(services)
        ) as house,
        a_phone(house, java_script_enabled=scripts) as page,
    ):
        await state.make(house)
        for path in await paths(house):
            await page.goto(path, wait_until="domcontentloaded")
            assert await overlaps(page) == [], path
            assert await fits(page), path


async def test_what_is_printed_over_something_is_found(tmp_path: Path):
    async with a_house(tmp_path) as house, a_phone(house) as page:
        await house.run(60.0)
        await page.goto("/panels", wait_until="domcontentloaded")
        await page.evaluate("document.querySelector('td.n').style.marginTop = '-40px'")
        assert await overlaps(page)


# --- the meaning of headings ---------------------------------------------------------------------


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_tap_on_a_heading_shows_its_meaning(tmp_path: Path, scripts: bool):
    async with a_house(tmp_path) as house, a_phone(house, java_script_enabled=scripts) as page:
        await house.run(60.0)
        await page.goto("/panels", wait_until="domcontentloaded")
        await page.locator("td .term", has_text="Guarded").tap()
        hint = page.locator("#term-guarded")
        await hint.wait_for()
        box = await hint.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert "young enough for refill rules" in await hint.inner_text()
        await page.locator("h1").tap()
        await hint.wait_for(state="hidden")


async def test_a_heading_is_explained_by_keyboard_and_mouse(tmp_path: Path):
    wide = {"viewport": {"width": 1440, "height": 900}, "has_touch": False, "is_mobile": False}
    async with a_house(tmp_path) as house, a_phone(house, **wide) as page:
        await house.run(60.0)
        await page.goto("/panels", wait_until="domcontentloaded")
        term, hint = page.locator("th .term", has_text="Lag"), page.locator("#term-lag")
        await term.hover()
        await hint.wait_for()
        await page.mouse.move(0, 0)
        await hint.wait_for(state="hidden")
        await term.focus()
        await hint.wait_for()
        await page.keyboard.press("Escape")
        await hint.wait_for(state="hidden")
        await page.keyboard.press("Enter")
        await hint.wait_for()
        assert await page.evaluate("document.activeElement.ariaDescribedByElements[0].id") == (
            "term-lag"
        )


async def test_a_meaning_stays_shown_while_the_page_changes(tmp_path: Path):
    async with a_house(tmp_path) as house, a_phone(house) as page:
        await house.run(60.0)
        await page.goto("/", wait_until="domcontentloaded")
        await page.locator("#part-panels td .term", has_text="Guarded").tap()
        await page.locator("#term-guarded").wait_for()
        before = await page.locator("#term-guarded").bounding_box()
        part = "document.getElementById('part-panels')"
        await page.evaluate(f"exchange({part}, {part}.innerHTML)")
        assert await page.locator("#term-guarded").bounding_box() == before

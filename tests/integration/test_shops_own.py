"""Whatever a shop asks about is its own: every action with the ids of another."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.shops import Market, a_market, ask, until

BOTH = 'panels = ["standard", "smmxz"]\noffsets = { standard = 0, smmxz = 1000 }\n'
SHOPS = f"""
[[shops]]
name = "main"
{BOTH}
[[shops]]
name = "main2"
key_env = "KEY_MANY"
{BOTH}
[[shops]]
name = "one"
key_env = "KEY_ONE"
panels = ["smmxz"]
[[shops]]
name = "two"
key_env = "KEY_TWO"
panels = ["smmxz"]
"""
KEYS = {
    "main": "key-of-a-shop-in-the-tests",
    "main2": "key-of-the-shop-main2",
    "one": "key-of-the-shop-one",
    "two": "key-of-the-shop-two",
}
NO_ORDER, NO_REFILL = "Incorrect order ID", "Refill not found"


class Owned:
    """A market in which each shop has an order and a refill at both panels, or at its one."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.orders: dict[str, list[str]] = {}
        self.refills: dict[str, list[str]] = {}

    async def ask(self, shop: str, action: str, **fields: object) -> Any:
        return await ask(self.market.url, KEYS[shop], action, **fields)

    async def prepare(self) -> None:
        market = self.market
        await until(lambda: len(market.daemon.rule_engine.services) == 2)
        for number, shop in enumerate(KEYS):
            services = (1, 1001) if shop.startswith("main") else (1,)
            link = f"https://example.com/{number}"
            order = [
                str((await self.ask(shop, "add", service=s, link=link, quantity=100))["order"])
                for s in services
            ]
            self.orders[shop] = order
        for panel in market.panels.values():
            placed = [e.carried_out for e in panel.journal.requests("add")]
            ids = [number for some in placed for number in some]
            panel.world.force(ids, panel.now(), status="Completed", remains=0)
        for shop, orders in self.orders.items():
            self.refills[shop] = [
                str((await self.ask(shop, "refill", order=order))["refill"]) for order in orders
            ]


@pytest.fixture
async def owned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Owned]:
    for name, shop in (("KEY_MANY", "main2"), ("KEY_ONE", "one"), ("KEY_TWO", "two")):
        monkeypatch.setenv(name, KEYS[shop])
    async with a_market(tmp_path, profiles=("standard", "smmxz"), shops=SHOPS) as market:
        owned = Owned(market)
        await owned.prepare()
        yield owned


async def test_each_shop_has_its_own_and_nothing_of_another(owned: Owned) -> None:
    before = [len(panel.journal) for panel in owned.market.panels.values()]
    for shop in KEYS:
        for order in owned.orders[shop]:
            assert "charge" in await owned.ask(shop, "status", order=order)
        for refill in owned.refills[shop]:
            assert "status" in await owned.ask(shop, "refill_status", refill=refill)
        mine = {*owned.orders[shop], *owned.refills[shop]}
        others = _others(owned.orders, shop, mine)
        assert others
        joined = ",".join(others)
        rows = await owned.ask(shop, "status", orders=joined)
        assert list(rows.values()) == [{"error": NO_ORDER}] * len(others)
        for action in ("refill", "cancel"):
            rows = await owned.ask(shop, action, orders=joined)
            assert [row[action] for row in rows] == [{"error": NO_ORDER}] * len(others)
        others = _others(owned.refills, shop, mine)
        assert others
        rows = await owned.ask(shop, "refill_status", refills=",".join(others))
        assert [row["status"] for row in rows] == [{"error": NO_REFILL}] * len(others)
        for order in others:
            assert await owned.ask(shop, "refill_status", refill=order) == {"error": NO_REFILL}
    for panel, count in zip(owned.market.panels.values(), before, strict=True):
        later = panel.journal.requests()[count:]
        assert not [e for e in later if e.action in ("add", "refill", "cancel")]


def _others(ids: dict[str, list[str]], shop: str, mine: set[str]) -> list[str]:
    """All that others have, but for what is also the name of something of the shop's own."""
    given = {one for other, some in ids.items() if other != shop for one in some}
    return sorted(given - mine)


async def test_an_order_of_nobody_is_for_every_shop_of_its_panel(owned: Owned) -> None:
    panel = owned.market.panels["smmxz"]
    (old,) = panel.world.seed_orders(1, panel.now(), services=[1], age=60)
    for shop in ("one", "two"):
        assert "charge" in await owned.ask(shop, "status", order=old)
    for shop in ("main", "main2"):
        assert await owned.ask(shop, "status", order=old) == {"error": NO_ORDER}


async def test_the_same_order_of_two_shops_is_two_orders(owned: Owned) -> None:
    order = {"service": 1, "link": "https://example.com/same", "quantity": 100}
    placed = [(await owned.ask(shop, "add", **order))["order"] for shop in ("one", "two")]
    assert placed[0] != placed[1]
    again = [(await owned.ask(shop, "add", **order))["order"] for shop in ("one", "two")]
    assert again == placed


async def test_a_shop_that_was_renamed_goes_on(owned: Owned) -> None:
    market = owned.market
    market.path.write_text(market.path.read_text().replace('name = "one"', 'name = "renamed"'))
    assert {shop.name for shop in market.load().shops} >= {"renamed"}
    await market.daemon.reload()
    (order,) = owned.orders["one"]
    assert "charge" in await owned.ask("one", "status", order=order)
    (other,) = owned.orders["two"]
    assert await owned.ask("one", "status", order=other) == {"error": NO_ORDER}

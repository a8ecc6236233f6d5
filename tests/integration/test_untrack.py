"""Orders that the daemon is to forget: by the API, on the page, by the command."""

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner

from tests.integration.cli_daemon import CannedDaemon, order_view
from tests.support.house import REFILL_ONCE, SELDOM, House, a_house
from watcher.cli import app
from watcher.errors import Conflict, NotFound
from watcher.simulator import Fate

DONE = Fate(pending=30.0, per_minute=1000.0)
HOUR = 3600.0


def path_of(order: str) -> str:
    return f"/v1/orders/standard/{order}"


async def status_of(house: House, method: str, path: str) -> int:
    url = f"http://127.0.0.1:{house.daemon.port}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url) as answer:
        return answer.status


async def test_an_untracked_order_is_gone_for_good(tmp_path: Path):
    async with a_house(tmp_path, defaults=SELDOM) as house:
        await house.track(["999999", "888888"])
        await house.run(HOUR)
        assert (await house.call("DELETE", path_of("999999")))["order"] == "999999"
        assert await status_of(house, "GET", path_of("999999")) == 404
        assert await status_of(house, "DELETE", path_of("999999")) == 404
        assert house.daemon.watchlist.counts["standard", "unknown"] == 1
        asked = len(house.panel.journal.requests("status"))
        await house.run(24 * HOUR)
        await house.restart()
        await house.run(24 * HOUR)
        later = house.panel.journal.requests("status")[asked:]
        assert later
        assert not any("999999" in str(request) for request in later)
        listed = await house.call("GET", "/v1/orders")
        assert [order["order"] for order in listed["orders"]] == ["888888"]


async def test_an_untracked_order_can_be_tracked_anew(tmp_path: Path):
    async with a_house(tmp_path, rules=REFILL_ONCE, defaults=SELDOM) as house:
        (order,) = await house.place(1, quantity=1000, services=[1], fate=DONE)
        await house.run(26 * HOUR)
        acted = house.panel.journal.sent("refill")
        assert acted == {int(order): 1}
        await house.call("DELETE", path_of(order))
        actions = await house.call("GET", "/v1/actions")
        assert [action["order"] for action in actions["actions"]] == [order]
        assert (await house.track([order], service="1"))["tracked"] == 1
        await house.run(HOUR)
        assert house.order(order).status == "completed"


async def test_an_order_with_an_unsettled_action_stays(tmp_path: Path):
    async with a_house(tmp_path) as house:
        (order,) = await house.place(1, quantity=1000, services=[1], fate=DONE)
        await house.run(HOUR)
        await house.call("POST", f"{path_of(order)}/refill")
        with pytest.raises(Conflict):
            await house.daemon.commands.untrack("standard", order)
        assert await status_of(house, "DELETE", path_of(order)) == 409
        assert house.order(order).id == order
        await house.run(HOUR)
        assert house.panel.journal.sent("refill") == {int(order): 1}


async def test_an_order_is_untracked_while_it_is_asked_about(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(3, quantity=100_000, services=[1], fate=Fate(per_minute=10.0))
        house.daemon.watchlist.panel("standard").take(100, house.clock() + 1e6)  # all are under way
        await house.call("DELETE", path_of(ids[1]))
        house.daemon.watchlist.panel("standard").put_back(ids)
        await house.run(HOUR)
        assert house.daemon.watchlist.order("standard", ids[1]) is None
        assert [house.order(i).status for i in (ids[0], ids[2])] == ["in_progress"] * 2
        with pytest.raises(NotFound):
            await house.daemon.commands.order("standard", ids[1])


async def test_the_page_untracks(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.track(["999999"])
        await house.run(60.0)
        url = f"http://127.0.0.1:{house.daemon.port}"
        async with aiohttp.ClientSession(url, headers={"Sec-Fetch-Site": "same-origin"}) as session:
            async with session.get("/orders/standard/999999?do=untrack") as page:
                assert 'action="/orders/standard/999999/untrack"' in await page.text()
            path = "/orders/standard/999999/untrack"
            async with session.post(path, data={"x": "y"}, allow_redirects=False) as answer:
                assert answer.status == 303
                assert answer.headers["Location"] == "/orders?panel=standard"
        assert await status_of(house, "GET", path_of("999999")) == 404


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        yield canned


def test_the_command_untracks_each(daemon: CannedDaemon) -> None:
    daemon.put("DELETE /v1/orders/genie/1", order_view("1"))
    daemon.refuse("DELETE /v1/orders/genie/2", 409, "conflict", "order 2 can't be untracked now")
    env = {"WATCHER_URL": daemon.url, "WATCHER_TOKEN": None}
    result = CliRunner().invoke(app, ("untrack", "genie", "1", "2"), env=env)
    assert (result.exit_code, result.stdout) == (1, "1: untracked\n")
    assert result.stderr == "2: order 2 can't be untracked now\n"

"""`GET /v1/changes`: what changed, in order, from wherever a program has got to."""

import asyncio
import csv
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.integration.test_events import STEADY
from tests.support.house import House, a_house
from tests.support.shops import a_market
from tests.unit.store_kit import moved, opened, tracked
from watcher.model import Observation, Status
from watcher.orders.lifecycle import observe

pytestmark = pytest.mark.engines("sqlite", "postgresql")

DAY = 86400.0


async def fetch(house: House, after: str | None = None, **query: Any) -> Any:
    params = {name: str(v) for name, v in query.items()} | ({"after": after} if after else {})
    return await house.call("GET", "/v1/changes", params=params)


async def everything(house: House, after: str | None = None, **query: Any) -> list[Any]:
    found = []
    while True:
        page = await fetch(house, after, **query)
        found += page["changes"]
        after = page["cursor"]
        if not page["more"]:
            return found


async def test_each_change_comes_once_in_order_with_the_order_as_it_is(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        ids = await house.place(5, fate=STEADY, quantity=100)
        await house.call("PATCH", f"/v1/orders/standard/{ids[0]}", json={"reference": "1042"})
        await house.run(1200.0)
        found = await everything(house, limit=3)
        for order in ids:
            detail = await house.call("GET", f"/v1/orders/standard/{order}")
            own = [change for change in found if change["order"] == order]
            assert [c["changes"] for c in own] == [h["changes"] for h in detail["history"]]
            assert [c["at"] for c in own] == [h["at"] for h in detail["history"]]
            assert all(c["state"]["status"] == "completed" for c in own)
        assert found[0]["reference"] == found[0]["state"]["reference"] == "1042"
        assert len({str(c) for c in found}) == len(found)


async def test_memory_that_lags_behind_the_database_does_not_show(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        (order,) = await house.place(1, fate=STEADY, quantity=100)
        await house.run(60.0)
        before = await fetch(house)
        memory, now = house.order(order), house.clock()
        closed = observe(memory, Observation(status=Status.CANCELED), now)
        assert closed is not None
        await house.daemon.store.changes.record([closed], (), (), now=now)
        (change,) = (await fetch(house, before["cursor"]))["changes"]
        assert house.order(order) == memory
        listed = (await house.call("GET", "/v1/orders"))["orders"]
        detail = await house.call("GET", f"/v1/orders/standard/{order}")
        assert [change["state"]] == listed == [detail["state"]]
        assert (listed[0]["phase"], listed[0]["next_check_at"]) == ("closed", None)
        assert detail["next_check"] is None


async def test_a_check_shows_the_whole_order(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        (order,) = house.panel.world.seed_orders(1, house.panel.now(), fate=STEADY)
        await house.track([order], link="https://example.com/p/1")
        path = f"/v1/orders/standard/{order}"
        check = (await house.call("POST", f"{path}/check", params={"wait": "0"}))["check"]
        detail = await house.call("GET", path)
        assert check["state"] == detail["state"]
        assert check["state"]["link"] == "https://example.com/p/1"


async def test_a_cursor_goes_on_after_restarts_and_filters_leave_others_out(tmp_path: Path) -> None:
    async with a_house(tmp_path, profiles=("standard", "smmxz")) as house:
        one, two = await house.place(2, fate=STEADY, quantity=100)
        await house.run(60.0)
        await house.call("PATCH", f"/v1/orders/standard/{two}", json={"tags": ["vip"]})
        first = await fetch(house)
        before = len(first["changes"])
        assert before >= 3
        await house.restart()
        assert (await fetch(house, first["cursor"]))["changes"] == []
        await house.run(1200.0)
        later = await everything(house, first["cursor"])
        assert {c["order"] for c in later} == {one, two}
        assert before + len(later) == len(await everything(house))
        tagged = await everything(house, tag="vip", limit=1)
        assert {c["order"] for c in tagged} == {two}
        assert await everything(house, panel="smmxz") == []
        assert len(await everything(house, panel="standard")) == before + len(later)
        assert await everything(house, "now") == []


async def test_a_request_waits_for_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_market(tmp_path) as market, aiohttp.ClientSession() as session:
        base = market.base

        async def changes(**query: str) -> Any:
            async with session.get(f"{base}/v1/changes", params=query) as answer:
                assert answer.status == 200
                return await answer.json()

        now = (await changes(after="now"))["cursor"]
        waiting = asyncio.create_task(changes(after=now, wait="30"))
        other = asyncio.create_task(changes(after=now, wait="1", tag="nobody's"))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        order = await market.ask("add", service=1, link="https://example.com/a", quantity=100)
        found = await asyncio.wait_for(waiting, 20.0)
        assert found["changes"][0]["order"] == str(order["order"])
        nothing = await asyncio.wait_for(other, 20.0)
        assert nothing["changes"] == []
        asked = asyncio.Event()
        next_change = market.daemon.commands.next_change

        async def waits(*given: Any) -> bool:
            asked.set()
            return await next_change(*given)

        monkeypatch.setattr(market.daemon.commands, "next_change", waits)
        waiting = asyncio.create_task(changes(after=found["cursor"], wait="60", tag="x"))
        await asked.wait()
        await market.restart()  # a request that waits doesn't hold it up
        assert (await asyncio.wait_for(waiting, 30.0))["changes"] == []


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ({"after": "12"}, 400, "no cursor of `GET /v1/changes`"),
        ({"after": "c1AAAAAAAA"}, 400, "no cursor of `GET /v1/changes`"),
        ({"after": ""}, 400, "after: it is empty"),
        ({"wait": "61"}, 400, "wait: from 0 to 60 seconds"),
        ({"wait": "-1"}, 400, "wait: a number is wanted"),
        ({"limit": "1001"}, 400, "limit: from 1 to 1000"),
        ({"panel": "standart"}, 404, "did you mean 'standard'"),
        ({"tag": ""}, 400, "tag: it is empty"),
    ],
)
async def test_bad_requests_get_one_sentence(
    tmp_path: Path, query: dict[str, str], status: int, sentence: str
) -> None:
    async with a_house(tmp_path) as house:
        answer = await house.call("GET", "/v1/changes", params=query, status=status)
        assert sentence in answer["error"]["message"]
        assert "\n" not in answer["error"]["message"]


async def test_ids_are_not_given_again_when_the_newest_changes_were_archived(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        await store.feed.begin()
        orders = await tracked(store, 2)
        await store.changes.record([moved(orders[0], remains=5)], now=5.0)
        read = await store.feed.page(await store.feed.resume(None))
        assert read is not None
        seen = read.cursor.text()
    async with opened(tmp_path) as store:
        await store.feed.begin()
        (changed,) = await store.orders.by_id("p", ["2"])
        await store.changes.record([moved(changed, status=Status.CANCELED)], now=6.0)
        newest = (await store.feed.newest()).id
        retired = await store.archive.retired([changed.key], 100.0)
        in_step = await store.feed.page(await store.feed.resume(seen))
        assert in_step is not None
        assert await store.archive.remove(retired, 100.0, now=100.0) == 1
        assert await store.feed.page(await store.feed.resume(seen)) is None  # it missed one
        assert await store.feed.page(await store.feed.resume(None)) is not None
    async with opened(tmp_path) as store:
        await store.feed.begin()
        assert (await store.feed.newest()).id == newest
        (other,) = await store.orders.by_id("p", ["1"])
        await store.changes.record([moved(other, remains=3)], now=7.0)
        page = await store.feed.page(await store.feed.resume(in_step.cursor.text()))
        assert page is not None
        assert [change.id for change in page.changes] == [newest + 1]
        await store.archive.untrack(other.key)
        last = (await store.feed.newest()).id
    async with opened(tmp_path) as store:
        assert (await store.feed.newest()).id == last
        again = await store.feed.page(await store.feed.resume(page.cursor.text()))
        assert again is not None
        assert again.changes == []
        assert again.cursor.id == last  # else a request that waits would look again and again


async def test_the_file_for_spreadsheets_is_what_export_writes(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        one, _ = await house.place(2, quantity=100)
        note = '=HYPERLINK("http://example.com")\nsecond'
        change = {"tags": ["vip", "may"], "reference": "1042", "note": note}
        await house.call("PATCH", f"/v1/orders/standard/{one}", json=change)
        url = f"http://127.0.0.1:{house.daemon.port}/v1/orders.csv"
        async with aiohttp.ClientSession() as session:
            async with session.get(url, params={"tag": "vip"}) as answer:
                assert answer.status == 200
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                rows = list(csv.DictReader((await answer.text()).splitlines()))
            async with session.get(url) as answer:
                assert len((await answer.text()).splitlines()) == 3
            for bad in ({"status": "odd"}, {"tag": ""}, {"since": "yesterday"}, {"key": ""}):
                async with session.get(url, params=bad) as answer:
                    assert answer.status == 400
    (row,) = rows
    assert (row["order"], row["reference"], row["tags"]) == (one, "1042", "vip, may")
    assert row["note"] == '\'=HYPERLINK("http://example.com") second'


async def test_a_key_in_the_query_is_shown_to_nobody(tmp_path: Path) -> None:
    """Nor does the token open the file there: what stands in a URL is kept by others."""
    token = "token-of-the-tests-0123456789"
    (tmp_path / "token").write_text(token)
    (tmp_path / "token").chmod(0o600)
    with capture_logs() as logs:
        async with a_house(tmp_path, daemon='token_file = "token"') as house:
            url = f"http://127.0.0.1:{house.daemon.port}/v1/orders.csv"
            async with aiohttp.ClientSession() as session:
                async with session.get(url, params={"key": token}) as answer:
                    assert answer.status == 403
                    assert token not in await answer.text()
                    assert token not in str(answer.headers)
                header = {"Authorization": f"Bearer {token}"}
                async with session.get(url, headers=header) as answer:
                    assert answer.status == 200
                    await answer.read()
    assert token not in str(logs)

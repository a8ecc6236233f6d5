"""A start with many orders: the daemon works while they are still being loaded."""

import asyncio
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from benchmarks.house import make_database, mixed_orders
from tests.support.house import KEY, House, a_house
from tests.support.process import DaemonProcess
from watcher.errors import StoreCorrupt
from watcher.model import Status
from watcher.panels.profiles import shipped
from watcher.simulator import Fate, SimulatedPanel
from watcher.store import orders as orders_module

PART = 2
QUICK = Fate(pending=60.0, per_minute=100.0)
RULES = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed'"
"""


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "_PART", PART)


def in_watchlist(house: House) -> list[str]:
    return sorted(order.id for order in house.daemon.watchlist.orders())


async def readiness(house: House) -> tuple[int, str]:
    url = f"http://127.0.0.1:{house.daemon.port}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def load_all(house: House) -> None:
    while "load" in house.schedule.tasks:
        await house.schedule.run_task("load")


async def test_the_first_orders_are_checked_while_the_others_are_loaded(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(9, quantity=1000, fate=QUICK)
        await house.restart()
        assert in_watchlist(house) == ids[:PART]
        status, text = await readiness(house)
        assert (status, text) == (503, "orders are still being loaded: 2 so far\n")
        await house.schedule.run_task("poll:standard")
        assert {str(order) for order in house.panel.journal.sent("status")} == set(ids[:PART])
        await load_all(house)
        assert in_watchlist(house) == ids
        assert await readiness(house) == (200, "ok\n")
        await house.run(3600.0)
        assert {house.order(order).status for order in ids} == {Status.COMPLETED}


async def test_who_was_asked_about_lately_is_asked_about_while_the_others_are_loaded(
    tmp_path: Path,
):
    async with a_house(tmp_path) as house:
        ids = await house.place(9, quantity=1000, fate=QUICK)
        await house.run(60.0)
        await house.restart()
        assert in_watchlist(house) == ids[:PART]
        assert asked_at(house, ids[0]) >= house.clock() - 60.0
        house.panel.journal.clear()
        house.clock.advance(60.0)
        await house.schedule.run_task("poll:standard")
        assert {str(order) for order in house.panel.journal.sent("status")} == set(ids[:PART])


async def test_rules_see_every_order_once_all_are_there(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=100, fate=QUICK, services=[1])
        await house.run(3600.0)
        house.path.write_text(house.path.read_text() + RULES)
        await house.restart()
        assert "review" not in house.schedule.tasks
        await load_all(house)
        await house.schedule.run_task("review")
        await house.schedule.run_task("actions:standard")
        assert {str(order) for order in house.panel.journal.sent("refill")} == set(ids)


async def test_an_order_that_comes_meanwhile_is_there_once(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=1000, fate=QUICK)
        await house.restart()
        (new,) = (str(n) for n in house.panel.world.seed_orders(1, house.panel.now(), fate=QUICK))
        told = await house.track([ids[-1], new])
        assert (told["tracked"], told["known"]) == (1, 1)
        await load_all(house)
        assert in_watchlist(house) == sorted([*ids, new])
        assert sum(house.daemon.watchlist.counts.values()) == len(ids) + 1


async def test_what_is_done_to_an_order_before_it_is_loaded_is_not_lost(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=100, fate=QUICK, services=[1])
        await house.run(3600.0)
        await house.restart()
        last = ids[-1]
        assert house.daemon.watchlist.order("standard", last) is None
        await house.call("POST", f"/v1/orders/standard/{last}/refill")
        await house.schedule.run_task("actions:standard")
        await load_all(house)
        assert house.order(last).refills == 1
        assert [house.order(order).refills for order in ids[:-1]] == [0] * 4


async def test_when_the_others_were_asked_about_is_not_lost(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=1000, fate=QUICK)
        await house.run(300.0)
        asked = {order: asked_at(house, order) for order in ids}
        await house.restart()
        await house.schedule.run_task("asked")
        await house.restart()
        await load_all(house)
        assert {order: asked_at(house, order) for order in ids} == asked


async def test_it_is_written_when_orders_were_asked_about_once_the_clock_was_set_back(
    tmp_path: Path,
):
    async with a_house(tmp_path) as house:
        await house.place(1, quantity=1000, fate=QUICK)
        await house.run(300.0)
        house.schedule.set_clock(-86400.0)
        (order,) = await house.place(1, quantity=1000, fate=QUICK)
        await house.run(3600.0)
        before = asked_at(house, order)
        await house.restart()
        assert asked_at(house, order) == before


def asked_at(house: House, order: str) -> int:
    entry = house.daemon.watchlist.entry("standard", order)
    assert entry is not None
    assert entry.checked_at is not None
    return int(entry.checked_at)


async def test_a_count_waits_for_its_order(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=1000, fate=QUICK)
        await house.run(600.0)
        await house.restart()
        path = f"/v1/orders/standard/{ids[-1]}/count"
        refused = await house.call("PUT", path, json={"count": 7}, status=503)
        assert refused["error"]["code"] == "not_yet"
        await load_all(house)
        await house.call("PUT", path, json={"count": 7})
        assert house.order(ids[-1]).count == 7


async def test_a_reload_waits_until_all_are_there(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=1000, fate=QUICK)
        await house.restart()
        house.path.write_text(house.path.read_text().replace("[defaults]", "[defaults]\nbatch = 3"))
        reload = asyncio.create_task(house.daemon.reload())
        await asyncio.sleep(0.05)
        assert not reload.done()
        await load_all(house)
        await reload
        assert house.daemon.panel_workers["standard"].gateway.client.limit("status") == 3
        assert in_watchlist(house) == ids


async def test_a_clock_that_is_set_back_meanwhile_waits_too(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=1000, fate=QUICK)
        await house.restart()
        house.schedule.set_clock(-86400.0)
        await house.schedule.run_task("start_over")
        assert in_watchlist(house) == ids[:PART]
        await load_all(house)
        await house.schedule.run_task("start_over")
        assert in_watchlist(house) == ids
        assert "start_over" not in house.schedule.tasks


async def test_a_damaged_database_ends_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with a_house(tmp_path) as house:
        await house.place(5, quantity=1000, fate=QUICK)
        await house.restart()

        async def damaged(*_: object, **__: object) -> None:
            raise StoreCorrupt("a page is damaged")

        monkeypatch.setattr(house.daemon.store.orders, "load", damaged)
        with pytest.raises(StoreCorrupt):
            await house.schedule.run_task("load")
        with pytest.raises(StoreCorrupt, match="a page is damaged"):
            await asyncio.wait_for(house.daemon._stop.wait(), 1.0)


def spoil(database: Path, text: bytes) -> None:
    """Make the pages unreadable that hold this text, those of an index among them."""
    with closing(sqlite3.connect(database)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    whole = bytearray(database.read_bytes())
    for found in re.finditer(re.escape(text), bytes(whole)):
        begin = found.start() // size * size
        whole[begin : begin + 8] = b"\xff" * 8
    database.write_bytes(whole)


@pytest.mark.parametrize(("order", "has_started"), [(5_000, False), (30_000, True)])
async def test_damage_that_loading_meets_ends_the_process_with_what_to_do(
    tmp_path: Path, order: int, has_started: bool
):
    panel = SimulatedPanel(shipped()["standard"], key=KEY)
    await panel.start()
    daemon = DaemonProcess(tmp_path, {"panel1": panel})
    now = time.time()
    rows = mixed_orders(1, 40_000, now)
    await asyncio.to_thread(make_database, daemon.database, panels=1, rows=rows, now=now)
    spoil(daemon.database, b"igshid=%07d" % order)
    try:
        await daemon.start(ready=False)
        assert await daemon.wait() == 1
    finally:
        await daemon.stop()
        await panel.stop()
    told = daemon.text()
    assert ('"event": "daemon.started"' in told) is has_started
    assert "Unclosed" not in told
    assert "is damaged" in told
    assert "There is no good backup in" in told.splitlines()[-1]

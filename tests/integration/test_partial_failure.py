"""One bad id, row or answer spoils only itself; a panel that is down is left alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import log2
from pathlib import Path
from typing import Any

import pytest

from tests.support.house import House, a_house
from watcher.errors import Refused
from watcher.model import Status
from watcher.panels.breaker import FAILURES, BreakerState
from watcher.simulator import Fate, Trait

HOUR = 3600.0
QUICK = Fate(pending=60.0, per_minute=100.0, start_count=500)
SLOW = Fate(pending=100 * HOUR)
FAST = "requests_per_minute = 600\nbalance_every = '1h'"
BAD = "999999999"


def polls(house: House) -> int:
    return len(house.panel.journal.requests("status"))


@contextmanager
def poisoned(house: House, bad: str, trait: Trait) -> Iterator[None]:
    """The panel answers with nonsense whenever it is asked for this order."""
    client: Any = house.daemon.panel_workers["standard"].gateway.client
    plain = client.changed_statuses

    async def news(ids: list[str], marks: list[int]) -> Any:
        if bad in ids:
            house.panel.switches.on(trait, action="status", times=1)
        return await plain(ids, marks)

    client.changed_statuses = news
    try:
        yield
    finally:
        client.changed_statuses = plain


@pytest.mark.parametrize("where", [0, 37, 99])
async def test_a_refused_batch_is_split_in_few_requests(tmp_path: Path, where: int):
    traits = [Trait.BAD_ID_FAILS_BATCH]
    async with a_house(tmp_path, traits=traits, defaults=FAST) as house:
        ids = [str(n) for n in house.panel.world.seed_orders(99, house.clock(), fate=SLOW)]
        ids.insert(where, BAD)
        await house.track(ids)
        await house.run(5.0)
        assert polls(house) - 1 <= 2 * log2(100)
        good = {house.order(order).status for order in ids if order != BAD}
        assert good == {Status.PENDING}
        listed = (await house.call("GET", "/v1/orders?problem=true"))["orders"]
        assert [(row["order"], row["problem"]) for row in listed] == [(BAD, "Incorrect order ID")]
        before = polls(house)
        await house.run(70.0)
        with_bad = [
            entry.ids
            for entry in house.panel.journal.requests("status")[before:]
            if BAD in str(entry.parameters)
        ]
        assert with_bad == [1], "asked about again, alone"


@pytest.mark.parametrize("trait", [Trait.HTML_200, Trait.HTML_503, Trait.CLOSE_BEFORE])
@pytest.mark.parametrize("count", [100, 250])
async def test_an_order_that_makes_the_panel_answer_nonsense_is_found(
    tmp_path: Path, trait: Trait, count: int
):
    async with a_house(tmp_path, defaults=FAST) as house:
        with poisoned(house, BAD, trait):
            await house.track([BAD])
            ids = await house.place(count - 1, fate=QUICK, quantity=1000)
            await house.run(HOUR)
            assert {house.order(order).status for order in ids} == {Status.COMPLETED}
            assert house.order(BAD).problem
            assert house.daemon.watchlist.entry("standard", BAD).alone
        await house.run(7 * HOUR)
        assert house.order(BAD).problem == "Incorrect order ID"


async def test_a_panel_that_is_down_condemns_nobody(tmp_path: Path):
    async with a_house(tmp_path, defaults=FAST) as house:
        ids = await house.place(450, fate=QUICK, quantity=1000)
        house.panel.switches.on(Trait.HTML_503)
        await house.run(HOUR)
        assert polls(house) < 40, "it is left alone"
        line = house.daemon.panel_workers["standard"].gateway
        assert line.breaker.state is BreakerState.OPEN
        shown = (await house.call("GET", "/v1/panels"))["panels"][0]
        assert shown["breaker"] == "open"
        assert shown["paused_until"] is not None
        assert house.daemon.daemon_status.state().panels[0].backoff_until > house.clock()
        house.panel.switches.off()
        await house.run(HOUR)
        assert {house.order(order).problem for order in ids} == {None}
        assert {house.order(order).status for order in ids} == {Status.COMPLETED}
        assert line.breaker.state is BreakerState.CLOSED


async def test_a_panel_that_refuses_everything_is_left_alone_and_comes_back(tmp_path: Path):
    async with a_house(tmp_path, defaults=FAST) as house:
        ids = await house.place(450, fate=SLOW)
        client: Any = house.daemon.panel_workers["standard"].gateway.client
        plain = client.changed_statuses

        async def maintenance(asked: list[str], marks: list[int]) -> Any:
            await plain(asked, marks)
            raise Refused("We are moving, come back later")

        client.changed_statuses = maintenance
        await house.run(HOUR)
        assert polls(house) < 800
        client.changed_statuses = plain
        await house.run(2 * HOUR)
        assert {house.order(order).problem for order in ids} == {None}
        before = polls(house)
        await house.run(HOUR)
        assert polls(house) - before < 60, "asked about in batches, not one by one"


async def test_while_the_breaker_is_open_actions_stay_planned(tmp_path: Path):
    async with a_house(tmp_path, defaults=FAST) as house:
        (order,) = await house.place(1, quantity=100, services=[1], fate=QUICK)
        await house.run(HOUR)
        line = house.daemon.panel_workers["standard"].gateway
        for _ in range(FAILURES):
            line.breaker.failed(house.clock())
        await house.call("POST", f"/v1/orders/standard/{order}/refill")
        await house.run(4.0)
        assert not house.panel.journal.requests("refill")
        assert (await house.call("GET", "/v1/actions"))["actions"][0]["state"] == "planned"
        await house.run(120.0)
        assert (await house.call("GET", "/v1/actions"))["actions"][0]["state"] == "accepted"
        assert house.panel.journal.carried_out("refill") == {int(order): 1}


async def test_a_panel_that_goes_down_leaves_few_actions_unresolved(tmp_path: Path):
    async with a_house(tmp_path, defaults=FAST + "\nlacks = ['multi_refill']") as house:
        ids = await house.place(20, quantity=100, services=[1], fate=QUICK)
        await house.run(HOUR)
        house.panel.switches.on(Trait.HTML_504_AFTER)
        for order in ids:
            await house.call("POST", f"/v1/orders/standard/{order}/refill")
        await house.run(600.0)
        actions = (await house.call("GET", "/v1/actions"))["actions"]
        assert sum(action["state"] == "unresolved" for action in actions) <= 8
        house.panel.switches.off()
        await house.run(HOUR)
        assert set(house.panel.journal.sent("refill").values()) == {1}


async def test_a_wrong_key_is_tried_once_in_two_minutes(tmp_path: Path):
    async with a_house(tmp_path, defaults=FAST) as house:
        await house.place(5, fate=SLOW)
        house.panel.change_key("another")
        await house.run(2 * HOUR)
        assert polls(house) <= 30


@pytest.mark.parametrize("damage", ["status = 'canceled'", "phase = 'closed'"])
async def test_a_row_that_cant_be_recorded_spoils_no_other(tmp_path: Path, damage: str):
    async with a_house(tmp_path, defaults=FAST) as house:
        ids = await house.place(60, fate=QUICK, quantity=1000)
        await house.run(30.0)
        await sql(house, f"UPDATE order_states SET {damage} WHERE key = 7")
        await house.run(HOUR)
        done = [order for order in ids if house.order(order).status is Status.COMPLETED]
        assert len(done) == 59
        (bad,) = set(ids) - set(done)
        entry = house.daemon.watchlist.entry("standard", bad)
        assert entry is not None
        assert entry.failures, "set aside, asked about less and less"


async def test_a_value_that_the_database_refuses_spoils_no_other(tmp_path: Path):
    async with a_house(tmp_path, defaults=FAST) as house:
        ids = await house.place(60, fate=QUICK, quantity=1000)
        await sql(
            house,
            "CREATE TRIGGER picky BEFORE UPDATE ON order_states WHEN new.key = 7 AND "
            "new.problem IS NULL BEGIN SELECT raise(ABORT, 'no such value'); END",
        )
        await house.run(HOUR)
        listed = (await house.call("GET", "/v1/orders?problem=true"))["orders"]
        (bad,) = [row["order"] for row in listed]
        assert "can't be recorded" in listed[0]["problem"]
        others = {house.order(order).status for order in ids if order != bad}
        assert others == {Status.COMPLETED}
        await sql(house, "DROP TRIGGER picky")
        await house.run(7 * HOUR)
        assert house.order(bad).status is Status.COMPLETED
        assert house.order(bad).problem is None


async def test_an_order_that_cant_be_closed_spoils_no_other(tmp_path: Path):
    async with a_house(tmp_path, defaults=FAST + "\nguard_for = '2d'") as house:
        ids = await house.place(20, fate=QUICK, quantity=100)
        await house.run(HOUR)
        await sql(house, "UPDATE order_states SET phase = 'closed' WHERE key = 7")
        await house.run(49 * HOUR)
        left = [order for order in ids if house.daemon.watchlist.entry("standard", order)]
        assert len(left) == 1
        entry = house.daemon.watchlist.entry("standard", left[0])
        assert entry is not None
        assert entry.look is not None
        assert entry.look > house.clock(), "looked at again, later"


async def sql(house: House, statement: str) -> None:
    database: Any = house.daemon.store._db

    def work(connection: Any) -> None:
        connection.exec_driver_sql(statement)

    await database.write("test", work)


async def test_one_bad_answer_does_not_part_refills_for_good(tmp_path: Path):
    slow = Fate(pending=30.0, per_minute=1000.0, refill_takes=48 * HOUR)
    async with a_house(tmp_path) as house:
        ids = await house.place(3, quantity=100, services=[1], fate=slow)
        await house.run(HOUR)
        for order in ids:
            await house.call("POST", f"/v1/orders/standard/{order}/refill")
        house.panel.switches.on(Trait.HTML_200, action="refill_status", times=1)
        await house.run(20 * HOUR)
        sizes = [entry.ids for entry in house.panel.journal.requests("refill_status")]
        assert sizes[0] == 3
        assert 1 in sizes
        assert sizes[-1] == 3

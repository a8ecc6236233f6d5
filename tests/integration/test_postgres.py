"""The daemon on a database server that ends its sessions, is away, or comes back older."""

from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.house import a_house
from tests.support.postgres import databases
from watcher.errors import StoreError
from watcher.model import Status
from watcher.simulator import Fate

pytestmark = pytest.mark.engines("postgresql")

HOUR = 3600.0
QUICK = Fate(pending=60.0, per_minute=100.0, start_count=500)
REFILL = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed'"
every = "24h"
"""


async def test_sessions_that_end_at_any_time_cost_nothing(tmp_path: Path):
    async with a_house(tmp_path, rules=REFILL) as house:
        ids = await house.place(20, quantity=1000, fate=QUICK)
        for _ in range(6):
            databases().cut(tmp_path)
            await house.run(HOUR / 6)
        assert {house.order(order).status for order in ids} == {Status.COMPLETED}
        sent = house.panel.journal.sent("refill")
        assert sorted(sent) == sorted(map(int, ids)), "each once"
        shown = await house.call("GET", "/v1/actions")
        states = {action["state"] for action in shown["actions"]}
        assert states <= {"accepted", "rejected"}, "the panel's answer is on record for each"


async def test_a_database_that_lost_commits_is_told_of_and_nothing_is_sent(tmp_path: Path):
    async with a_house(tmp_path, rules=REFILL) as house:
        ids = await house.place(3, quantity=1000, fate=QUICK)
        await house.run(5.0)
        here = databases()
        here.server.sql(
            "UPDATE counters SET value = value - 1 WHERE name = 'commits'", here.name(tmp_path)
        )
        for _ in range(4):  # a task fails, and the others go on
            with suppress(StoreError):
                await house.run(HOUR / 4)
        await house.schedule.run_task("files")
        assert house.panel.journal.sent("refill") == {}
        (item,) = [
            one
            for one in (await house.call("GET", "/v1/attention"))["attention"]
            if one["kind"] == "database_lost"
        ]
        assert "has lost" in item["sentence"]
        await house.restart()
        await house.run(HOUR)
        assert len(house.panel.journal.sent("refill")) == len(ids)

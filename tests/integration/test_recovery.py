"""Backups, archive and restore in the whole daemon, and `watcher restore` at the terminal."""

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.support.house import House, a_house
from tests.support.series import series
from watcher.app import Daemon
from watcher.cli import app
from watcher.simulator import Fate

DAY = 86400.0
RULES = """
[[rules]]
name = "refill daily"
action = "refill"
when = "order.status == 'completed'"
"""
GUARD = 'guard_for = "1h"'
SUBMISSION = {"panel": "smmxz", "service": 1, "link": "https://example.com/p", "quantity": 500}


def restore(*arguments: object) -> Result:
    env = {"TEST_KEY": None, "STATE_DIRECTORY": None, "COLUMNS": None}
    return CliRunner().invoke(app, ("restore", *map(str, arguments)), env=env)


def backup_metric(house: House) -> float:
    name = "watcher_db_last_backup_timestamp_seconds"
    (value,) = (s.value for s in series(house.daemon.metrics) if s.name == name)
    return value


async def reload(house: House, key: str) -> None:
    """Take over a key of [daemon]."""
    house.path.write_text(house.path.read_text().replace("[daemon]\n", f"[daemon]\n{key}\n"))
    await house.daemon.reload()


async def a_long_time(house: House) -> None:
    """Until what is done has closed, and longer than it is retained."""
    await house.run(8 * 3600)
    await reload(house, 'retain_for = "1h"')
    await house.run(60)


async def test_a_backup_a_day_and_the_metric_survive_a_restart(tmp_path: Path):
    async with a_house(tmp_path) as house:
        began = house.clock()
        await house.run(DAY + 60)
        copies = sorted(path.name for path in (tmp_path / "backups").iterdir())
        assert len(copies) == 2
        assert backup_metric(house) == began + DAY
        await house.restart()
        await house.run(60)
        assert backup_metric(house) == began + DAY
        assert len(list((tmp_path / "backups").iterdir())) == 2


async def test_no_order_waits_longer_than_its_cap_whenever_the_daemon_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def lose(daemon: Daemon) -> None:
        """A killed daemon writes nothing at its end."""

    monkeypatch.setattr(Daemon, "_keep_last", lose)
    within = "check_within = '10m'\nidle_every = '1d'"
    async with a_house(tmp_path, defaults=within) as house:
        stuck = Fate(pending=1e9, per_minute=1.0)
        await house.place(300, quantity=100, fate=stuck)
        await house.run(900.0)
        for _ in range(3):
            asked = house.panel.journal.sent("status").total()
            await house.restart()
            await house.run(60.0)
            anew = house.panel.journal.sent("status").total() - asked
            assert anew <= 200, "a start is no reason to ask about all"
            await house.run(500.0)
        times: dict[str, list[float]] = {}
        for request in house.panel.journal.requests("status"):
            for order in request.parameters["orders"].split(","):
                times.setdefault(order, []).append(request.time)
        assert len(times) == 300
        waits = [b - a for one in times.values() for a, b in pairwise([*one, house.clock.now])]
        assert max(waits) <= 605.0


async def test_a_reload_changes_how_often(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.run(60)
        await reload(house, 'backup_every = "1h"')
        await house.run(3600 * 3)
        assert len(list((tmp_path / "backups").iterdir())) == 4


async def test_an_order_is_archived_when_it_closed_long_ago(tmp_path: Path):
    async with a_house(tmp_path, profiles=["smmxz"], defaults=GUARD) as house:
        (done,) = await house.place(1, quantity=500, fate=Fate(pending=0.0))
        (slow,) = await house.place(1, quantity=500, fate=Fate(pending=1e12))
        await a_long_time(house)
        listed = await house.call("GET", "/v1/orders")
        assert [order["order"] for order in listed["orders"]] == [slow]
        answer = await house.call("GET", f"/v1/orders/smmxz/{done}", status=404)
        (name,) = re.findall(r"archived in (orders-\S+\.jsonl\.gz)", answer["error"]["message"])
        assert (tmp_path / "archive" / name).exists()
        assert (await house.track([done]))["tracked"] == 1


async def test_a_repeated_submission_is_known_after_its_order_was_archived(tmp_path: Path):
    async with a_house(tmp_path, profiles=["smmxz"], defaults=GUARD) as house:
        headers = {"Idempotency-Key": "once"}
        asked = asyncio.create_task(
            house.call("POST", "/v1/submit", json=SUBMISSION, headers=headers)
        )
        while not asked.done():
            await house.run(1.0)
            await asyncio.sleep(0.01)
        first = await asked
        await a_long_time(house)
        await house.call("GET", f"/v1/orders/smmxz/{first['action']['order']}", status=404)
        again = await house.call("POST", "/v1/submit", json=SUBMISSION, headers=headers, status=201)
        assert again["action"] == first["action"]
        assert house.panel.journal.carried_out("add").total() == 1


async def test_after_a_restore_no_rule_acts_again_until_its_time_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with a_house(tmp_path, profiles=["smmxz"], rules=RULES) as house:
        orders = await house.place(3, services=[1], quantity=500, fate=Fate(pending=0.0))
        await house.daemon.store.backup(tmp_path / "copy.db")  # before any rule has acted
        await house.run(3600)
        assert house.panel.journal.sent("refill").total() == len(orders)
        refused = restore(tmp_path / "copy.db", "--config", house.path)
        assert refused.exit_code == 1
        assert "in use by another watcher" in refused.stderr
        await house.close()
        with monkeypatch.context() as patched, ThreadPoolExecutor() as pool:
            patched.setattr(time, "time", house.clock)
            command = pool.submit(restore, tmp_path / "copy.db", "--config", house.path)
            done = command.result()  # it runs a loop of its own
        assert done.exit_code == 0, done.stderr
        assert "1 rule may have acted since" in done.stdout
        assert "3 watched orders" in done.stdout
        await house.crashed()
        await house.run(DAY - 3600)
        assert house.panel.journal.sent("refill").total() == len(orders), "nothing was sent twice"
        await house.run(7200)
        assert house.panel.journal.sent("refill").total() > len(orders), "and it goes on later"


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (None, "No such file"),
        ("[daemon]\ndatabase = 1", "daemon.database"),
        ("[[rules]]\nname = 'x'", "rules[1].action: is missing"),
        ("[daemon", "Expected"),
    ],
)
def test_a_wrong_configuration_is_told(tmp_path: Path, config: str | None, problem: str):
    path = tmp_path / "c.toml"
    if config is not None:
        path.write_text(config)
    result = restore(tmp_path / "copy.db", "--config", path)
    assert result.exit_code == 1
    assert problem in result.stderr
    assert "Traceback" not in result.stderr


def test_a_backup_that_is_not_there_is_told(tmp_path: Path):
    (tmp_path / "c.toml").write_text("")
    result = restore(tmp_path / "copy.db", "--config", tmp_path / "c.toml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"{tmp_path / 'copy.db'}: there is no such file\n"

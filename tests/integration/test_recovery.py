"""Backups, archive and restore in the whole daemon, and `watcher restore` at the terminal."""

import asyncio
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from tests.support.house import KEY, House, a_house
from tests.support.series import series
from watcher.cli import app
from watcher.daemon.checkpoints import Checkpoints
from watcher.errors import StoreError
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
    return watcher("restore", *arguments)


def watcher(*arguments: object) -> Result:
    env = {"TEST_KEY": KEY, "STATE_DIRECTORY": None, "COLUMNS": None}
    return CliRunner().invoke(app, tuple(map(str, arguments)), env=env)


async def at_terminal(*arguments: object) -> Result:
    """The command, with a loop of its own."""
    with ThreadPoolExecutor() as pool:
        return await asyncio.wrap_future(pool.submit(watcher, *arguments))


def backup_metric(house: House) -> float:
    name = "watcher_db_last_backup_timestamp_seconds"
    (value,) = (s.value for s in series(house.daemon.metrics) if s.name == name)
    return value


async def reload(house: House, key: str) -> None:
    """Take over a key of [daemon]."""
    house.path.write_text(house.path.read_text().replace("[daemon]\n", f"[daemon]\n{key}\n"))
    await house.daemon.reload()


async def run_in_spite_of_it(house: House, seconds: float) -> None:
    """As the schedule does it: a task that fails runs again."""
    schedule, run_task = house.schedule, house.schedule.run_task

    async def run(name: str) -> None:
        try:
            await run_task(name)
        except StoreError:
            schedule.due[name] = schedule.clock() + 5.0

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(schedule, "run_task", run)
        await house.run(seconds)


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
    async def lose(checkpoints: Checkpoints) -> None:
        """A killed daemon writes nothing at its end."""

    monkeypatch.setattr(Checkpoints, "save_last", lose)
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
        await house.daemon.store.maintenance.backup(
            tmp_path / "copy.db"
        )  # before any rule has acted
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


@pytest.mark.parametrize("way", ["backup", "plain"])
def test_a_copy_in_the_databases_place_is_refused_with_the_command_that_mends_it(
    tmp_path: Path, way: str
):
    async def send_after_a_copy() -> Path:
        async with a_house(tmp_path, profiles=["smmxz"], rules=RULES) as house:
            await house.place(3, services=[1], quantity=500, fate=Fate(pending=0.0))
            if way == "backup":
                await house.daemon.store.maintenance.backup(tmp_path / "copy.db")
            else:
                await house.close()
                shutil.copyfile(tmp_path / "watcher.db", tmp_path / "copy.db")
                await house.crashed()
            await house.run(3600)
            assert house.panel.journal.sent("refill").total() == 3
            return house.path

    path = asyncio.run(send_after_a_copy())
    database = tmp_path / "watcher.db"
    shutil.copyfile(tmp_path / "copy.db", database)
    refused = watcher("run", "--config", path)
    assert refused.exit_code == 1
    assert "would be sent again" in refused.stderr
    remedy = f"restore {database}" if way == "backup" else "disown"
    assert refused.stderr.endswith(f". Run: watcher {remedy} --config {path}\n")
    mended = watcher(*remedy.split(), "--config", path)
    assert mended.exit_code == 0, mended.stderr
    assert "each counts as having acted now on each of 3 watched orders" in mended.stdout


async def test_nothing_is_sent_again_from_a_database_that_was_disowned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with a_house(tmp_path, profiles=["smmxz"], rules=RULES) as house:
        await house.place(3, services=[1], quantity=500, fate=Fate(pending=0.0))
        await house.close()
        snapshot = [
            (path, path.read_bytes()) for path in tmp_path.glob("watcher.db*")
        ]  # of the machine: with what lies beside the database
        await house.crashed()
        await house.run(3600)
        assert house.panel.journal.sent("refill").total() == 3
        await house.close()
        for path, content in snapshot:
            path.write_bytes(content)
        monkeypatch.setattr(time, "time", house.clock)
        done = await at_terminal("disown", "--config", house.path)
        assert done.exit_code == 0, done.stderr
        assert "1 rule may have acted since" in done.stdout
        await house.crashed()
        await house.run(DAY - 3600)
        assert house.panel.journal.sent("refill").total() == 3, "nothing was sent twice"
        await house.run(7200)
        assert house.panel.journal.sent("refill").total() > 3, "and it goes on later"


@pytest.mark.parametrize(
    ("end", "remedy"),
    [
        ("", "Put the file back, or stop the daemon, restore a backup and start it"),
        ("-wal", "Put the file back, or restart the daemon"),
        (".lock", "Put the file back, or restart the daemon"),
    ],
)
async def test_a_file_that_goes_from_under_the_daemon_is_told_and_nothing_is_sent(
    tmp_path: Path, end: str, remedy: str
):
    async with a_house(tmp_path, profiles=["smmxz"], rules=RULES) as house:
        (order,) = await house.place(1, services=[1], quantity=500, fate=Fate(pending=0.0))
        file = tmp_path / f"watcher.db{end}"
        file.rename(tmp_path / "away")
        with capture_logs() as logs:
            await run_in_spite_of_it(house, 3600)
        assert house.panel.journal.sent("refill").total() == 0
        lost = [entry for entry in logs if entry["event"] == "database.lost"]
        assert [entry["cause"] for entry in lost] == [
            f"{file} was removed while the daemon runs: nothing is written or sent. {remedy}"
        ]
        assert await house.metric("db_handle_ok") == 0
        assert any(f"{file} was removed" in problem for problem in await house.problems())
        answer = await house.call("GET", f"/v1/orders/smmxz/{order}", status=503)
        assert "was removed" in answer["error"]["message"]
        (tmp_path / "away").rename(file)
        await house.run(3600)
        assert house.panel.journal.sent("refill").total() == 1
        assert await house.metric("db_handle_ok") == 1
        assert await house.problems() == []


async def test_within_a_minute_of_which_file_is_gone_even_with_nothing_to_do(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.run(120)
        (tmp_path / "watcher.db").rename(tmp_path / "away")
        await run_in_spite_of_it(house, 60)
        assert await house.metric("db_handle_ok") == 0
        (tmp_path / "away").rename(tmp_path / "watcher.db")


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

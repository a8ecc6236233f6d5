"""The real daemon, killed at any moment and at chosen points: nothing lost, nothing twice."""

import asyncio
import contextlib
import random
import resource
import signal
from pathlib import Path

import pytest

from tests.acceptance.harness.fuse import Moment
from tests.acceptance.harness.watched import a_panel, watched
from tests.support.process import DaemonProcess
from tests.unit.store_kit import location
from watcher.simulator import Trait

pytestmark = pytest.mark.engines("sqlite", "postgresql")

MORTAL = "tests.acceptance.harness.mortal"
POINTS = (
    *(("claim", moment) for moment in Moment),
    *(("settle", moment) for moment in Moment),
    ("record", Moment.DURING),
    ("refill", Moment.AFTER),
    ("cancel", Moment.AFTER),
)


@pytest.mark.parametrize("seed", [1, 2])
async def test_at_any_moment(tmp_path: Path, seed: int):
    chance = random.Random(seed)
    async with watched(tmp_path, seed, 400, location(tmp_path)) as house:
        for _ in range(6):
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            await house.killed()
        await asyncio.sleep(2.0)
        await house.accepts(51)
    assert house.daemon.rows("SELECT count(*) FROM history")[0][0] > 800


async def test_at_chosen_points_of_its_work(tmp_path: Path):
    """Before, in and after the commits of `sending` and of outcomes; between answer and record."""
    chance, died = random.Random(3), 0
    async with watched(tmp_path, 3, 400, location(tmp_path)) as house:
        for operation, moment in POINTS:
            await house.track(40)
            await house.daemon.kill()
            passes = chance.choice([0, 0, 1, 3])
            with contextlib.suppress(AssertionError):  # it may end before it is ready
                await house.daemon.start(program=(MORTAL, operation, moment, str(passes)))
            died += await house.ends(6.0)
            await house.killed()
    assert died > len(POINTS) / 2, "most points are come to"


@pytest.mark.parametrize("action", ["refill", "cancel"])
async def test_between_a_request_and_its_answer(tmp_path: Path, action: str):
    async with watched(tmp_path, 4, 200, location(tmp_path)) as house:
        for panel in house.panels.values():
            panel.switches.on(Trait.STALL, action=action, times=1, amount=30.0)
        assert await house.arrives(action, 60.0)
        await house.killed()
        assert house.states()["unresolved"] >= 1, "nobody knows what became of it"


async def test_while_the_tables_of_a_new_database_are_made(tmp_path: Path):
    database = location(tmp_path, is_new=True)
    daemon = DaemonProcess(tmp_path, {"smmxz": a_panel("smmxz", 6)}, database=database)
    await daemon.start(ready=False, program=(MORTAL, "tables", Moment.DURING, "0"))
    assert await daemon.wait() == -signal.SIGKILL
    await daemon.start()
    assert await daemon.stop() == 0


async def test_no_file_handle_is_left(tmp_path: Path):
    """The system refuses every new connection; the daemon goes on when there are handles again."""
    async with watched(tmp_path, 5, 200, location(tmp_path)) as house:
        assert house.daemon.process is not None
        pid = house.daemon.process.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        open_now = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_now, hard))
        assert not await house.ends(2.0), house.daemon.text()[-300:]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert await house.arrives("status", 60.0)


async def test_sigterm_under_load_drains(tmp_path: Path):
    async with watched(tmp_path, 3, 500, location(tmp_path)) as house:
        await asyncio.sleep(2.0)
        began = asyncio.get_running_loop().time()
        house.daemon.send(signal.SIGTERM)
        assert await house.daemon.wait() == 0
        assert asyncio.get_running_loop().time() - began < 30.0
        assert "unresolved" not in house.states()
        assert house.daemon.events()[-1]["event"] == "daemon.stopped"

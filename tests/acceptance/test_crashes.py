"""The real daemon, killed at any moment and at chosen points: nothing lost, nothing twice."""

import asyncio
import contextlib
import json
import random
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tests.acceptance.harness.fuse import Moment
from tests.support.audit import left_sending, violations
from tests.support.house import KEY
from tests.support.moments import gone_since, remember
from tests.support.process import DaemonProcess
from watcher.panels.profiles import shipped
from watcher.simulator import Habits, SimulatedPanel, Trait, World
from watcher.simulator.catalog import PRICE_LIST

MORTAL = "tests.acceptance.harness.mortal"
RULES = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed' && order.finished_ago > duration('1s')"
every = "1h"
per_hour = 100000

[[rules]]
name = "cancel"
action = "cancel"
when = "order.status == 'in_progress' && order.idle > duration('2s')"
per_hour = 100000
"""
DEFAULTS = "requests_per_minute = 6000\ncheck_within = '2s'"
PANELS = ("smmxz", "smmgenie")
# Orders end one after the other for ten seconds, at the speed that the panels have.
HABITS = Habits(
    pending=(0.0, 600.0),
    processing=(0.0, 30.0),
    per_minute=(500.0, 5000.0),
    linger=(0.0, 30.0),
    stalled=0.2,
    cancel_takes=(60.0, 600.0),
)
POINTS = (
    *(("claim", moment) for moment in Moment),
    *(("settle", moment) for moment in Moment),
    ("record", Moment.DURING),
    ("refill", Moment.AFTER),
    ("cancel", Moment.AFTER),
)


def a_panel(name: str, seed: int) -> SimulatedPanel:
    services = [msgspec.structs.replace(service, habits=HABITS) for service in PRICE_LIST]
    world = World(services, seed=seed)
    return SimulatedPanel(shipped()[name], key=KEY, speed=60.0, world=world)


class Watched:
    """A daemon process, its panels, and what it was told to track."""

    def __init__(self, directory: Path, panels: dict[str, SimulatedPanel]) -> None:
        self.panels = panels
        self.daemon = DaemonProcess(directory, panels, defaults=DEFAULTS, rules=RULES)
        self.tracked: dict[str, set[int]] = {}

    async def track(self, count: int) -> None:
        """Orders placed elsewhere; what the API has confirmed must be there for ever."""
        for name, panel in self.panels.items():
            orders = panel.world.seed_orders(count, panel.now(), services=[1], quantity=500)
            await self.daemon.track(name, orders, service=1, quantity=500)
            self.tracked.setdefault(name, set()).update(orders)

    async def killed(self) -> None:
        """Kill -9, unless it has ended itself; look at what is left; start again."""
        with contextlib.suppress(ProcessLookupError):
            await self.daemon.kill()
        before = remember(self.daemon)
        self.look()
        await self.daemon.start()
        assert gone_since(before, self.daemon) == []

    async def ends(self, seconds: float) -> bool:
        """Whether the daemon ends by itself within so many seconds."""
        with contextlib.suppress(TimeoutError):
            await self.daemon.wait(seconds)
        assert self.daemon.process is not None
        return self.daemon.process.returncode is not None

    async def arrives(self, action: str, seconds: float) -> bool:
        """Whether a request of this kind arrives at a panel within so many seconds."""
        before = self._arrived(action)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._arrived(action) == before:
                    await asyncio.sleep(0.01)
        return self._arrived(action) > before

    def look(self) -> None:
        """The oracle, while the daemon does not run."""
        assert violations(self.daemon, self.panels, self.tracked) == []

    def states(self) -> dict[str, int]:
        """How many actions are in which state."""
        return dict(self.daemon.rows("SELECT state, count(*) FROM actions GROUP BY 1"))

    def _arrived(self, action: str) -> int:
        return sum(len(panel.journal.requests(action)) for panel in self.panels.values())


@asynccontextmanager
async def watched(directory: Path, seed: int, orders: int) -> AsyncIterator[Watched]:
    """A daemon that runs; at the end it stops as it is told to, and the oracle looks."""
    panels = {name: a_panel(name, seed) for name in PANELS}
    for panel in panels.values():
        await panel.start()
    house = Watched(directory, panels)
    try:
        await house.daemon.start()
        await house.track(orders)
        yield house
        assert await house.daemon.stop() == 0
        house.look()
        stopped = json.loads(house.daemon.text().splitlines()[-1])
        if stopped["drained"]:  # on a machine that is busy there may be no time for it
            assert left_sending(house.daemon) == []
    finally:
        await house.daemon.stop()
        for panel in panels.values():
            await panel.stop()


@pytest.mark.parametrize("seed", [1, 2])
async def test_at_any_moment(tmp_path: Path, seed: int):
    chance = random.Random(seed)
    async with watched(tmp_path, seed, orders=400) as house:
        for _ in range(6):
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            await house.killed()
        await asyncio.sleep(2.0)
    assert house.states().get("accepted", 0) > 50, "the test has to see actions"
    assert house.daemon.rows("SELECT count(*) FROM history")[0][0] > 800


async def test_at_chosen_points_of_its_work(tmp_path: Path):
    """Before, in and after the commits of `sending` and of outcomes; between answer and record."""
    chance, died = random.Random(3), 0
    async with watched(tmp_path, 3, orders=400) as house:
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
    async with watched(tmp_path, 4, orders=200) as house:
        for panel in house.panels.values():
            panel.switches.on(Trait.STALL, action=action, times=1, amount=3.0)
        assert await house.arrives(action, 60.0)
        await house.killed()
        assert house.states()["unresolved"] >= 1, "nobody knows what became of it"


async def test_while_the_tables_of_a_new_database_are_made(tmp_path: Path):
    daemon = DaemonProcess(tmp_path, {"smmxz": a_panel("smmxz", 6)})
    await daemon.start(ready=False, program=(MORTAL, "tables", Moment.DURING, "0"))
    assert await daemon.wait() == -signal.SIGKILL
    await daemon.start()
    assert await daemon.stop() == 0


async def test_no_file_handle_is_left(tmp_path: Path):
    """The system refuses every new connection; the daemon goes on when there are handles again."""
    async with watched(tmp_path, 5, orders=200) as house:
        assert house.daemon.process is not None
        pid = house.daemon.process.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        open_now = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_now, hard))
        assert not await house.ends(2.0), house.daemon.text()[-300:]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert await house.arrives("status", 60.0)


async def test_sigterm_under_load_drains(tmp_path: Path):
    async with watched(tmp_path, 3, orders=500) as house:
        await asyncio.sleep(2.0)
        began = asyncio.get_running_loop().time()
        house.daemon.send(signal.SIGTERM)
        assert await house.daemon.wait() == 0
        assert asyncio.get_running_loop().time() - began < 30.0
        assert "unresolved" not in house.states()
        assert house.daemon.events()[-1]["event"] == "daemon.stopped"

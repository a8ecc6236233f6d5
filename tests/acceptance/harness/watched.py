"""The real daemon under load at two simulated panels, and what must hold whatever happens to it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from tests.support.audit import left_sending, violations
from tests.support.database import wait_for_sessions
from tests.support.house import KEY
from tests.support.moments import gone_since, remember
from tests.support.process import DaemonProcess
from watcher.common.postgres_url import DatabaseLocation
from watcher.panels.profiles import shipped
from watcher.simulator import Habits, SimulatedPanel, World
from watcher.simulator.catalog import PRICE_LIST

_RULES = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed' && order.finished_ago > duration('1s')"
every = "1h"
per_hour = 100000

[[rules]]
name = "cancel"
action = "cancel"
when = "order.status == 'in_progress' && order.idle > duration('{idle}')"
per_hour = 100000
"""
BACK_WITHIN = 60.0  # seconds after its trouble is over; a quiet machine needs two
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


def rules(idle: str) -> str:
    """A refill of what is completed, a cancel of what has not moved for so long; neither waits."""
    return _RULES.format(idle=idle)


def a_panel(name: str, seed: int) -> SimulatedPanel:
    services = [msgspec.structs.replace(service, habits=HABITS) for service in PRICE_LIST]
    world = World(services, seed=seed)
    return SimulatedPanel(shipped()[name], key=KEY, speed=60.0, world=world)


class Watched:
    """A daemon process, its panels, and what it was told to track."""

    def __init__(
        self,
        directory: Path,
        panels: dict[str, SimulatedPanel],
        database: DatabaseLocation | None = None,
    ) -> None:
        self.panels = panels
        self.daemon = DaemonProcess(
            directory, panels, defaults=DEFAULTS, rules=rules(idle="2s"), database=database
        )
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
        wait_for_sessions(self.daemon.location)
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

    async def goes_on(self, within: float = BACK_WITHIN) -> None:
        """It takes more orders within so many seconds, and asks about them."""
        async with asyncio.timeout(within):
            while True:
                with contextlib.suppress(aiohttp.ClientError, AssertionError):
                    await self.track(20)
                    break
                await asyncio.sleep(0.1)
        assert await self.arrives("status", within)

    async def accepts(self, least: int) -> None:
        """Panels accept so many actions: the test has to see some."""
        async with asyncio.timeout(60.0):
            while self.states().get("accepted", 0) < least:
                await asyncio.sleep(0.1)

    async def problems(self) -> list[str]:
        """Why it says that it is not ready."""
        url = f"http://127.0.0.1:{self.daemon.port}/readyz"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            text = await answer.text()
            return [] if answer.status == 200 else text.splitlines()

    def memory(self) -> float:
        """What it has of the machine's memory, in MiB."""
        assert self.daemon.process is not None
        status = Path(f"/proc/{self.daemon.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

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
async def watched(
    directory: Path,
    seed: int,
    orders: int,
    database: DatabaseLocation | None = None,
    *,
    is_whole: bool = True,
) -> AsyncIterator[Watched]:
    """A daemon that runs; at the end it stops as it is told to, and the oracle looks.

    It doesn't where the test has taken away what was on record.
    """
    panels = {name: a_panel(name, seed) for name in PANELS}
    for panel in panels.values():
        await panel.start()
    house = Watched(directory, panels, database)
    try:
        await house.daemon.start()
        await house.track(orders)
        yield house
        assert await house.daemon.stop() == 0
        if not is_whole:
            return
        house.look()
        stopped = json.loads(house.daemon.text().splitlines()[-1])
        if stopped["drained"]:  # on a machine that is busy there may be no time for it
            assert left_sending(house.daemon) == []
    finally:
        await house.daemon.stop()
        for panel in panels.values():
            await panel.stop()

"""The daemon in this process, its panels, and its crashes."""

import asyncio
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec

from tests.acceptance.harness.fuse import Crash, Fuse
from tests.acceptance.harness.scenario import HOUR, MINUTE, PanelPlan, Scenario
from tests.acceptance.harness.storm import SkewedClock, StormSchedule
from tests.support.clockwork import Clock
from tests.support.database import CURRENT, rows
from tests.support.house import KEY, House, config_text
from tests.support.postgres import databases
from watcher.common.postgres_url import DatabaseLocation
from watcher.config import Config
from watcher.panels.profiles import shipped
from watcher.simulator import Habits, SimulatedPanel, World
from watcher.simulator.catalog import PRICE_LIST
from watcher.simulator.journal import Journal, JournalEntry

TIMEOUT = 0.6  # real seconds that the daemon waits for a panel: time is simulated, stalls are not
START = 1_800_000_000.0
# Orders that live for hours, not days; many stall, so that rules and people have work.
HABITS = Habits(
    pending=(0.0, 20 * MINUTE),
    processing=(0.0, 10 * MINUTE),
    per_minute=(2.0, 200.0),
    linger=(0.0, 5 * MINUTE),
    stalled=0.15,
    dropping=0.4,
    drop=(0.1, 0.6),
    drop_after=(10 * MINUTE, 5 * HOUR),
    refill_takes=(5 * MINUTE, 3 * HOUR),
    cancel_takes=(MINUTE, HOUR),
)


class Gate(Journal):
    """A panel's journal that tells the fuse of each arrival."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse

    def arrived(self, time: float, parameters: Any) -> JournalEntry:
        entry = super().arrived(time, parameters)
        self._fuse.arrives(entry.action)
        return entry


class Stage(House):
    """A house whose daemon can be cut off at any point, on a clock that people set."""

    clock: SkewedClock
    schedule: StormSchedule

    def __init__(self, directory: Path, scenario: Scenario, fuse: Fuse) -> None:
        self.true = Clock(START)
        self.fuse = fuse
        self.scenario = scenario
        self.chance = random.Random(f"stage {scenario.seed}")
        self.all_panels = {plan.name: self._panel(plan) for plan in scenario.panels}
        self.bugs: list[str] = []
        self.crashes = 0
        self.set_back: list[float] = []  # what the clock showed after it was set back
        self.up = False
        super().__init__(directory / "config.toml", dict(self.all_panels), SkewedClock(self.true))
        self._new_schedule()

    async def open_panels(self) -> None:
        for panel in self.all_panels.values():
            await panel.start()
        self.write_config()

    def write_config(self, without: str = "", extra: str = "") -> None:
        """The configuration, with all panels but one; the daemon has not read it yet."""
        scenario = self.scenario
        defaults = (
            f"requests_per_minute = {scenario.requests_per_minute}\n"
            f"check_within = '{scenario.check_within:.0f}s'\n"
            "idle_every = '2m'\n"  # or most of the time goes by with checks of what is as it was
            f"guard_for = '{scenario.guard_for:.0f}s'\n"
            f"balance_every = '30m'\nservices_every = '2h'\n{extra}"
        )
        panels = {name: panel for name, panel in self.all_panels.items() if name != without}
        daemon = f'database = "{self.database}"\n'
        text = config_text(panels, defaults=defaults, rules=scenario.rules, daemon=daemon)
        self.path.write_text(text)

    def load(self) -> Config:
        """With a shorter timeout than a file can say."""
        config = super().load()
        panels = {
            name: msgspec.structs.replace(
                panel, settings=msgspec.structs.replace(panel.settings, timeout=TIMEOUT)
            )
            for name, panel in config.panels.items()
        }
        return msgspec.structs.replace(config, panels=panels)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Look into the database, as another program does."""
        return rows(self.database, query)

    @property
    def database(self) -> DatabaseLocation:
        directory = self.path.parent
        is_file = CURRENT.engine == "sqlite"
        return directory / "watcher.db" if is_file else databases().url(directory)

    def set_clock(self, seconds: float) -> None:
        """Somebody sets it, forward or back."""
        if self.up:
            self.schedule.set_clock(seconds)
        else:
            self.clock.skew += seconds
        if seconds < 0:
            self.set_back.append(self.clock())

    async def rise(self) -> None:
        """Start a daemon on the database as it is; raises Crash where it ends at once."""
        self._new_schedule()
        self.daemon = self._make()
        await self.open()
        self.up = True

    async def run(self, seconds: float) -> None:
        """Let time pass; raises Crash where the fuse blows meanwhile."""
        await self.unless_blown(self.schedule.run(seconds))

    async def unless_blown(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do the work; raises Crash as soon as the fuse blows, wherever that was."""
        doing = asyncio.create_task(work)
        blown = asyncio.create_task(self.fuse.blown.wait())
        await asyncio.wait({doing, blown}, return_when=asyncio.FIRST_COMPLETED)
        blown.cancel()
        if self.fuse.blown.is_set():
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
            raise Crash
        await doing

    async def fall(self) -> None:
        """The daemon is gone without any clean-up; what it held is let go, nothing is committed."""
        self.crashes += 1
        self.up = False
        self.bugs += self.schedule.bugs
        if not self.fuse.blown.is_set():
            self.fuse.blow()
        await self.schedule.abandon()
        await _let_go(self.daemon)
        self.fuse.renew()

    async def close(self) -> None:
        self.up = False
        await super().close()
        self.bugs += self.schedule.bugs

    async def end(self) -> None:
        """Whatever is still there goes."""
        if self.up:
            await self.close()
        for panel in self.all_panels.values():
            await panel.stop()

    def _new_schedule(self) -> None:
        self.schedule = StormSchedule(self.clock, self.chance)

    def _make(self) -> Any:
        return super()._make() if self.path.exists() else None

    def _panel(self, plan: PanelPlan) -> SimulatedPanel:
        services = [msgspec.structs.replace(service, habits=HABITS) for service in PRICE_LIST]
        world = World(services, seed=self.scenario.seed, balance="100000")
        panel = SimulatedPanel(
            shipped()[plan.profile],
            key=KEY,
            clock=self.true,
            world=world,
            traits=plan.traits,
            limit_kind=plan.limit_kind,
        )
        panel.journal = Gate(self.fuse)
        return panel


async def _cleaned(runner: Any) -> None:
    """Clean up; each request that the crash met raises it once more."""
    while True:
        try:
            return await runner.cleanup()
        except Crash:
            continue


async def _let_go(daemon: Any) -> None:
    """Close sockets, connections and the lock, as the system does for a process that is gone.

    The fuse has blown: a transaction that is under way can't commit any more.
    """
    runner = daemon._runner
    if runner is not None:
        runner._shutdown_timeout = 0.01
        await _cleaned(runner)
        daemon._runner = None
    for workers in daemon.panel_workers.values():
        await workers.gateway.client.close()
    store = getattr(daemon, "store", None)
    if store is not None and not store._db._closed:
        await store.close()

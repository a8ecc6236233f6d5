"""Whether the daemon itself is well: its loop, its tasks, its database; and who is told."""

import asyncio
import time
from collections.abc import Mapping

import structlog

from watcher.clocks import Clock
from watcher.errors import StoreError
from watcher.metrics import Metrics
from watcher.schedule import Schedule, kind_of
from watcher.station import Station
from watcher.store import Store
from watcher.supervisor import Supervisor
from watcher.survey import Survey
from watcher.wording import counted

log = structlog.get_logger()

INTEGRITY_EVERY = 86400.0  # seconds; the check reads the whole file
FILES_EVERY = 20.0  # seconds; every transaction looks as well
LOOP_LAG_EVERY = 1.0  # seconds between two measurements of the event loop's delay
_WHOLE_FILE = frozenset({"integrity", "backup", "retention", "purge"})  # as long as the file is big
_NO_PROGRESS = 60.0  # seconds by which a task may be late, beyond a panel's longest timeout


class Health:
    """Its tasks return when they want to run next."""

    def __init__(
        self,
        *,
        store: Store,
        metrics: Metrics,
        schedule: Schedule,
        survey: Survey,
        stations: Mapping[str, Station],
        supervisor: Supervisor,
        clock: Clock,
        loaded: asyncio.Event,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._schedule = schedule
        self._survey = survey
        self._stations = stations
        self._supervisor = supervisor
        self._clock = clock
        self._loaded = loaded

    def watch(self) -> None:
        """Begin."""
        self._schedule.add("loop_lag", self._measure_loop)
        self._schedule.add("integrity", self._check_integrity)
        self._schedule.add("files", self._check_files)
        if self._supervisor.watchdog_every is not None:
            self._schedule.add("watchdog", self._feed_watchdog)

    async def problems(self) -> list[str]:
        """Why the daemon is not ready to work; nothing where it is."""
        problems = [f"{task}: no progress" for task in self._stuck() if task not in _WHOLE_FILE]
        if not self._loaded.is_set():
            problems.append(f"orders are still being loaded: {self._survey.orders()} so far")
        try:
            await self._store.check_writable()
        except StoreError as error:
            problems.append(str(error))
        return problems

    def status(self) -> str:
        """One line, for `systemctl status`."""
        healths = {name: station.line.health for name, station in self._stations.items()}
        down = [name for name, health in healths.items() if not health.is_up and not health.refuses]
        refusing = [name for name, health in healths.items() if health.refuses]
        status = [
            f"{counted(len(self._stations), 'panel')}, {counted(self._survey.orders(), 'order')}"
        ]
        if down:
            status.append(f"no answer from {', '.join(down)}")
        if refusing:
            status.append(f"everything is refused by {', '.join(refusing)}")
        if not self._survey.reload_ok:
            status.append("the configuration on disk was refused")
        return "; ".join(status)

    async def _measure_loop(self, now: float) -> float:
        """The delay of a timer: what every other task waits for as well."""
        started = time.perf_counter()
        await asyncio.sleep(0.01)
        self._metrics.loop_lag.observe(max(0.0, time.perf_counter() - started - 0.01))
        return now + LOOP_LAG_EVERY

    async def _check_integrity(self, now: float) -> float:
        self._survey.integrity_ok = await self._store.quick_check()
        if not self._survey.integrity_ok:
            log.error("database.damaged", database=str(self._store.path))
        return now + INTEGRITY_EVERY

    async def _check_files(self, now: float) -> float:
        """Log where a file of the database was removed or replaced, or is back."""
        problem = self._store.check_files()
        if problem is not None and problem != self._survey.files_problem:
            log.error("database.lost", cause=problem)
        elif problem is None and self._survey.files_problem is not None:
            log.info("database.back", database=str(self._store.path))
        self._survey.files_problem = problem
        return now + FILES_EVERY

    async def _feed_watchdog(self, now: float) -> float:
        """A sign of life while panels are asked in time; else systemd starts the daemon anew.

        Other tasks don't count: a review of a million orders may rightly take minutes.
        """
        hung = [task for task in self._stuck() if kind_of(task) == "poll"]
        if hung:
            log.error("daemon.hung", tasks=hung)
            self._supervisor.troubled(f"no progress: {', '.join(hung)}")
        else:
            self._supervisor.alive(self.status())
        return now + (self._supervisor.watchdog_every or LOOP_LAG_EVERY)

    def _stuck(self) -> list[str]:
        longest = max((s.config.settings.timeout for s in self._stations.values()), default=0.0)
        return self._schedule.stuck(self._clock(), longest + _NO_PROGRESS)

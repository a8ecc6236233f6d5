"""The daemon's own health: event loop, tasks, database, watchdog."""

import asyncio
import time
from collections.abc import Mapping

import structlog

from watcher.common.wording import counted
from watcher.daemon.panel_workers import PanelWorkers
from watcher.daemon.shared import Shared
from watcher.daemon.systemd import Systemd
from watcher.daemon.task_runner import kind_of
from watcher.errors import StoreError

log = structlog.get_logger()

INTEGRITY_EVERY = 86400.0  # seconds; the check reads the whole file
FILES_EVERY = 20.0  # seconds; every transaction checks too
ANSWERS_WITHIN = 10.0  # seconds that a probe waits for the database
LOOP_LAG_EVERY = 1.0  # seconds between two measurements of the event loop's delay
_WHOLE_FILE = frozenset({"integrity", "backup", "retention", "purge"})  # long for a large file
_NO_PROGRESS = 60.0  # seconds by which a task may be late, beyond a panel's longest timeout


class DaemonHealth:
    """Measures the daemon's health. The tasks return when to run next."""

    def __init__(
        self,
        *,
        shared: Shared,
        panel_workers: Mapping[str, PanelWorkers],
        supervisor: Systemd,
        loaded: asyncio.Event,
    ) -> None:
        self.integrity_ok = True
        self.files_problem: str | None = None  # a file of the database was removed or replaced
        self.db_failed_at = 0.0  # the last operation of the database that failed; 0: none
        self._db_failures = 0
        self._store, self._metrics, self._schedule = shared.store, shared.metrics, shared.schedule
        self._watchlist, self._config, self._clock = shared.watchlist, shared.config, shared.clock
        self._panel_workers, self._leadership = panel_workers, shared.leadership
        self._supervisor = supervisor
        self._loaded = loaded

    def watch(self) -> None:
        """Add the tasks to the schedule."""
        self._schedule.add("loop_lag", self._measure_loop)
        self._schedule.add("integrity", self._check_integrity)
        self._schedule.add("files", self._check_files)
        if self._supervisor.watchdog_every is not None:
            self._schedule.add("watchdog", self._feed_watchdog)

    async def problems(self) -> list[str]:
        """Return why the daemon is not ready to work; an empty list if it is."""
        problems = [f"{task}: no progress" for task in self._stuck() if task not in _WHOLE_FILE]
        problems += self._leadership.problems(self._panel_workers, self._config.current.panels)
        if not self._loaded.is_set():
            problems.append(f"orders are still being loaded: {self._orders()} so far")
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                await self._store.maintenance.check_writable()
        except StoreError as error:
            problems.append(str(error))
        except TimeoutError:
            problems.append(
                f"{self._store.place} has not answered for {ANSWERS_WITHIN:.0f} seconds"
            )
        return problems

    def status(self) -> str:
        """Return one line for `systemctl status`."""
        healths = {name: workers.gateway.health for name, workers in self._panel_workers.items()}
        down = [name for name, health in healths.items() if not health.is_up and not health.refuses]
        refusing = [name for name, health in healths.items() if health.refuses]
        status = [
            f"{counted(len(self._panel_workers), 'panel')}, {counted(self._orders(), 'order')}"
        ]
        if down:
            status.append(f"no answer from {', '.join(down)}")
        if refusing:
            status.append(f"everything is refused by {', '.join(refusing)}")
        if self._config.problems:
            status.append("the configuration on disk was refused")
        return "; ".join(status)

    def _orders(self) -> int:
        return sum(self._watchlist.counts.values())

    async def _measure_loop(self, now: float) -> float:
        """Measure how late a timer is: every other task is delayed as much."""
        started = time.perf_counter()
        await asyncio.sleep(0.01)
        self._metrics.loop_lag.observe(max(0.0, time.perf_counter() - started - 0.01))
        return now + LOOP_LAG_EVERY

    async def _check_integrity(self, now: float) -> float:
        self.integrity_ok = await self._store.maintenance.quick_check()
        if not self.integrity_ok:
            log.error("database.damaged", database=self._store.place)
        return now + INTEGRITY_EVERY

    async def _check_files(self, now: float) -> float:
        """Log if a file of the database was removed or replaced, or is back."""
        problem = self._store.maintenance.check_files()
        if problem is not None and problem != self.files_problem:
            log.error("database.lost", cause=problem)
        elif problem is None and self.files_problem is not None:
            log.info("database.back", database=self._store.place)
        self.files_problem = problem
        self._count_failures(now)
        return now + FILES_EVERY

    def _count_failures(self, now: float) -> None:
        """Note whether an operation of the database has failed since the last run."""
        if self._metrics.db_failures > self._db_failures:
            self.db_failed_at = now
        self._db_failures = self._metrics.db_failures

    async def _feed_watchdog(self, now: float) -> float:
        """Notify the watchdog while panels are asked in time; else systemd restarts the daemon.

        Other tasks don't count: a review of a million orders may take minutes.
        """
        hung = [task for task in self._stuck() if kind_of(task) == "poll"]
        if hung:
            log.error("daemon.hung", tasks=hung)
            self._supervisor.troubled(f"no progress: {', '.join(hung)}")
        else:
            self._supervisor.alive(self.status())
        return now + (self._supervisor.watchdog_every or LOOP_LAG_EVERY)

    def _stuck(self) -> list[str]:
        longest = max(
            (s.config.settings.timeout for s in self._panel_workers.values()), default=0.0
        )
        return self._schedule.stuck(self._clock(), longest + _NO_PROGRESS)

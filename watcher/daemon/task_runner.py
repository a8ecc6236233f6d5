"""Runs each task when it is due: the only module that uses APScheduler.

A task is a coroutine function that does what is due and returns when it wants to run next: a
Unix time, or None to wait until it is woken. It never runs twice at once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from apscheduler.events import (
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    JobExecutionEvent,
    JobSubmissionEvent,
)
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from watcher.common.clock import Clock
from watcher.errors import WatcherError
from watcher.metrics import Metrics

log = structlog.get_logger()

Task = Callable[[float], Awaitable[float | None]]

_LONGEST_WAIT = 60.0  # seconds: a task that waits to be woken runs at least this often
_AFTER_CRASH = 5.0  # seconds until a task that raised runs again
_SOON = 1.0  # seconds
_JUMP = 2.0  # seconds: a larger difference means that the clock was set, not slewed


def kind_of(task: str) -> str:
    """Return the label for metrics: `poll` for `poll:smmgenie`."""
    return task.partition(":")[0]


class TaskRunner:
    """Runs tasks, each at the time that it asked for.

    `on_jump` is called with the seconds by which the clock was set, after tasks were rescheduled.
    """

    def __init__(
        self,
        *,
        clock: Clock = time.time,
        metrics: Metrics | None = None,
        watch_clock_every: float = 5.0,
    ) -> None:
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            # A task schedules its next run before APScheduler counts this one as ended; _run
            # ensures that it does not run twice at once.
            job_defaults={"coalesce": True, "max_instances": 2, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._on_skipped, EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)
        self._clock = clock
        self._metrics = metrics or Metrics()
        self.on_jump: Callable[[float], None] = lambda seconds: None
        self._watch_every = watch_clock_every
        self._offset = clock() - time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: dict[str, Task] = {}
        self._running: set[str] = set()
        self._beside: dict[asyncio.Task[None], str] = {}
        self._woken: set[str] = set()
        self._due: dict[str, float] = {}
        self._soon: dict[str, asyncio.TimerHandle] = {}
        self._begun: set[asyncio.Task[None]] = set()
        self._failures: dict[str, str] = {}
        self._ended = asyncio.Event()
        self._draining = False

    def start(self) -> None:
        """Begin to run the tasks."""
        self._scheduler.start()
        self._watch_clock()

    def add(self, name: str, task: Task) -> None:
        """Run the task now, and then whenever it asks to."""
        self._tasks[name] = task
        self._plan(name, self._clock())

    def remove(self, name: str) -> None:
        """Stop running the task; a run under way continues to its end."""
        self._tasks.pop(name, None)
        self._due.pop(name, None)
        self._unplan(name)

    async def retire(self, names: Collection[str]) -> None:
        """Remove the tasks and wait for those that are running to end."""
        for name in names:
            self.remove(name)
        while not self._busy.isdisjoint(names):
            self._ended.clear()
            await self._ended.wait()

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run the work beside the task; `retire` and `drain` wait for it too."""
        doing = asyncio.ensure_future(work)
        self._beside[doing] = name
        doing.add_done_callback(self._on_done)

    def stuck(self, now: float, limit: float) -> list[str]:
        """Return tasks that have been running, or overdue, for longer than `limit` seconds."""
        return [name for name, due in self._due.items() if now - due > limit]

    def wake(self, name: str, at: float | None = None) -> None:
        """Run the task now, or by the time given; if it is running, once more after that."""
        if name in self._running:
            self._woken.add(name)
            return
        wanted = self._clock() if at is None else at
        if name in self._tasks and self._due.get(name, 0.0) > wanted:
            self._plan(name, wanted)

    async def drain(self, within: float) -> bool:
        """Start no more runs and wait for those under way; return False if that takes too long.

        APScheduler's own shutdown would cancel coroutines in the middle of a request.
        """
        self._draining = True
        if self._timer is not None:
            self._timer.cancel()
        if self._scheduler.running:
            self._scheduler.pause()
        try:
            async with asyncio.timeout(within):
                while self._busy:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            log.warning("schedule.drain_timeout", running=sorted(self._busy))
            return False
        finally:
            if self._scheduler.running:
                self._scheduler.shutdown(wait=False)
        return True

    def _watch_clock(self) -> None:
        """Check whether the clock was set: if set back, tasks would wait for it to catch up."""
        self._timer = asyncio.get_running_loop().call_later(self._watch_every, self._watch_clock)
        offset = self._clock() - time.monotonic()
        jump, self._offset = offset - self._offset, offset
        if abs(jump) < _JUMP:
            return
        log.warning("clock.jumped", seconds=round(jump, 1))
        for name, due in list(self._due.items()) if jump < 0 else ():
            self._plan(name, due + jump)
        self.on_jump(jump)

    async def _run(self, name: str) -> None:
        if self._draining or name not in self._tasks or name in self._running:
            return
        started = self._clock()
        late = max(0.0, started - self._due.get(name, started))
        self._metrics.count_start(kind_of(name), late)
        self._running.add(name)
        next_at: float | None = None
        try:
            next_at = await self._tasks[name](started)
            self._failures.pop(name, None)
        except Exception as error:  # noqa: BLE001  one task must not end the others
            next_at = self._clock() + _AFTER_CRASH
            self._log_failure(name, error)
        finally:  # also if logging fails: a task must never be forgotten
            self._running.discard(name)
            self._ended.set()
            if not self._draining and name in self._tasks:
                self._plan(name, self._next(name, next_at))

    @property
    def _busy(self) -> set[str]:
        return self._running.union(self._beside.values())

    def _on_done(self, doing: asyncio.Task[None]) -> None:
        name = self._beside.pop(doing)
        self._ended.set()
        error = None if doing.cancelled() else doing.exception()
        if isinstance(error, Exception):
            self._log_failure(f"{name}, beside", error)
        else:
            self._failures.pop(f"{name}, beside", None)

    def _on_skipped(self, event: JobSubmissionEvent | JobExecutionEvent) -> None:
        """Reschedule a run that APScheduler skipped: a task must never be forgotten."""
        self._metrics.missed.labels(kind_of(event.job_id)).inc()
        if event.job_id in self._tasks and not self._draining:
            self._plan(event.job_id, self._clock() + _AFTER_CRASH)

    def _log_failure(self, name: str, error: Exception) -> None:
        """Log a failure when it changes; a bug with its traceback."""
        if self._failures.get(name) == str(error):
            return
        self._failures[name] = str(error)
        if isinstance(error, WatcherError):
            log.error("schedule.task_failed", task=name, cause=str(error))
        else:
            log.error("schedule.task_failed", task=name, exc_info=error)

    def _next(self, name: str, asked_for: float | None) -> float:
        now = self._clock()
        if name in self._woken:
            self._woken.discard(name)
            return now
        return now + _LONGEST_WAIT if asked_for is None else asked_for

    def _plan(self, name: str, at: float) -> None:
        """Schedule a run; by the event loop if it is due soon, at a tenth of APScheduler's cost."""
        self._unplan(name)
        self._due[name] = at
        wait = at - self._clock()
        if wait < _SOON and self._scheduler.running:
            loop = asyncio.get_running_loop()
            self._soon[name] = loop.call_later(max(0.0, wait), self._begin, name)
            return
        self._scheduler.add_job(
            self._run,
            # APScheduler has a clock of its own.
            DateTrigger(datetime.now(UTC) + timedelta(seconds=wait)),
            args=(name,),
            id=name,
            name=name,
            replace_existing=True,
        )

    def _begin(self, name: str) -> None:
        self._soon.pop(name, None)
        run = asyncio.ensure_future(self._run(name))
        self._begun.add(run)
        run.add_done_callback(self._begun.discard)

    def _unplan(self, name: str) -> None:
        soon = self._soon.pop(name, None)
        if soon is not None:
            soon.cancel()
        if self._scheduler.get_job(name):
            self._scheduler.remove_job(name)

"""Time that tests advance: days of the daemon's work in seconds, with real HTTP and SQLite."""

import asyncio
from collections.abc import Collection, Coroutine
from operator import itemgetter
from typing import Any

from watcher.daemon.task_runner import Task, TaskRunner

# They look at what the others have done, or write it for the next start, and change none of it.
_WATCHING = ("survey", "files", "asked")
_WATCHED_EVERY = 1800.0  # seconds in a longer run, and at its end
_IDLE_EVERY = 60.0, 600.0  # seconds between the runs of what waits to be woken: in a longer run too
_BY_TIME = itemgetter(1)
_ROUNDS = 20  # of the event loop


async def all_is_read() -> None:
    """Let tasks of this event loop read what others of it have sent over sockets."""
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)


async def time_passes(seconds: float) -> None:
    """Set the event loop's clock forward, once all is read: time-outs and waits end at once.

    In a short real time-out a busy machine may not even have connected.
    """
    await all_is_read()
    loop = asyncio.get_running_loop()
    plain = loop.time
    loop.time = lambda: plain() + seconds  # type: ignore[method-assign]


class Clock:
    """Unix seconds that move only when told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class ClockworkSchedule(TaskRunner):
    """The schedule's interface over a clock that jumps to whatever is due next."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.on_jump = lambda seconds: None
        self.tasks: dict[str, Task] = {}
        self.due: dict[str, float] = {}
        self.beside: list[asyncio.Task[None]] = []
        self._end = clock()  # of the run

    def start(self) -> None:
        pass

    def add(self, name: str, task: Task) -> None:
        if name == "loop_lag":  # it measures the real loop, by sleeping
            return
        self.tasks[name] = task
        self.due[name] = self.clock()

    def remove(self, name: str) -> None:
        self.tasks.pop(name, None)
        self.due.pop(name, None)

    async def retire(self, names: Collection[str]) -> None:
        for name in names:
            self.remove(name)

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self.beside.append(asyncio.ensure_future(work))

    def wake(self, name: str, at: float | None = None) -> None:
        if name in self.tasks:
            wanted = self.clock() if at is None else max(at, self.clock())
            self.due[name] = min(self.due[name], wanted)

    def stuck(self, now: float, limit: float) -> list[str]:
        return []

    async def drain(self, within: float) -> bool:
        return True

    def set_clock(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self.clock.now += seconds
        for name in self.due if seconds < 0 else ():
            self.due[name] += seconds
        self.on_jump(seconds)

    async def run(self, seconds: float) -> None:
        """Let this much time pass, running each task when it is due."""
        self._end = end = self.clock() + seconds
        while self.due:
            name, at = min(self.due.items(), key=_BY_TIME)
            if at > end:
                break
            self.clock.now = max(self.clock.now, at)
            await self.run_task(name)
        self.clock.now = end

    async def run_task(self, name: str) -> None:
        """Run one task now, to its end: no time passes meanwhile."""
        self.due[name] = float("inf")
        next_at = await self.tasks[name](self.clock())
        if self.beside:
            beside, self.beside = self.beside, []
            await asyncio.gather(*beside)
        self._ask_again(name, next_at)

    def _ask_again(self, name: str, next_at: float | None) -> None:
        """Note when the task that has ended is due again."""
        now, left = self.clock(), self._end - self.clock()
        often, seldom = _IDLE_EVERY
        wanted = now + min(max(often, left / 100), seldom) if next_at is None else next_at
        if name in _WATCHING and wanted < self._end:
            wanted = min(now + max(_WATCHED_EVERY, left / 10), self._end)
        if name in self.tasks:
            self.due[name] = min(self.due[name], wanted)

"""Time that tests advance: days of the daemon's work in seconds, with real HTTP and SQLite."""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

from watcher.daemon.scheduler import Scheduler, Task


class Clock:
    """Unix seconds that move only when told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class ClockworkSchedule(Scheduler):
    """The schedule's interface over a clock that jumps to whatever is due next."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.on_jump = lambda seconds: None
        self.tasks: dict[str, Task] = {}
        self.due: dict[str, float] = {}
        self.beside: list[asyncio.Task[None]] = []

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
        end = self.clock() + seconds
        while self.due and min(self.due.values()) <= end:
            name = min(self.due, key=lambda task: self.due[task])
            self.clock.now = max(self.clock.now, self.due[name])
            await self.run_task(name)
        self.clock.now = end

    async def run_task(self, name: str) -> None:
        """Run one task now, to its end: no time passes meanwhile."""
        self.due[name] = float("inf")
        next_at = await self.tasks[name](self.clock())
        beside, self.beside = self.beside, []
        await asyncio.gather(*beside)
        if name in self.tasks:
            wanted = self.clock() + 60.0 if next_at is None else next_at
            self.due[name] = min(self.due[name], wanted)

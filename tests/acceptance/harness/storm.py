"""Time that tests advance; whatever is due at a time runs at once, as it does in earnest."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Collection, Coroutine
from typing import Any

from tests.support.clockwork import Clock, ClockworkSchedule
from watcher.errors import LifecycleError, WatcherError

AFTER_CRASH = 5.0  # seconds until a task that raised runs again, as in the real schedule
MOST_AT_ONCE = 3000  # runs in which time does not move


class SkewedClock(Clock):
    """The daemon's wall clock: the true one, until somebody sets it."""

    def __init__(self, true: Clock) -> None:
        self.true = true
        self.skew = 0.0

    def __call__(self) -> float:
        return self.true.now + self.skew

    def advance(self, seconds: float) -> None:
        self.true.advance(seconds)

    def reach(self, at: float) -> None:
        """Let time pass until the clock shows `at`."""
        self.true.advance(max(0.0, at - self()))


class StormSchedule(ClockworkSchedule):
    """Runs tasks together; one that raises is told of and runs again."""

    clock: SkewedClock

    def __init__(self, clock: SkewedClock, chance: random.Random) -> None:
        super().__init__(clock)
        self.bugs: list[str] = []
        self._chance = chance
        self._running: dict[str, asyncio.Task[None]] = {}
        self._beside: defaultdict[str, list[asyncio.Task[None]]] = defaultdict(list)
        self._ended = asyncio.Event()
        self._at_once = 0

    def set_clock(self, seconds: float) -> None:
        """Somebody sets the clock; time itself goes on as before."""
        self.clock.skew += seconds
        for name in self.due if seconds < 0 else ():
            self.due[name] += seconds
        self.on_jump(seconds)

    async def run(self, seconds: float) -> None:
        self._end = end = self.clock() + seconds
        while self.due and (first := min(self.due.values())) <= end:
            self._watch_for_spinning(first)
            self.clock.reach(first)
            names = [name for name, at in self.due.items() if at <= self.clock()]
            self._chance.shuffle(names)
            await self._run_together(names)
        self.clock.reach(end)

    async def run_task(self, name: str) -> None:
        await self._run_together([name])

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._beside[name].append(asyncio.ensure_future(work))

    async def retire(self, names: Collection[str]) -> None:
        """Remove the tasks and wait for those that are running to end, as in earnest."""
        for name in names:
            self.remove(name)
        while any(name in self._running for name in names):
            self._ended.clear()
            await self._ended.wait()

    async def drain(self, within: float) -> bool:
        while self._running:
            self._ended.clear()
            await self._ended.wait()
        return True

    async def abandon(self) -> None:
        """Whatever runs ends where it is."""
        running = [*self._running.values(), *(t for some in self._beside.values() for t in some)]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run_together(self, names: Collection[str]) -> None:
        tasks = [asyncio.create_task(self._attempt(name)) for name in names]
        self._running.update(zip(names, tasks, strict=True))
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            await self.abandon()
            raise

    async def _attempt(self, name: str) -> None:
        next_at: float | None = None
        try:
            if name in self.tasks:  # else it was retired since
                self.due[name] = float("inf")
                next_at = await self.tasks[name](self.clock())
                await asyncio.gather(*self._beside[name])
                self._beside.pop(name)
        except Exception as error:  # noqa: BLE001  as the real schedule does
            if not isinstance(error, WatcherError) or isinstance(error, LifecycleError):
                self.bugs.append(f"task {name} raised {error!r}")
            next_at = self.clock() + AFTER_CRASH
            self._beside.pop(name, None)
        finally:
            self._running.pop(name, None)
            self._ended.set()
        self._ask_again(name, next_at)

    def _watch_for_spinning(self, first: float) -> None:
        self._at_once = self._at_once + 1 if first <= self.clock() else 0
        if self._at_once > MOST_AT_ONCE:
            spinning = [name for name, at in self.due.items() if at <= self.clock()]
            raise AssertionError(f"no time passes, and these run again and again: {spinning}")

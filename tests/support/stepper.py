"""Steps tasks from one point to the next, so that a test can say in which order things happen.

A task stops at each point until it is let go on, and hears there what is to happen. Whoever is
no task of the stepper passes every point at once.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

Word = TypeVar("Word")
Busy = Callable[[], Iterable["asyncio.Task[Any]"]]


class Stepper(Generic[Word]):
    """`usual` is what a task hears where nothing else is said; `busy`, what runs in threads."""

    def __init__(self, usual: Word, busy: Busy) -> None:
        self._usual = usual
        self._busy = busy
        self.tasks: dict[str, asyncio.Task[Any]] = {}
        self.passed = 0  # points, by all of them
        self._stopped: dict[asyncio.Task[Any], asyncio.Future[Word]] = {}

    async def point(self) -> Word:
        """Called by whatever a task does: stops it here."""
        task = asyncio.current_task()
        if task is None or task not in self.tasks.values():
            return self._usual
        future: asyncio.Future[Word] = asyncio.get_running_loop().create_future()
        self._stopped[task] = future
        return await future

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        """A task that has not begun yet. Only one of a name at a time."""
        assert name not in self.tasks
        self.tasks[name] = asyncio.ensure_future(work)

    async def go_on(self, name: str, words: Iterable[Word] = (), points: int | None = None) -> bool:
        """Let the task pass so many points (None: all); whether it has ended.

        A task that waits for another one is left waiting.
        """
        task, said = self.tasks[name], iter(words)
        await self._still()
        while task in self._stopped and points != 0:
            self._stopped.pop(task).set_result(next(said, self._usual))
            points = None if points is None else points - 1
            self.passed += 1
            await self._still()
        return task.done()

    def ended(self) -> dict[str, BaseException | None]:
        """The tasks that have ended since it was last asked, each with its error."""
        found = {name: task for name, task in self.tasks.items() if task.done()}
        for name in found:
            del self.tasks[name]
        return {name: task.exception() for name, task in found.items()}

    async def drop(self) -> None:
        """End every task where it stands."""
        tasks = list(self.tasks.values())
        self.tasks.clear()
        self._stopped.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _still(self) -> None:
        """Until every task has ended, stopped at a point, or waits for one that has."""
        loop: Any = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0)
            busy = set(self._busy())
            if busy:
                await asyncio.wait(busy)
            elif not loop._ready:
                return

"""The daemon without its port and with panels in memory, stopped at each request and write."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from functools import partial
from random import Random
from typing import Any
from unittest.mock import patch

from tests.support.clockwork import Clock, ClockworkSchedule
from tests.support.model_panel import Fate, ModelClient, ModelPanel
from watcher.app import Daemon
from watcher.config import Config, PanelConfig
from watcher.daemon import core
from watcher.daemon.panel_workers import PanelWorkersFactory
from watcher.daemon.task_runner import Task
from watcher.errors import StoreError
from watcher.panels.breaker import Breaker
from watcher.panels.gateway import PanelGateway
from watcher.panels.pacing import Pace
from watcher.panels.rate import Rate, RememberedRate

COMPILED: dict[Any, Any] = {}  # statements, for all lives: a daemon's start compiles dozens
Point = Callable[[], Awaitable[Fate]]


class ModelSchedule(ClockworkSchedule):
    """Runs nothing by itself; `running` are the tasks that were begun elsewhere."""

    def __init__(self, clock: Clock, running: Mapping[str, "asyncio.Task[Any]"]) -> None:
        super().__init__(clock)
        self._running = running
        self._beside: list[Coroutine[Any, Any, None]] = []

    def add(self, name: str, task: Task) -> None:
        super().add(name, partial(self._whole, task))

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._beside.append(work)

    async def _whole(self, task: Task, now: float) -> float | None:
        """The task and what it does beside itself, as one: the stepper stops it at each point."""
        next_at = await task(now)
        beside, self._beside = self._beside, []
        try:
            for work in beside:
                await work
        finally:
            for work in beside:
                work.close()
        return next_at

    async def retire(self, names: Collection[str]) -> None:
        await super().retire(names)
        busy = [task for name, task in self._running.items() if name in names]
        if busy:
            await asyncio.wait(busy)


class _Workshop(PanelWorkersFactory, frozen=True, kw_only=True):
    """Builds stations at the panels in memory."""

    panels: dict[str, ModelPanel]
    point: Point

    async def _gateway(self, panel: PanelConfig) -> PanelGateway:
        client = ModelClient(
            self.panels[panel.name],
            self.point,
            url=panel.url,
            key=panel.key.reveal(),
            profile=panel.profile,
            timeout=panel.settings.timeout,
            on_request=lambda action, seconds, reason: None,
        )
        most = panel.settings.requests_per_minute
        pace, breaker = Pace(Rate(most, RememberedRate(rate=most))), Breaker(Random(1).random)
        return PanelGateway(
            panel.name, client, pace, breaker, self.shared.clock, self.shared.pauses
        )


class ModelDaemon(Daemon):
    """The real wiring, but for the edge."""

    def __init__(
        self,
        config: Config,
        panels: dict[str, ModelPanel],
        point: Point,
        *,
        reread: Callable[[], Config],
        clock: Clock,
        schedule: ModelSchedule,
    ) -> None:
        super().__init__(config, reread=reread, clock=clock, schedule=schedule)
        self._panels = panels
        self._point = point
        self.opened = asyncio.Event()

    def _build(self) -> None:
        self.opened.set()
        database: Any = self.store._db
        for engine in (database._readers, database._writer.engine):
            engine._compiled_cache = COMPILED
        for owner, name in (
            (database, "read"),
            (database, "write"),
            (self.store.changes, "record"),
        ):
            _stop_at(self._point, owner, name)
        build = partial(_Workshop, panels=self._panels, point=self._point)
        with patch.object(core, "PanelWorkersFactory", build):
            super()._build()

    async def crash(self) -> None:
        """Let go of the file; whatever is in memory alone is lost."""
        self.core.outcomes._waiting.clear()
        await self._opened.aclose()

    async def _listen(self) -> None:
        """Nobody calls."""


def _stop_at(point: Point, owner: Any, name: str) -> None:
    """Stop before the owner's method does its work, and when it has done it."""
    plain = getattr(owner, name)

    async def stopped(*args: Any, **more: Any) -> Any:
        if await point() is Fate.STORE_FAILS:
            raise StoreError("the test's disk is full")
        result = await plain(*args, **more)
        await point()
        return result

    setattr(owner, name, stopped)

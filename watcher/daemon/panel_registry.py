"""The workers of all panels: opened at a start, exchanged at a reload."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import msgspec
import structlog

from watcher.config import Config, PanelConfig
from watcher.daemon.loader import OrderLoader
from watcher.daemon.panel_workers import PanelWorkers, PanelWorkersFactory
from watcher.daemon.reviews import Reviews
from watcher.daemon.shared import Shared
from watcher.daemon.stopping import Stop
from watcher.daemon.task_runner import Task
from watcher.errors import StoreCorrupt
from watcher.model import Refill
from watcher.orders.schedule import HazardModel
from watcher.orders.watchlist import Watchlist
from watcher.panels.health import HealthState

log = structlog.get_logger()


class _Load(msgspec.Struct, frozen=True):
    """The stored state of some panels; their orders may not all be read yet."""

    watchlist: Watchlist
    orders: OrderLoader
    refills: list[Refill]


class PanelRegistry:
    """The workers of all panels, by name; their tasks are in the schedule."""

    def __init__(
        self,
        shared: Shared,
        reviews: Reviews,
        factory: PanelWorkersFactory,
        panel_workers: dict[str, PanelWorkers],
        stop: Stop,
    ) -> None:
        self._store, self._watchlist, self._rule_engine = (
            shared.store,
            shared.watchlist,
            shared.rule_engine,
        )
        self._config, self._locks = shared.config, shared.locks
        self._mailboxes, self._metrics = shared.mailboxes, shared.metrics
        self._schedule, self._clock = shared.schedule, shared.clock
        self._leadership = shared.leadership
        self.panel_workers = panel_workers
        self.loaded = asyncio.Event()  # the watchlist has every order
        self._reviews = reviews
        self._factory = factory
        self._stop = stop
        self._exchanging = asyncio.Lock()
        self._when_loaded: Mapping[str, Task] = {}
        self._loading: list[OrderLoader] = []  # of panels whose orders are not all read

    async def begin(self, when_loaded: Mapping[str, Task]) -> None:
        """Open the configured panels; a node of a cluster opens none yet.

        `when_loaded` are the tasks that begin once all orders are read.
        """
        self._when_loaded = when_loaded
        await self.open(() if self._leadership.is_clustered else self._config.current.panels)

    async def open(self, names: Collection[str]) -> None:
        """Open configured panels; their workers begin while a task reads the other orders.

        The first orders, usually all, are read when this returns. A StoreError changes nothing.
        """
        async with self._exchanging:
            panels = [self._config.current.panels[name] for name in names]
            new = [await self._factory.build(panel) for panel in panels]
            try:
                async with self._locks.hold(names):
                    load = await self._load({workers.name: workers for workers in new})
                    await load.orders.part(load.watchlist, self._clock())
                    self._exchange((), new, load)
            except BaseException:
                await _close(new)
                raise
            self._loading.append(load.orders)
            if load.orders.is_done:
                self._loaded_one(load.orders)
            else:
                self.loaded.clear()
                self._schedule.add("load", self._load_more)

    async def let_go(self, names: Collection[str], last: Callable[[str], Awaitable[None]]) -> None:
        """Close panels once what is under way has ended; `last` then saves what memory knows.

        An error leaves them open.
        """
        async with self._exchanging:
            await self.loaded.wait()
            old = [self.panel_workers[name] for name in names if name in self.panel_workers]
            await self._schedule.retire([task for workers in old for task in workers.tasks()])
            try:
                async with self._locks.hold({workers.name for workers in old}):
                    for workers in old:
                        await last(workers.name)
                    self._exchange(old, (), await self._load({}))
            except BaseException:
                self._resume(old)
                raise
            await _close(old)

    async def take_over(self, config: Config, *, anew: bool = False) -> None:
        """Put the configuration in force, with workers for its panels and no others.

        The workers of unchanged panels stay, unless `anew` is true. A StoreError changes nothing.
        """
        async with self._exchanging:
            await self._take_over(config, anew=anew)

    async def start_over(self, now: float) -> float | None:
        """Rebuild all workers, whose plans are by the old time: a task after a clock set back."""
        if not self.loaded.is_set():
            return now + 1.0
        async with self._exchanging:
            await self._take_over(self._config.current, anew=True)
        self._schedule.remove("start_over")
        return None

    def retry_unwell(self) -> None:
        """Ask every panel at once that is not up."""
        for workers in self.panel_workers.values():
            if workers.gateway.health.state is not HealthState.UP:
                workers.retry()

    async def close(self) -> None:
        """End all connections."""
        await _close(self.panel_workers.values())

    # --- exchanging ---

    async def _take_over(self, config: Config, *, anew: bool) -> None:
        await self.loaded.wait()
        changed = [panel for panel in config.panels.values() if self._is_new(panel, anew=anew)]
        new = [await self._factory.build(panel) for panel in changed]
        fresh = {workers.name: workers for workers in new}
        kept = config.panels.keys() - fresh.keys()
        old = [workers for name, workers in self.panel_workers.items() if name not in kept]
        # Let requests under way end first: they need the locks that are taken below.
        await self._schedule.retire([task for workers in old for task in workers.tasks()])
        try:
            async with self._locks.hold(fresh.keys() | {workers.name for workers in old}):
                load = await self._load(fresh)
                while not load.orders.is_done:
                    await load.orders.part(load.watchlist, self._clock())
                self._exchange(old, new, load)
                self._begin(new)
                self._put_in_force(config)
        except BaseException:
            self._resume(
                [workers for workers in old if self.panel_workers.get(workers.name) is workers]
            )
            await _close(new)
            raise
        self._schedule.add("review", self._reviews.review_all)
        await _close(old)

    def _is_new(self, panel: PanelConfig, *, anew: bool) -> bool:
        """Return whether the panel needs new workers."""
        workers = self.panel_workers.get(panel.name)
        if workers is None:
            return not self._leadership.is_clustered  # a node has to lead a panel first
        return anew or workers.config != panel

    def _put_in_force(self, config: Config) -> None:
        """Replace the configuration, together with its workers."""
        if config is not self._config.current:
            self._config.current = config
            self._rule_engine.take_rules(config.rules)

    async def _load_more(self, now: float) -> float:
        """Read the next orders under their panels' locks: a task that ends with the last."""
        loader = self._loading[0]
        async with self._locks.hold(loader.panels):
            try:
                await loader.part(self._watchlist, now)
            except StoreCorrupt as error:
                self._stop.request(error)
                raise
        self._mailboxes.wake_pollers(loader.panels)
        if loader.is_done:
            log.info("orders.loaded", orders=sum(self._watchlist.counts.values()))
            self._loaded_one(loader)
        return now

    def _loaded_one(self, loader: OrderLoader) -> None:
        """Begin what needs all orders of these panels, and of all: reviews, and retention."""
        self._begin([self.panel_workers[name] for name in loader.panels])
        self._loading.remove(loader)
        if self._loading:
            return
        self._schedule.remove("load")
        self.loaded.set()
        self._schedule.wake("survey")
        self._schedule.add("review", self._reviews.review_all)
        for name, task in self._when_loaded.items():
            self._schedule.add(name, task)
        self._when_loaded = {}

    async def _load(self, fresh: Mapping[str, PanelWorkers]) -> _Load:
        orders = OrderLoader(
            self._store,
            fresh,
            self._watchlist.keeps,
            skips_others=self._leadership.is_clustered,
        )
        load = _Load(Watchlist(), orders, [])
        if not fresh:
            return load
        now = self._clock()
        learnt = await self._store.schedule.learnt(now=now)
        for name, workers in fresh.items():
            if name in self._watchlist:
                known = self._watchlist.panel(name).learnt
            else:
                known = HazardModel(now)
                known.load(learnt.get(name, ()))
            load.watchlist.open(name, workers.poll_queue(now), known)
        load.refills.extend(r for r in await self._store.refills.running() if r.panel in fresh)
        return load

    def _exchange(
        self, old: Sequence[PanelWorkers], new: Sequence[PanelWorkers], load: _Load
    ) -> None:
        """Exchange workers and orders without an await: no task sees a panel half open."""
        now = self._clock()
        for workers in old:
            del self.panel_workers[workers.name]
            self._watchlist.drop_panel(workers.name)
        for name in {workers.name for workers in old} - {workers.name for workers in new}:
            self._metrics.forget("panel", name)
        for workers in new:
            self.panel_workers[workers.name] = workers
        self._watchlist.take_over(load.watchlist)
        for name in {workers.name for workers in (*old, *new)}:
            self._mailboxes.take_refills(name)  # they were just read, with all others
        for refill in load.refills:
            self.panel_workers[refill.panel].refills.add([refill], now)
        self._resume(new)

    def _begin(self, panel_workers: Collection[PanelWorkers]) -> None:
        for workers in panel_workers:
            self._watchlist.panel(workers.name).poll_queue.begin()

    def _resume(self, panel_workers: Collection[PanelWorkers]) -> None:
        for workers in panel_workers:
            for task, work in workers.tasks().items():
                self._schedule.add(task, work)


async def _close(panel_workers: Collection[PanelWorkers]) -> None:
    for workers in panel_workers:
        await workers.gateway.client.close()

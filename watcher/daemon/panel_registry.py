"""The stations of all panels: opened, exchanged at a reload, and told what concerns them."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
import structlog

from watcher.config import PanelConfig
from watcher.daemon.loader import OrderLoader
from watcher.daemon.panel_workers import PanelWorkers, PanelWorkersFactory
from watcher.daemon.recorder import ChangeRecorder
from watcher.daemon.scheduler import Scheduler
from watcher.errors import StoreCorrupt
from watcher.metrics import Metrics
from watcher.model import Action, Refill
from watcher.orders.columns.check_times import CheckTimes
from watcher.orders.schedule import HazardModel
from watcher.orders.watchlist import Watchlist
from watcher.panels.health import HealthState
from watcher.store import Settled, Store

log = structlog.get_logger()

KEEP_EVERY = 600.0  # seconds between two times that what was learnt is written
ASKED_EVERY = 60.0  # and between two times that it is written when orders were asked about


class _Load(msgspec.Struct, frozen=True):
    """What the database holds for some panels, and their orders, which may not all be there yet."""

    watchlist: Watchlist
    orders: OrderLoader
    refills: list[Refill]
    planned: list[Action]


class PanelRegistry:
    """`stations` by their panels' names; the tasks of each are in the schedule."""

    def __init__(
        self,
        *,
        store: Store,
        watchlist: Watchlist,
        recorder: ChangeRecorder,
        metrics: Metrics,
        schedule: Scheduler,
        factory: PanelWorkersFactory,
        clock: Callable[[], float],
        panel_workers: dict[str, PanelWorkers],
        on_loaded: Callable[[], None],
        on_damaged: Callable[[StoreCorrupt], None],
    ) -> None:
        self.panel_workers = panel_workers
        self._store = store
        self._watchlist = watchlist
        self._recorder = recorder
        self._metrics = metrics
        self._schedule = schedule
        self._factory = factory
        self._clock = clock
        self._on_loaded = on_loaded
        self._on_damaged = on_damaged
        self._is_loaded = asyncio.Event()
        self._kept_asked = 0  # the newest time that is on record

    async def begin(self, panels: Collection[PanelConfig]) -> None:
        """Have a station for each of the panels, which work while `load` brings their orders.

        The first orders are there when this returns: mostly all.
        """
        panel_workers = [await self._factory.build(panel) for panel in panels]
        try:
            load = await self._load({workers.name: workers for workers in panel_workers})
            await load.orders.part(load.watchlist, self._clock())
            self._exchange((), panel_workers, load)
        except BaseException:
            await _close(panel_workers)
            raise
        self._loading = load.orders
        if load.orders.is_done:
            self._loaded()
        else:
            self._schedule.add("load", self._load_more)

    @property
    def is_loading(self) -> bool:
        """Whether orders are missing in the book that it should have."""
        return not self._is_loaded.is_set()

    async def take_over(
        self,
        panels: Collection[PanelConfig],
        in_force: Callable[[], None] = lambda: None,
        *,
        anew: bool = False,
    ) -> None:
        """Have a station for each of the panels as it is configured, and for no other.

        Stations whose panel did not change stay, unless all are wanted `anew`. `in_force` is
        called at the moment when the new ones stand in the place of the old ones. A StoreError
        leaves all as it was.
        """
        await self._is_loaded.wait()
        names = {panel.name for panel in panels}
        changed = [panel for panel in panels if anew or self._has_changed(panel)]
        new = [await self._factory.build(panel) for panel in changed]
        fresh = {workers.name: workers for workers in new}
        old = [s for name, s in self.panel_workers.items() if name in fresh or name not in names]
        # Requests under way end first: they need the locks that are held below.
        await self._schedule.retire([task for workers in old for task in workers.tasks()])
        try:
            async with self._recorder.hold(fresh.keys() | {workers.name for workers in old}):
                load = await self._load(fresh)
                while not load.orders.is_done:
                    await load.orders.part(load.watchlist, self._clock())
                self._exchange(old, new, load)
                self._begin(new)
                in_force()
        except BaseException:
            self._resume(
                [workers for workers in old if self.panel_workers.get(workers.name) is workers]
            )
            await _close(new)
            raise
        await _close(old)

    async def keep_learnt(self, now: float) -> float:
        """Let old lessons fade, and put on record what is new; returns when to come again."""
        for name in list(self.panel_workers):
            if name in self._watchlist:
                learnt = self._watchlist.panel(name).learnt
                learnt.forget(now)
                await self._store.schedule.save_learnt(name, learnt.news(), now=now)
        return now + KEEP_EVERY

    async def keep_asked(self, now: float) -> float:
        """Put on record when orders were asked about last; returns when to come again."""
        if self.is_loading:  # what is not in the book yet would be lost
            return now + ASKED_EVERY
        asked = CheckTimes()
        for keys, times in self._watchlist.asked():
            asked.note(keys, times)
            await asyncio.sleep(0)
        if asked.newest != self._kept_asked:  # it is less where the clock was set back
            await self._store.schedule.save_asked(asked)
            self._kept_asked = asked.newest
        return now + ASKED_EVERY

    async def close(self) -> None:
        """End all connections."""
        await _close(self.panel_workers.values())

    def retry_unwell(self) -> None:
        """Ask every panel at once that is not well."""
        for workers in self.panel_workers.values():
            if workers.gateway.health.state is not HealthState.UP:
                workers.retry()

    # --- who tells whom ---

    def guard_for(self, panel: str) -> float | None:
        """Seconds for which a finished order of the panel stays watched, None: no such panel."""
        workers = self.panel_workers.get(panel)
        return workers.config.settings.guard_for if workers else None

    def on_orders(self, panels: set[str]) -> None:
        """There are new orders at these panels."""
        for panel in panels:
            self._schedule.wake(f"poll:{panel}")

    def on_planned(self, actions: Sequence[Action]) -> None:
        """Actions were planned, or are to be sent again."""
        for action in actions:
            workers = self.panel_workers.get(action.panel)
            if workers is not None:  # else it waits in the database for the panel to come back
                workers.sender.add([action])
                self._schedule.wake(f"actions:{action.panel}")

    def on_settled(self, settled: Settled) -> None:
        """Actions ended; what follows from it is on record."""
        now = self._clock()
        for action in settled.actions:
            workers = self.panel_workers.get(action.panel)
            if workers is not None:
                workers.sender.note(action)
        for refill in settled.refills:
            workers = self.panel_workers.get(refill.panel)
            if workers is not None:
                workers.refills.add([refill], now)
                self._schedule.wake(f"refills:{refill.panel}")
        self.on_orders({order.panel for order in settled.orders})

    # --- exchanging ---

    def _has_changed(self, panel: PanelConfig) -> bool:
        workers = self.panel_workers.get(panel.name)
        return workers is None or workers.config != panel

    async def _load_more(self, now: float) -> float:
        """The task: the next part of the orders, under their locks; it ends with the last."""
        async with self._recorder.hold(self.panel_workers.keys()):
            try:
                await self._loading.part(self._watchlist, now)
            except StoreCorrupt as error:
                self._on_damaged(error)
                raise
        self.on_orders(set(self.panel_workers))
        if self._loading.is_done:
            self._schedule.remove("load")
            log.info("orders.loaded", orders=sum(self._watchlist.counts.values()))
            self._loaded()
        return now

    def _loaded(self) -> None:
        self._begin(self.panel_workers.values())
        self._is_loaded.set()
        self._on_loaded()

    async def _load(self, fresh: Mapping[str, PanelWorkers]) -> _Load:
        orders = OrderLoader(self._store, fresh, links=self._watchlist.keeps_links)
        load = _Load(Watchlist(), orders, [], [])
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
        for panel in fresh:
            load.planned.extend(await self._store.actions.planned(panel))
        return load

    def _exchange(
        self, old: Sequence[PanelWorkers], new: Sequence[PanelWorkers], load: _Load
    ) -> None:
        """All at once: nobody sees a panel that is half there."""
        now = self._clock()
        for workers in old:
            del self.panel_workers[workers.name]
            self._watchlist.drop_panel(workers.name)
        for name in {workers.name for workers in old} - {workers.name for workers in new}:
            self._metrics.forget("panel", name)
        for workers in new:
            self.panel_workers[workers.name] = workers
        self._watchlist.take_over(load.watchlist)
        for refill in load.refills:
            self.panel_workers[refill.panel].refills.add([refill], now)
        for action in load.planned:
            self.panel_workers[action.panel].sender.add([action])
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

"""The stations of all panels: opened, exchanged at a reload, and told what concerns them."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
import structlog

from watcher.book import Book
from watcher.cadence import Learnt
from watcher.clocks import Clock
from watcher.config import PanelConfig
from watcher.errors import StoreCorrupt
from watcher.ledger import Ledger
from watcher.loading import Loading
from watcher.metrics import Metrics
from watcher.model import Action, Refill
from watcher.panels.health import HealthState
from watcher.records.asked import Asked
from watcher.schedule import Schedule
from watcher.station import Station, Workshop
from watcher.store import Settled, Store

log = structlog.get_logger()

KEEP_EVERY = 600.0  # seconds between two times that what was learnt is written
ASKED_EVERY = 60.0  # and between two times that it is written when orders were asked about


class _Load(msgspec.Struct, frozen=True):
    """What the database holds for some panels, and their orders, which may not all be there yet."""

    book: Book
    orders: Loading
    refills: list[Refill]
    planned: list[Action]


class Fleet:
    """`stations` by their panels' names; the tasks of each are in the schedule."""

    def __init__(
        self,
        *,
        store: Store,
        book: Book,
        ledger: Ledger,
        metrics: Metrics,
        schedule: Schedule,
        workshop: Workshop,
        clock: Clock,
        stations: dict[str, Station],
        on_loaded: Callable[[], None],
        on_damaged: Callable[[StoreCorrupt], None],
    ) -> None:
        self.stations = stations
        self._store = store
        self._book = book
        self._ledger = ledger
        self._metrics = metrics
        self._schedule = schedule
        self._workshop = workshop
        self._clock = clock
        self._on_loaded = on_loaded
        self._on_damaged = on_damaged
        self._is_loaded = asyncio.Event()
        self._kept_asked = 0  # the newest time that is on record

    async def begin(self, panels: Collection[PanelConfig]) -> None:
        """Have a station for each of the panels, which work while `load` brings their orders.

        The first orders are there when this returns: mostly all.
        """
        stations = [await self._workshop.build(panel) for panel in panels]
        try:
            load = await self._load({station.name: station for station in stations})
            await load.orders.part(load.book, self._clock())
            self._exchange((), stations, load)
        except BaseException:
            await _close(stations)
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
        new = [await self._workshop.build(panel) for panel in changed]
        fresh = {station.name: station for station in new}
        old = [s for name, s in self.stations.items() if name in fresh or name not in names]
        # Requests under way end first: they need the locks that are held below.
        await self._schedule.retire([task for station in old for task in station.tasks()])
        try:
            async with self._ledger.hold(fresh.keys() | {station.name for station in old}):
                load = await self._load(fresh)
                while not load.orders.is_done:
                    await load.orders.part(load.book, self._clock())
                self._exchange(old, new, load)
                self._begin(new)
                in_force()
        except BaseException:
            self._resume([station for station in old if self.stations.get(station.name) is station])
            await _close(new)
            raise
        await _close(old)

    async def keep_learnt(self, now: float) -> float:
        """Let old lessons fade, and put on record what is new; returns when to come again."""
        for name in list(self.stations):
            learnt = self._book.learnt(name)
            if learnt is not None:
                learnt.forget(now)
                await self._store.save_learnt(name, learnt.news(), now=now)
        return now + KEEP_EVERY

    async def keep_asked(self, now: float) -> float:
        """Put on record when orders were asked about last; returns when to come again."""
        if self.is_loading:  # what is not in the book yet would be lost
            return now + ASKED_EVERY
        asked = Asked()
        for keys, times in self._book.asked():
            asked.note(keys, times)
            await asyncio.sleep(0)
        if asked.newest != self._kept_asked:  # it is less where the clock was set back
            await self._store.save_asked(asked)
            self._kept_asked = asked.newest
        return now + ASKED_EVERY

    async def close(self) -> None:
        """End all connections."""
        await _close(self.stations.values())

    def retry_unwell(self) -> None:
        """Ask every panel at once that is not well."""
        for station in self.stations.values():
            if station.line.health.state is not HealthState.UP:
                station.retry()

    # --- who tells whom ---

    def guard_for(self, panel: str) -> float | None:
        """Seconds for which a finished order of the panel stays watched, None: no such panel."""
        station = self.stations.get(panel)
        return station.config.settings.guard_for if station else None

    def on_orders(self, panels: set[str]) -> None:
        """There are new orders at these panels."""
        for panel in panels:
            self._schedule.wake(f"poll:{panel}")

    def on_planned(self, actions: Sequence[Action]) -> None:
        """Actions were planned, or are to be sent again."""
        for action in actions:
            station = self.stations.get(action.panel)
            if station is not None:  # else it waits in the database for the panel to come back
                station.worker.add([action])
                self._schedule.wake(f"actions:{action.panel}")

    def on_settled(self, settled: Settled) -> None:
        """Actions ended; what follows from it is on record."""
        now = self._clock()
        for action in settled.actions:
            station = self.stations.get(action.panel)
            if station is not None:
                station.worker.note(action)
        for refill in settled.refills:
            station = self.stations.get(refill.panel)
            if station is not None:
                station.refills.add([refill], now)
                self._schedule.wake(f"refills:{refill.panel}")
        self.on_orders({order.panel for order in settled.orders})

    # --- exchanging ---

    def _has_changed(self, panel: PanelConfig) -> bool:
        station = self.stations.get(panel.name)
        return station is None or station.config != panel

    async def _load_more(self, now: float) -> float:
        """The task: the next part of the orders, under their locks; it ends with the last."""
        async with self._ledger.hold(self.stations.keys()):
            try:
                await self._loading.part(self._book, now)
            except StoreCorrupt as error:
                self._on_damaged(error)
                raise
        self.on_orders(set(self.stations))
        if self._loading.is_done:
            self._schedule.remove("load")
            log.info("orders.loaded", orders=sum(self._book.counts.values()))
            self._loaded()
        return now

    def _loaded(self) -> None:
        self._begin(self.stations.values())
        self._is_loaded.set()
        self._on_loaded()

    async def _load(self, fresh: Mapping[str, Station]) -> _Load:
        orders = Loading(self._store, fresh, links=self._book.keeps_links)
        load = _Load(Book(), orders, [], [])
        if not fresh:
            return load
        now = self._clock()
        learnt = await self._store.learnt(now=now)
        for name, station in fresh.items():
            known = self._book.learnt(name)
            if known is None:
                known = Learnt(now)
                known.load(learnt.get(name, ()))
            load.book.open(name, station.agenda(now), known)
        load.refills.extend(r for r in await self._store.open_refills() if r.panel in fresh)
        for panel in fresh:
            load.planned.extend(await self._store.planned(panel))
        return load

    def _exchange(self, old: Sequence[Station], new: Sequence[Station], load: _Load) -> None:
        """All at once: nobody sees a panel that is half there."""
        now = self._clock()
        for station in old:
            del self.stations[station.name]
            self._book.drop_panel(station.name)
        for name in {station.name for station in old} - {station.name for station in new}:
            self._metrics.forget("panel", name)
        for station in new:
            self.stations[station.name] = station
        self._book.take_over(load.book)
        for refill in load.refills:
            self.stations[refill.panel].refills.add([refill], now)
        for action in load.planned:
            self.stations[action.panel].worker.add([action])
        self._resume(new)

    def _begin(self, stations: Collection[Station]) -> None:
        for station in stations:
            self._book.begin(station.name)

    def _resume(self, stations: Collection[Station]) -> None:
        for station in stations:
            for task, work in station.tasks().items():
                self._schedule.add(task, work)


async def _close(stations: Collection[Station]) -> None:
    for station in stations:
        await station.line.client.close()

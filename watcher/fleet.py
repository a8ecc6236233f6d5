"""The workers of all panels: opened at a start, exchanged at a reload."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

import msgspec
import structlog

from watcher.book import Book
from watcher.cadence import Learnt
from watcher.config import Config, PanelConfig
from watcher.errors import StoreCorrupt
from watcher.loading import Loading
from watcher.model import Refill
from watcher.panels.health import HealthState
from watcher.reviews import Reviews
from watcher.schedule import Task
from watcher.shared import Shared
from watcher.station import Station, Workshop
from watcher.stopping import Stop

log = structlog.get_logger()


class _Load(msgspec.Struct, frozen=True):
    """What the database holds for some panels; their orders may not all be read yet."""

    book: Book
    orders: Loading
    refills: list[Refill]


class Fleet:
    """`stations` by their panels' names; the tasks of each are in the schedule."""

    def __init__(
        self,
        shared: Shared,
        reviews: Reviews,
        workshop: Workshop,
        stations: dict[str, Station],
        stop: Stop,
    ) -> None:
        self._store, self._book, self._judge = shared.store, shared.book, shared.judge
        self._config, self._locks = shared.config, shared.locks
        self._mailboxes, self._metrics = shared.mailboxes, shared.metrics
        self._schedule, self._clock = shared.schedule, shared.clock
        self.stations = stations
        self.loaded = asyncio.Event()  # the book has every order that it should have
        self._reviews = reviews
        self._workshop = workshop
        self._stop = stop
        self._exchanging = asyncio.Lock()
        self._when_loaded: Mapping[str, Task] = {}

    async def begin(self, when_loaded: Mapping[str, Task]) -> None:
        """Open the configured panels, whose workers begin while `load` reads their orders.

        The first orders are read when this returns: mostly all. `when_loaded` are the tasks that
        begin when all are.
        """
        self._when_loaded = when_loaded
        panels = self._config.current.panels.values()
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
            self._all_loaded()
        else:
            self._schedule.add("load", self._load_more)

    async def take_over(self, config: Config, *, anew: bool = False) -> None:
        """Put the configuration in force, with a station for each of its panels and no other.

        Stations whose panel did not change stay, unless all are wanted `anew`. A StoreError leaves
        all as it was.
        """
        async with self._exchanging:
            await self._take_over(config, anew=anew)

    async def start_over(self, now: float) -> float | None:
        """The task when the clock was set back: plan anew what was planned by the old time."""
        if not self.loaded.is_set():
            return now + 1.0
        async with self._exchanging:
            await self._take_over(self._config.current, anew=True)
        self._schedule.remove("start_over")
        return None

    def retry_unwell(self) -> None:
        """Ask every panel at once that is not well."""
        for station in self.stations.values():
            if station.line.health.state is not HealthState.UP:
                station.retry()

    async def close(self) -> None:
        """End all connections."""
        await _close(self.stations.values())

    # --- exchanging ---

    async def _take_over(self, config: Config, *, anew: bool) -> None:
        await self.loaded.wait()
        changed = [panel for panel in config.panels.values() if anew or self._has_changed(panel)]
        new = [await self._workshop.build(panel) for panel in changed]
        fresh = {station.name: station for station in new}
        kept = config.panels.keys() - fresh.keys()
        old = [station for name, station in self.stations.items() if name not in kept]
        # Requests under way end first: they need the locks that are held below.
        await self._schedule.retire([task for station in old for task in station.tasks()])
        try:
            async with self._locks.hold(fresh.keys() | {station.name for station in old}):
                load = await self._load(fresh)
                while not load.orders.is_done:
                    await load.orders.part(load.book, self._clock())
                self._exchange(old, new, load)
                self._begin(new)
                self._put_in_force(config)
        except BaseException:
            self._resume([station for station in old if self.stations.get(station.name) is station])
            await _close(new)
            raise
        self._schedule.add("review", self._reviews.review_all)
        await _close(old)

    def _has_changed(self, panel: PanelConfig) -> bool:
        station = self.stations.get(panel.name)
        return station is None or station.config != panel

    def _put_in_force(self, config: Config) -> None:
        """Replace the configuration at the moment when its stations stand in their place."""
        if config is not self._config.current:
            self._config.current = config
            self._judge.take_rules(config.rules)

    async def _load_more(self, now: float) -> float:
        """The task that reads the next orders, under their locks; it ends with the last."""
        async with self._locks.hold(self.stations.keys()):
            try:
                await self._loading.part(self._book, now)
            except StoreCorrupt as error:
                self._stop.request(error)
                raise
        self._mailboxes.wake_pollers(self.stations)
        if self._loading.is_done:
            self._schedule.remove("load")
            log.info("orders.loaded", orders=sum(self._book.counts.values()))
            self._all_loaded()
        return now

    def _all_loaded(self) -> None:
        """All orders are read: now the rules may look at them, and old ones may be moved away."""
        self._begin(self.stations.values())
        self.loaded.set()
        self._schedule.wake("survey")
        self._schedule.add("review", self._reviews.review_all)
        for name, task in self._when_loaded.items():
            self._schedule.add(name, task)

    async def _load(self, fresh: Mapping[str, Station]) -> _Load:
        orders = Loading(self._store, fresh, links=self._book.keeps_links)
        load = _Load(Book(), orders, [])
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
        return load

    def _exchange(self, old: Sequence[Station], new: Sequence[Station], load: _Load) -> None:
        """Exchange stations and orders without an await: nobody sees a panel half open."""
        now = self._clock()
        for station in old:
            del self.stations[station.name]
            self._book.drop_panel(station.name)
        for name in {station.name for station in old} - {station.name for station in new}:
            self._metrics.forget("panel", name)
        for station in new:
            self.stations[station.name] = station
        self._book.take_over(load.book)
        for name in {station.name for station in (*old, *new)}:
            self._mailboxes.take_refills(name)  # the new ones were just read, with all others
        for refill in load.refills:
            self.stations[refill.panel].refills.add([refill], now)
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

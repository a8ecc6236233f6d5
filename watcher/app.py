"""Builds the daemon, starts it, reloads its configuration and drains it."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from watcher import logs
from watcher.backups import Backups, clear_scratch
from watcher.book import Book
from watcher.clocks import Clock, Hindsight
from watcher.config import ActiveConfig, Config, check_reloadable
from watcher.core import Core
from watcher.errors import ConfigError, StoreError
from watcher.health import Health
from watcher.judge import Judge
from watcher.mailboxes import Mailboxes
from watcher.metrics import Metrics
from watcher.outlets import Outlets
from watcher.retention import Retention
from watcher.schedule import Schedule
from watcher.shared import Shared
from watcher.shops import ACTIONS
from watcher.station import Station
from watcher.stopping import Stop
from watcher.store import Store
from watcher.supervisor import Supervisor
from watcher.survey import Survey
from watcher.web.backend import Backend
from watcher.web.server import listen

log = structlog.get_logger()

CLOSE_WITHIN = 5.0  # seconds beyond `stop_timeout`


class Daemon:
    """The whole daemon. `reread` reads the configuration again, for a reload."""

    def __init__(
        self,
        config: Config,
        *,
        reread: Callable[[], Config] | None = None,
        clock: Clock = time.time,
        schedule: Schedule | None = None,
        supervisor: Supervisor | None = None,
        stop: Stop | None = None,
        address_setting: str = "`listen` in [daemon]",
    ) -> None:
        self.config = ActiveConfig(config)
        self._address_setting = address_setting
        self.stations: dict[str, Station] = {}
        self.book = Book()
        self.judge = Judge(config.rules, Hindsight(clock()))
        self.book.keeps_links = self.judge.wants_links()
        self.metrics = Metrics()
        self.port = 0
        self._reread = reread or (lambda: config)
        self._clock = clock
        self._supervisor = supervisor or Supervisor({}, 0)
        self._stop = stop or Stop()
        self._schedule = schedule or Schedule(clock=clock, metrics=self.metrics)
        self._reloading = asyncio.Lock()
        self._runner: web.AppRunner | None = None
        self._opened = AsyncExitStack()  # closes what was opened, the last first

    async def start(self) -> None:
        """Open the database, take up where the last run ended, and begin."""
        config = self.config.current
        logs.redaction.know(config.secrets())
        now = self._clock()
        self.store = await Store.open(
            config.database, now=now, observe=self.metrics.count_operation
        )
        self._opened.push_async_callback(self.store.close)
        clear_scratch(self.store.path)
        try:
            self._build(now)
            await self._begin(now)
            await self._listen()
        except BaseException:
            await self._opened.aclose()
            raise
        self._schedule.start()
        self._supervisor.ready(self._health.status())
        log.info(
            "daemon.started",
            url=f"http://{config.address(self.port)}",
            database=str(config.database),
            panels=len(self.stations),
            orders=self.survey.orders(),
            loading=not self.core.fleet.loaded.is_set(),
        )

    async def stop(self) -> None:
        """Finish what is under way, within `stop_timeout`, and close everything.

        All of it ends within CLOSE_WITHIN seconds more, whatever clients, panels and receivers do.
        """
        self._supervisor.stopping()
        log.info("daemon.stopping")
        within = self.config.current.daemon.stop_timeout
        ends_at = asyncio.get_running_loop().time() + within + CLOSE_WITHIN
        await self._stop_listening()
        drained = await self._schedule.drain(within)
        try:
            async with asyncio.timeout_at(ends_at):
                await self._opened.aclose()
        except TimeoutError:
            drained = False
        log.info("daemon.stopped", drained=drained)

    async def reload(self) -> None:
        """Put the configuration on disk in force, whole or not at all."""
        async with self._reloading:
            self._supervisor.reloading()
            try:
                await self._reload()
            finally:
                self._supervisor.ready(self._health.status())

    async def _reload(self) -> None:
        try:
            config = self._reread()
            check_reloadable(self.config.current, config)
            await self._take_over(config)
        except (ConfigError, StoreError) as error:
            self.survey.reload_ok = False
            problems = error.problems if isinstance(error, ConfigError) else [str(error)]
            log.error("config.refused", problems=problems)
            return
        self.survey.reload_ok, self.survey.reload_at = True, self._clock()
        log.info("config.reloaded", panels=len(config.panels), rules=len(config.rules))

    async def _take_over(self, config: Config) -> None:
        logs.redaction.know([*self.config.current.secrets(), *config.secrets()])
        wants_links = Judge(config.rules).wants_links()
        anew = wants_links and not self.book.keeps_links
        outlets = await self.outlets.prepare(config.notify, config.events)
        self.book.keeps_links |= wants_links  # until the next start: they are there anyway
        await self.core.fleet.take_over(config, anew=anew)
        self._know_shops()
        self.core.fleet.retry_unwell()
        await self.outlets.exchange(outlets)
        self._schedule.wake("backup")
        self._schedule.wake("retention")

    # --- building: each object gets what is below it, which is built before ---

    def _build(self, now: float) -> None:
        store, clock, schedule = self.store, self._clock, self._schedule
        shared = Shared(
            store=store,
            book=self.book,
            judge=self.judge,
            metrics=self.metrics,
            config=self.config,
            schedule=schedule,
            mailboxes=Mailboxes(schedule),
            clock=clock,
        )
        self.core = core = Core(shared, self.stations, self._stop)
        self.intake = core.intake
        self._backups = Backups(store=store, config=self.config)
        self._retention = Retention(store=store, config=self.config)
        self.survey = Survey(
            store=store,
            book=self.book,
            judge=self.judge,
            stations=self.stations,
            backups=self._backups,
            clock=clock,
            revision=os.environ.get("WATCHER_REVISION", ""),
        )
        self.survey.reload_at = now
        self._health = Health(
            store=store,
            metrics=self.metrics,
            schedule=schedule,
            survey=self.survey,
            stations=self.stations,
            supervisor=self._supervisor,
            clock=clock,
            loaded=core.fleet.loaded,
        )
        self.outlets = Outlets(
            store=store,
            judge=self.judge,
            survey=self.survey,
            metrics=self.metrics,
            schedule=schedule,
            clock=clock,
        )
        self.survey.queued, self.survey.behind = self.outlets.queued, self.outlets.behind
        self.metrics.watch(self.survey.state)
        schedule.on_jump = self._on_jump
        closing = core.fleet.close, core.checkpoints.save_last, core.outcomes.settle_last
        for close in (*closing, self.outlets.close):
            self._opened.push_async_callback(close)

    async def _begin(self, now: float) -> None:
        """Take up what is on record, and schedule the tasks."""
        self._know_shops()
        await self.core.begin(now, when_loaded=self._retention.tasks())
        config = self.config.current
        await self.outlets.exchange(await self.outlets.prepare(config.notify, config.events))
        self._schedule.add("survey", self.survey.run_once)
        self._schedule.add("backup", self._backups.run_once)
        self._health.watch()

    async def _listen(self) -> None:
        backend = Backend(
            store=self.store,
            book=self.book,
            judge=self.judge,
            intake=self.intake,
            survey=self.survey,
            health=self._health,
            backups=self._backups,
            stations=self.stations,
            outlets=self.outlets,
            metrics=self.metrics,
            config=self.config,
            clock=self._clock,
        )
        self._runner = await listen(backend, self._address_setting)
        self._opened.push_async_callback(self._stop_listening)
        self.port = self._runner.addresses[0][1]

    async def _stop_listening(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _know_shops(self) -> None:
        names = [shop.name for shop in self.config.current.shops]
        self.metrics.prepare_shops(names, (*ACTIONS, "other"))

    def _on_jump(self, seconds: float) -> None:
        """Somebody has set the clock."""
        self.judge.hindsight.jumped(seconds, self._clock())
        self.judge.jumped(seconds)
        self.outlets.jumped(seconds)
        if seconds < 0:
            self._schedule.add("start_over", self.core.fleet.start_over)

"""Builds the daemon: also starts, reloads and drains it."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from watcher import logs
from watcher.common.clock import Clock
from watcher.config import ActiveConfig, Config, ReloadOutcome, check_reloadable, reloaded
from watcher.daemon.backups import Backups, clear_scratch
from watcher.daemon.checks import Checks
from watcher.daemon.cluster import Cluster
from watcher.daemon.core import Core
from watcher.daemon.forgetting import Forgetting
from watcher.daemon.health import DaemonHealth
from watcher.daemon.leadership import OUTLETS, RETENTION, Leadership
from watcher.daemon.mailboxes import Mailboxes
from watcher.daemon.panel_workers import PanelWorkers
from watcher.daemon.retention import Retention
from watcher.daemon.shared import Shared
from watcher.daemon.status import DaemonStatus
from watcher.daemon.stopping import Stop
from watcher.daemon.systemd import Systemd
from watcher.daemon.task_runner import TaskRunner
from watcher.errors import ConfigError, StartError, StoreError
from watcher.events.feed import EventFeed
from watcher.metrics import Metrics
from watcher.notify.receivers import Receivers
from watcher.notify.worker import NotifyWorker
from watcher.orders.watchlist import Watchlist
from watcher.rules.brake import BRAKE_WINDOW
from watcher.rules.engine import RuleEngine
from watcher.rules.time_correction import TimeCorrection
from watcher.shop_api import ACTIONS
from watcher.store import Member, Store
from watcher.web.context import WebContext
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
        schedule: TaskRunner | None = None,
        supervisor: Systemd | None = None,
        stop: Stop | None = None,
        address_setting: str = "`listen` in [daemon]",
        brake_window: float = BRAKE_WINDOW,
    ) -> None:
        self.config = ActiveConfig(config, clock())
        self._address_setting = address_setting
        self.panel_workers: dict[str, PanelWorkers] = {}
        self.watchlist = Watchlist()
        settings = config.cluster
        self.leadership = Leadership(settings.name, settings.lease) if settings else Leadership()
        self.rule_engine = RuleEngine(config.rules, TimeCorrection(clock()), brake_window)
        self.watchlist.keeps = self.rule_engine.wanted()
        self.metrics = Metrics()
        self.port = 0
        self._reread = reread or (lambda: config)
        self._clock = clock
        self._supervisor = supervisor or Systemd({}, 0)
        self._stop = stop or Stop()
        self._schedule = schedule or TaskRunner(clock=clock, metrics=self.metrics)
        self._reloading = asyncio.Lock()
        self._runner: web.AppRunner | None = None
        self._cluster: Cluster | None = None
        self._opened = AsyncExitStack()  # closes what was opened, the last first

    async def start(self) -> None:
        """Open the database, take up where the last run ended, and begin."""
        config = self.config.current
        logs.redaction.know(config.secrets())
        now = self._clock()
        observe = self.metrics.count_operation
        node = config.cluster
        member = Member(node.name, node.lease) if node else None
        self.store = await Store.open(config.database, now=now, observe=observe, member=member)
        self._opened.push_async_callback(self.store.close)
        clear_scratch(self.store.path)
        try:
            self._build()
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
            panels=len(self.panel_workers),
            orders=self.daemon_status.orders(),
            loading=not self.core.registry.loaded.is_set(),
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
        if self._cluster is not None:
            self._cluster.leave_at_end = drained  # else something may still be sent
        try:
            async with asyncio.timeout_at(ends_at):
                await self._opened.aclose()
        except TimeoutError:
            drained = False
        log.info("daemon.stopped", drained=drained)

    async def reload(self) -> ReloadOutcome:
        """Put the configuration on disk in force, whole or not at all; return what came of it."""
        async with self._reloading:
            self._supervisor.reloading()
            try:
                return await self._reload()
            finally:
                self._supervisor.ready(self._health.status())

    async def _reload(self) -> ReloadOutcome:
        before = self.config.current
        try:
            config = self._reread()
            check_reloadable(before, config)
            if self._cluster is not None:
                self._cluster.check(config)
            await self._take_over(config)
        except (ConfigError, StartError, StoreError) as error:
            problems = error.problems if isinstance(error, ConfigError) else [str(error)]
            self.config.refused(problems)
            log.error("config.refused", problems=problems)
            return ReloadOutcome(problems=problems)
        self.config.accepted(self._clock())
        log.info("config.reloaded", panels=len(config.panels), rules=len(config.rules))
        return reloaded(before, config)

    async def _take_over(self, config: Config) -> None:
        logs.redaction.know([*self.config.current.secrets(), *config.secrets()])
        wanted = RuleEngine(config.rules).wanted()
        anew = not wanted <= self.watchlist.keeps
        receivers = None
        if self.leadership.owns(OUTLETS):
            receivers = await self.receivers.prepare(config.notify, config.events)
        self.watchlist.keeps |= wanted  # until the next start: they are there anyway
        await self.core.registry.take_over(config, anew=anew)
        self._know_shops()
        self.core.registry.retry_unwell()
        if receivers is not None:
            await self.receivers.exchange(receivers)
        if self._cluster is not None:
            await self._cluster.reconfigured()
        for task in ("backup", "retention", "forget"):
            self._schedule.wake(task)

    def _build(self) -> None:
        """Each object gets what was built before it."""
        store, clock, schedule = self.store, self._clock, self._schedule
        shared = Shared(
            store=store,
            watchlist=self.watchlist,
            rule_engine=self.rule_engine,
            metrics=self.metrics,
            config=self.config,
            schedule=schedule,
            mailboxes=Mailboxes(schedule),
            clock=clock,
            leadership=self.leadership,
        )
        self.core = core = Core(shared, self.panel_workers, self._stop)
        self.commands = core.commands
        self._checks = Checks(shared, core.commands, core.recorder, self.panel_workers)
        self._backups = Backups(store=store, config=self.config, clock=clock)
        retention = Retention(store=store, config=self.config)
        forgetting = Forgetting(store=store, config=self.config)
        self._upkeep = {**retention.tasks(), "forget": forgetting.run_once}
        self._health = DaemonHealth(
            shared=shared,
            panel_workers=self.panel_workers,
            supervisor=self._supervisor,
            loaded=core.registry.loaded,
        )
        notify_workers: dict[str, NotifyWorker] = {}
        feeds: dict[str, EventFeed] = {}
        self.daemon_status = DaemonStatus(
            shared=shared,
            panel_workers=self.panel_workers,
            backups=self._backups,
            health=self._health,
            notify_workers=notify_workers,
            feeds=feeds,
            revision=os.environ.get("WATCHER_REVISION", ""),
        )
        self.receivers = Receivers(
            store=store,
            rule_engine=self.rule_engine,
            daemon_status=self.daemon_status,
            metrics=self.metrics,
            schedule=schedule,
            clock=clock,
            notify_workers=notify_workers,
            feeds=feeds,
        )
        self.metrics.watch(self.daemon_status.state)
        schedule.on_jump = self._on_jump
        if (settings := self.config.current.cluster) is not None:
            duties = {OUTLETS: self._open_receivers, RETENTION: self._begin_upkeep}
            self._cluster = Cluster(core, settings, duties, self._stop)
            self._opened.push_async_callback(self._cluster.leave)
        last = core.checkpoints.save_last, core.outcomes.settle_last, self.receivers.close
        for close in (core.registry.close, *last):
            self._opened.push_async_callback(close)

    async def _begin(self, now: float) -> None:
        """Load the state from the database and schedule the tasks."""
        self._know_shops()
        if self._cluster is None:
            await self.core.begin(now, when_loaded=self._upkeep)
            await self._open_receivers()
        else:
            await self._cluster.join()
            await self.core.begin(now, when_loaded={})
            await self._cluster.begin(now)
            self._schedule.add("exchange", self.daemon_status.exchange)
        self._schedule.add("survey", self.daemon_status.run_once)
        self._schedule.add("backup", self._backups.run_once)
        self._health.watch()

    async def _begin_upkeep(self) -> None:
        for name, task in self._upkeep.items():
            self._schedule.add(name, task)

    async def _open_receivers(self) -> None:
        config = self.config.current
        await self.receivers.exchange(await self.receivers.prepare(config.notify, config.events))

    async def _listen(self) -> None:
        context = WebContext(
            store=self.store,
            watchlist=self.watchlist,
            rule_engine=self.rule_engine,
            commands=self.commands,
            checks=self._checks,
            pauses=self.core.pauses,
            daemon_status=self.daemon_status,
            health=self._health,
            backups=self._backups,
            panel_workers=self.panel_workers,
            receivers=self.receivers,
            metrics=self.metrics,
            config=self.config,
            clock=self._clock,
            leadership=self.leadership,
            reload=self.reload,
        )
        self._runner = await listen(context, self._address_setting)
        self._opened.push_async_callback(self._stop_listening)
        self.port = self._runner.addresses[0][1]

    async def _stop_listening(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _know_shops(self) -> None:
        shops = self.config.current.shops
        self.metrics.prepare_shops([shop.name for shop in shops], (*ACTIONS, "other"))

    def _on_jump(self, seconds: float) -> None:
        """Somebody has set the clock."""
        self.rule_engine.time_correction.jumped(seconds, self._clock())
        self.rule_engine.jumped(seconds)
        self.receivers.jumped(seconds)
        if seconds < 0:
            self._schedule.add("start_over", self.core.registry.start_over)

"""The only place that builds objects: start, reload, drain."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from watcher import logs
from watcher.common.round_robin import RoundRobin
from watcher.config import Config
from watcher.daemon.backups import Backups, clear_scratch
from watcher.daemon.commands import OrderCommands
from watcher.daemon.health import DaemonHealth
from watcher.daemon.outcomes import OutcomeWriter
from watcher.daemon.panel_registry import PanelRegistry
from watcher.daemon.panel_workers import PanelWorkers, PanelWorkersFactory
from watcher.daemon.recall import recall
from watcher.daemon.recorder import ChangeRecorder
from watcher.daemon.retention import Retention
from watcher.daemon.scheduler import Scheduler, kind_of
from watcher.daemon.status import DaemonStatus
from watcher.daemon.systemd import Systemd
from watcher.errors import ConfigError, StoreCorrupt, StoreError, cant_listen
from watcher.metrics import Metrics
from watcher.notify.receivers import Receivers
from watcher.orders.watchlist import Watchlist
from watcher.rules.brake import BRAKE_WINDOW
from watcher.rules.engine import RuleEngine
from watcher.rules.hindsight import Hindsight
from watcher.shop_api import ACTIONS, ShopHandlers
from watcher.store import Settled, Store
from watcher.web.connection_limit import ConnectionLimit, make_runner
from watcher.web.context import WebContext
from watcher.web.server import make_server

log = structlog.get_logger()

CLOSE_WITHIN = 5.0  # seconds beyond `stop_timeout`


class Daemon:
    """Everything together. `reread` gives the configuration anew, for a reload."""

    def __init__(
        self,
        config: Config,
        *,
        reread: Callable[[], Config] | None = None,
        clock: Callable[[], float] = time.time,
        schedule: Scheduler | None = None,
        supervisor: Systemd | None = None,
        address_setting: str = "`listen` in [daemon]",
        brake_window: float = BRAKE_WINDOW,
    ) -> None:
        self.config = config
        self._address_setting = address_setting
        self.panel_workers: dict[str, PanelWorkers] = {}
        self.watchlist = Watchlist()
        self.hindsight = Hindsight(clock())
        self.rule_engine = RuleEngine(config.rules, self.hindsight, brake_window)
        self.watchlist.keeps_links = self.rule_engine.wants_links()
        self.metrics = Metrics()
        self.port = 0
        self._reread = reread or (lambda: config)
        self._clock = clock
        self._supervisor = supervisor or Systemd({}, 0)
        self._schedule = schedule or Scheduler(
            clock=clock,
            observe=lambda task, late: self.metrics.count_start(kind_of(task), late),
            count_missed=lambda task: self.metrics.missed.labels(kind_of(task)).inc(),
        )
        self._schedule.on_jump = self._on_jump
        self.on_damaged: Callable[[StoreCorrupt], None] = lambda error: None
        self._reloading = asyncio.Lock()
        self._runner: web.AppRunner | None = None
        self._opened = AsyncExitStack()  # closes what was opened, the last first

    async def start(self) -> None:
        """Open the database, take up where the last run ended, and begin."""
        logs.redaction.know(_secrets(self.config))
        now = self._clock()
        self.store = await Store.open(
            self.config.database, now=now, observe=self.metrics.count_operation
        )
        self._opened.push_async_callback(self.store.close)
        clear_scratch(self.store.path)
        try:
            await self._build(now)
            await self._listen()
        except BaseException:
            await self._opened.aclose()
            raise
        self._schedule.start()
        self._supervisor.ready(self._health.status())
        log.info(
            "daemon.started",
            url=f"http://{_host(self.config.host)}:{self.port}",
            database=str(self.config.database),
            panels=len(self.panel_workers),
            orders=self.daemon_status.orders(),
            loading=self._registry.is_loading,
        )

    async def stop(self) -> None:
        """Finish what is under way, within `stop_timeout`, and close everything.

        All of it ends within CLOSE_WITHIN seconds more, whatever clients, panels and receivers do.
        """
        self._supervisor.stopping()
        log.info("daemon.stopping")
        within = self.config.daemon.stop_timeout
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
        """Take over the configuration on disk, whole or not at all."""
        async with self._reloading:
            self._supervisor.reloading()
            try:
                await self._reload()
            finally:
                self._supervisor.ready(self._health.status())

    async def _reload(self) -> None:
        try:
            config = self._reread()
            _check_reloadable(self.config, config)
            await self._take_over(config)
        except (ConfigError, StoreError) as error:
            self.daemon_status.reload_ok = False
            problems = error.problems if isinstance(error, ConfigError) else [str(error)]
            log.error("config.refused", problems=problems)
            return
        self.daemon_status.reload_ok = True
        self.daemon_status.reload_at = self._clock()
        log.info("config.reloaded", panels=len(config.panels), rules=len(config.rules))

    # --- building ---

    async def _build(self, now: float) -> None:
        unresolved = await self.store.recover()
        if unresolved:
            log.warning("actions.unresolved", count=unresolved, cause="the last run ended early")
        self.daemon_status = DaemonStatus(
            store=self.store,
            watchlist=self.watchlist,
            rule_engine=self.rule_engine,
            panel_workers=self.panel_workers,
            clock=self._clock,
            revision=os.environ.get("WATCHER_REVISION", ""),
        )
        self.daemon_status.reload_at = now
        self._health = DaemonHealth(
            store=self.store,
            metrics=self.metrics,
            schedule=self._schedule,
            daemon_status=self.daemon_status,
            panel_workers=self.panel_workers,
            supervisor=self._supervisor,
            clock=self._clock,
            is_loading=lambda: self._registry.is_loading,
        )
        round_robin = RoundRobin()
        self.recorder = ChangeRecorder(
            store=self.store,
            watchlist=self.watchlist,
            rule_engine=self.rule_engine,
            metrics=self.metrics,
            round_robin=round_robin,
            guard_for=lambda panel: self._registry.guard_for(panel),
            on_planned=lambda actions: self._registry.on_planned(actions),
            on_look=lambda at: self._schedule.wake("look", at),
            on_settled=self._on_settled,
        )
        self._outcomes = OutcomeWriter(
            store=self.store,
            rule_engine=self.rule_engine,
            recorder=self.recorder,
            clock=self._clock,
        )
        factory = PanelWorkersFactory(
            store=self.store,
            watchlist=self.watchlist,
            rule_engine=self.rule_engine,
            recorder=self.recorder,
            outcomes=self._outcomes,
            metrics=self.metrics,
            schedule=self._schedule,
            clock=self._clock,
            round_robin=round_robin,
        )
        self._registry = PanelRegistry(
            store=self.store,
            watchlist=self.watchlist,
            recorder=self.recorder,
            metrics=self.metrics,
            schedule=self._schedule,
            factory=factory,
            clock=self._clock,
            panel_workers=self.panel_workers,
            on_loaded=self._on_loaded,
            on_damaged=lambda error: self.on_damaged(error),
        )
        self._opened.push_async_callback(self._registry.close)
        self._opened.push_async_callback(self._keep_last)
        self._opened.push_async_callback(self._settle_last)
        self.commands = OrderCommands(
            store=self.store,
            watchlist=self.watchlist,
            rule_engine=self.rule_engine,
            recorder=self.recorder,
            metrics=self.metrics,
            clock=self._clock,
            profiles=lambda: {n: s.config.profile for n, s in self.panel_workers.items()},
            on_orders=self._registry.on_orders,
            on_planned=self._registry.on_planned,
        )
        self._backups = Backups(
            store=self.store,
            settings=lambda: self.config.daemon,
            on_made=self._on_backup,
        )
        self._retention = Retention(store=self.store, settings=lambda: self.config.daemon)
        self.receivers = Receivers(
            store=self.store,
            rule_engine=self.rule_engine,
            daemon_status=self.daemon_status,
            metrics=self.metrics,
            schedule=self._schedule,
            clock=self._clock,
        )
        self._opened.push_async_callback(self.receivers.close)
        self.daemon_status.queued, self.daemon_status.behind = (
            self.receivers.queued,
            self.receivers.behind,
        )
        self.metrics.watch(self.daemon_status.state)
        self._know_shops()
        await recall(self.store, self.rule_engine, now)
        await self._registry.begin(self.config.panels.values())
        receivers = await self.receivers.prepare(self.config.notify, self.config.events)
        await self.receivers.exchange(receivers)
        self._schedule.add("look", self.recorder.look)
        self._schedule.add("outcomes", self._outcomes.run_once)
        self._schedule.add("survey", self.daemon_status.run_once)
        self._health.watch()
        self._schedule.add("backup", self._backups.run_once)
        self._schedule.add("learnt", self._registry.keep_learnt)
        self._schedule.add("asked", self._registry.keep_asked)

    async def _listen(self) -> None:
        context = WebContext(
            store=self.store,
            watchlist=self.watchlist,
            rule_engine=self.rule_engine,
            commands=self.commands,
            daemon_status=self.daemon_status,
            panel_workers=self.panel_workers,
            handlers=ShopHandlers(
                store=self.store,
                watchlist=self.watchlist,
                rule_engine=self.rule_engine,
                commands=self.commands,
                panel_workers=self.panel_workers,
                shops=lambda: self.config.shops,
                clock=self._clock,
            ),
            shops=lambda: self.config.shops,
            receivers=self.receivers,
            metrics=self.metrics,
            clock=self._clock,
            token=lambda: self.config.token,
            hosts=lambda: self.config.hosts,
            not_ready=self._health.problems,
        )
        count = self._count_web_fault
        runner = make_runner(make_server(context), count)
        await runner.setup()
        self._runner = runner
        self._opened.push_async_callback(self._stop_listening)
        try:
            await ConnectionLimit(runner, self.config.host, self.config.port, count).start()
        except OSError as error:
            where = f"{_host(self.config.host)}:{self.config.port}"
            raise cant_listen(where, error, self._address_setting) from None
        self.port = runner.addresses[0][1]

    # --- reloading and closing ---

    async def _take_over(self, config: Config) -> None:
        logs.redaction.know([*_secrets(self.config), *_secrets(config)])

        def in_force() -> None:
            self.config = config
            self.rule_engine.take_rules(config.rules)
            self._know_shops()

        wants_links = RuleEngine(config.rules).wants_links()
        anew = wants_links and not self.watchlist.keeps_links
        receivers = await self.receivers.prepare(config.notify, config.events)
        self.watchlist.keeps_links |= wants_links  # until the next start: they are there anyway
        await self._registry.take_over(config.panels.values(), in_force, anew=anew)
        self._registry.retry_unwell()
        await self.receivers.exchange(receivers)
        self._schedule.wake("backup")
        self._schedule.wake("retention")
        self._schedule.add("review", self._review)

    async def _stop_listening(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # --- who tells whom ---

    def _know_shops(self) -> None:
        self.metrics.prepare_shops([shop.name for shop in self.config.shops], (*ACTIONS, "other"))

    async def _keep_last(self) -> None:
        """What was learnt since it was last written; if that fails, it is learnt again."""
        now = self._clock()
        try:
            await self._registry.keep_learnt(now)
            await self._registry.keep_asked(now)
        except StoreError as error:
            log.error("learnt.lost", cause=str(error))

    async def _settle_last(self) -> None:
        """What the database could not take until now; left out, it is unresolved at next start."""
        try:
            await self._outcomes.settle()
        except StoreError as error:
            log.error("outcomes.lost", cause=str(error))

    def _on_settled(self, settled: Settled) -> None:
        self._registry.on_settled(settled)
        self.commands.settled(settled.actions)

    def _on_loaded(self) -> None:
        """The book is whole: now the rules see every order, and old ones may be moved away."""
        self._schedule.wake("survey")
        self._schedule.add("retention", self._retention.run_once)
        self._schedule.add("purge", self._retention.purge)
        self._schedule.add("review", self._review)

    def _count_web_fault(self, reason: str) -> None:
        self.metrics.web_faults.labels(reason).inc()

    def _on_jump(self, seconds: float) -> None:
        self.hindsight.jumped(seconds, self._clock())
        self.rule_engine.jumped(seconds)
        self.receivers.jumped(seconds)
        if seconds < 0:
            self._schedule.add("start_over", self._start_over)

    def _on_backup(self, at: float) -> None:
        self.daemon_status.backup_at = max(self.daemon_status.backup_at, at)

    # --- the daemon's own tasks ---

    async def _start_over(self, now: float) -> float | None:
        """The clock was set back: plan anew whatever was planned by the old time."""
        if self._registry.is_loading:
            return now + 1.0
        async with self._reloading:
            await self._registry.take_over(self.config.panels.values(), anew=True)
        self._schedule.add("review", self._review)
        self._schedule.remove("start_over")
        return None

    async def _review(self, now: float) -> float | None:
        """After a start or a reload: the rules look at every order once, then when it changes."""
        await self.recorder.review(self.watchlist.orders(), now)
        self._schedule.remove("review")
        return None


def _secrets(config: Config) -> list[str]:
    keys = [panel.key for panel in config.panels.values()] + [shop.key for shop in config.shops]
    told = [secret for one in config.notify for secret in (one.url, one.secret)]
    told += [secret for one in config.events for secret in (one.url, one.secret)]
    sent = [one for panel in config.panels.values() for one in panel.request.secrets(panel.url)]
    return sent + [secret.reveal() for secret in (*keys, *told, config.token) if secret is not None]


def _check_reloadable(old: Config, new: Config) -> None:
    fixed = {
        "daemon.database": (old.database, new.database),
        "daemon.listen": (old.daemon.listen, new.daemon.listen),
    }
    problems = [f"{name}: a change needs a restart" for name, (a, b) in fixed.items() if a != b]
    if problems:
        raise ConfigError(problems)


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host

"""The workers of one panel, and what builds them."""

from functools import partial
from random import Random

import msgspec

from watcher.config import PanelConfig
from watcher.daemon.account_sync import AccountSync
from watcher.daemon.action_outcomes import OutcomeWriter
from watcher.daemon.action_sender import ActionSender
from watcher.daemon.cluster_status import limited_until
from watcher.daemon.poller import Poller
from watcher.daemon.recorder import ChangeRecorder
from watcher.daemon.refill_poller import RefillPoller
from watcher.daemon.reviews import Reviews
from watcher.daemon.shared import Shared
from watcher.daemon.task_runner import Task, TaskRunner
from watcher.metrics import REQUESTS
from watcher.model import Kind
from watcher.orders.columns.table import OrderTable
from watcher.orders.schedule import PollQueue
from watcher.orders.watchlist import Watchlist
from watcher.panels.breaker import Breaker
from watcher.panels.client import PanelClient
from watcher.panels.gateway import PanelGateway
from watcher.panels.health import SERVICES
from watcher.panels.pacing import Pace
from watcher.panels.rate import Rate, start_of
from watcher.panels.unread import UnreadValues


class PanelWorkers(msgspec.Struct, frozen=True, kw_only=True):
    """One panel's workers."""

    config: PanelConfig
    gateway: PanelGateway
    poller: Poller
    sender: ActionSender
    refills: RefillPoller
    account_sync: AccountSync
    watchlist: Watchlist
    schedule: TaskRunner

    @property
    def name(self) -> str:
        return self.config.name

    def poll_queue(self, now: float) -> PollQueue:
        """Return an empty queue of checks, by the panel's limits and the configuration."""
        settings = self.config.settings
        return PollQueue(
            OrderTable(self.name),
            now,
            within=settings.check_within,
            ids_per_minute=settings.requests_per_minute
            * max(1, self.gateway.client.limit("status")),
            idle_every=settings.idle_every,
        )

    def tasks(self) -> dict[str, Task]:
        """Return the tasks to schedule for the panel, by name."""
        can = self.config.profile.can
        tasks: dict[str, Task] = {
            f"poll:{self.name}": self.poller.run_once,
            f"actions:{self.name}": self.sender.run_once,
            # Also if the panel can't report refills: their tasks are given up in time.
            f"refills:{self.name}": self.refills.run_once,
            f"rate:{self.name}": self.account_sync.rate,
            f"probe:{self.name}": self.account_sync.probe,
        }
        if can("balance"):
            tasks[f"balance:{self.name}"] = self.account_sync.balance
        if can("services"):
            tasks[f"services:{self.name}"] = self.account_sync.services
        return tasks

    def retry(self) -> None:
        """Ask the panel at once; end every pause that its failures or refusals caused."""
        self.account_sync.retry()
        self._ask_all()

    def recovered(self) -> None:
        """Ask at once about all orders in a pause: the panel no longer refuses everything."""
        self._ask_all()

    def resumed(self) -> None:
        """Send at once what waited while somebody had paused the panel."""
        self.sender.begin_anew()
        for task in ("poll", "actions", "refills", "probe"):
            self.schedule.wake(f"{task}:{self.name}")

    def _ask_all(self) -> None:
        self.poller.begin_anew()
        self.sender.begin_anew()
        self.watchlist.panel(self.name).poll_queue.retry_refused(self.gateway.clock())
        unread = {fault.call for fault in self.gateway.health.faults}
        for task in self.tasks():
            # The price list is large, and panels limit how often it is read.
            if not task.startswith(f"{SERVICES}:") or SERVICES in unread:
                self.schedule.wake(task)


class PanelWorkersFactory(msgspec.Struct, frozen=True, kw_only=True):
    """Builds the workers of panels from what all of them share."""

    shared: Shared
    recorder: ChangeRecorder
    reviews: Reviews
    outcomes: OutcomeWriter

    async def build(self, panel: PanelConfig) -> PanelWorkers:
        """Return workers that are ready to run; no request is sent yet."""
        gateway = await self._gateway(panel)
        settings = panel.settings
        workers = PanelWorkers(
            config=panel,
            gateway=gateway,
            watchlist=self.shared.watchlist,
            schedule=self.shared.schedule,
            poller=Poller(
                gateway=gateway,
                watchlist=self.shared.watchlist,
                recorder=self.recorder,
                metrics=self.shared.metrics,
                round_robin=self.shared.round_robin,
                schedule=self.shared.schedule,
            ),
            sender=ActionSender(
                gateway=gateway,
                store=self.shared.store,
                outcomes=self.outcomes,
                mailboxes=self.shared.mailboxes,
            ),
            refills=RefillPoller(
                gateway=gateway,
                store=self.shared.store,
                watchlist=self.shared.watchlist,
                rule_engine=self.shared.rule_engine,
                reviews=self.reviews,
                mailboxes=self.shared.mailboxes,
                gives_up_after=settings.refill_gives_up_after,
            ),
            account_sync=AccountSync(
                gateway=gateway,
                store=self.shared.store,
                watchlist=self.shared.watchlist,
                rule_engine=self.shared.rule_engine,
                reviews=self.reviews,
                balance_every=settings.balance_every,
                services_every=settings.services_every,
            ),
        )
        gateway.on_probe = partial(self.shared.schedule.wake, f"probe:{panel.name}")
        gateway.on_recovered = workers.recovered
        return workers

    async def _gateway(self, panel: PanelConfig) -> PanelGateway:
        name, settings = panel.name, panel.settings
        unread = UnreadValues(
            name, lambda action, field: self.shared.metrics.unread.labels(name, action, field).inc()
        )

        def note_unread(action: str, field: str, value: str) -> None:
            unread.note(action, field, value)
            gateway.health.unread(action, field, value, self.shared.clock())

        client = PanelClient(
            name=name,
            url=panel.url,
            key=panel.key.reveal(),
            dialect=panel.request,
            profile=panel.profile,
            timeout=settings.timeout,
            on_request=lambda action, seconds, reason: self.shared.metrics.count_request(
                name, action, seconds, reason
            ),
            on_unread=note_unread,
            round_robin=self.shared.round_robin,
            trust=self.shared.leadership,
        )
        await client.open()
        requests = [request for request in REQUESTS if client.limit(request)]
        self.shared.metrics.prepare(name, requests, [k for k in Kind if _CAPABILITY[k] in requests])
        most = settings.requests_per_minute
        remembered = await self.shared.store.schedule.rate(name)
        start = start_of(
            most, stated=panel.states_rate, remembered=remembered, now=self.shared.clock()
        )
        breaker = Breaker(Random(name).random)  # differs between panels, not between runs
        pace, pauses = Pace(Rate(most, start), await self._pause(name)), self.shared.pauses
        gateway = PanelGateway(name, client, pace, breaker, self.shared.clock, pauses)
        return gateway

    async def _pause(self, panel: str) -> float:
        """Return until when the panel has told its last leader, another node, to wait."""
        leadership = self.shared.leadership
        told = await self.shared.store.panel_status.of(panel) if leadership.is_clustered else None
        return 0.0 if told is None or told.node == leadership.name else limited_until(told)


_CAPABILITY = {Kind.SUBMIT: "add", Kind.REFILL: "refill", Kind.CANCEL: "cancel"}

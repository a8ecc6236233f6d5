"""All notify workers and event feeds; a reload exchanges them."""

from collections.abc import Mapping, Sequence

import msgspec

from watcher.alerts import KnownAlert
from watcher.common.clock import Clock
from watcher.config import EventsTarget, NotifyTarget
from watcher.daemon.status import DaemonStatus
from watcher.daemon.task_runner import TaskRunner
from watcher.errors import NotFound
from watcher.events.feed import EventFeed
from watcher.events.retry_lanes import RetryLanes
from watcher.metrics import Metrics
from watcher.notify.monitor import Monitor
from watcher.notify.worker import NotifyWorker
from watcher.rules.engine import RuleEngine
from watcher.store import Store

_FORGET_EVERY, _KEPT = 86400.0, 30 * 86400.0  # seconds


class PreparedReceivers(msgspec.Struct, frozen=True):
    """The stored state of targets that are to be opened."""

    notify: Sequence[NotifyTarget]
    events: Sequence[EventsTarget]
    since: Mapping[str, float]
    known: Mapping[str, Sequence[KnownAlert]]
    lanes: Mapping[str, RetryLanes]


class Receivers:
    """Builds and closes the workers and feeds, by target, and schedules their tasks."""

    def __init__(
        self,
        *,
        store: Store,
        rule_engine: RuleEngine,
        daemon_status: DaemonStatus,
        metrics: Metrics,
        schedule: TaskRunner,
        clock: Clock,
        notify_workers: dict[str, NotifyWorker],
        feeds: dict[str, EventFeed],
    ) -> None:
        self.notify_workers = notify_workers
        self.feeds = feeds
        self._store = store
        self._metrics = metrics
        self._schedule = schedule
        self._clock = clock
        self._monitor = Monitor(
            store=store,
            rule_engine=rule_engine,
            daemon_status=daemon_status,
            on_queued=self._on_queued,
            now=clock(),
        )

    async def prepare(
        self, notify: Sequence[NotifyTarget], events: Sequence[EventsTarget]
    ) -> PreparedReceivers:
        """Read the stored state of these targets. A StoreError leaves everything as it was."""
        since: Mapping[str, float] = {}
        known: Mapping[str, Sequence[KnownAlert]] = {}
        lanes: Mapping[str, RetryLanes] = {}
        if notify:
            now = self._clock()
            since = await self._store.outbox.know_targets(
                [target.name for target in notify], now=now
            )
            known = await self._store.outbox.known_alerts()
        if events:
            opened = await self._store.events.open_lanes([target.name for target in events])
            lanes = {name: RetryLanes(*open_lanes) for name, open_lanes in opened.items()}
        return PreparedReceivers(notify, events, since, known, lanes)

    async def exchange(self, prepared: PreparedReceivers) -> None:
        """Serve these targets and no others."""
        await self._exchange_workers(prepared.notify)
        await self._exchange_feeds(prepared)
        self._monitor.take_over(prepared.notify, prepared.since, prepared.known)
        if prepared.notify:
            self._schedule.add("notices", self._monitor.run_once)
        else:
            self._schedule.remove("notices")
        self._schedule.add("targets", self._forget)

    async def close(self) -> None:
        """End all connections."""
        for notify_worker in self.notify_workers.values():
            await notify_worker.close()
        for feed in self.feeds.values():
            await feed.close()

    def jumped(self, seconds: float) -> None:
        """Note that the clock was set; if it was set back, make all that waits due now."""
        if seconds >= 0:
            return
        for name, notify_worker in self.notify_workers.items():
            notify_worker.hurry()
            self._schedule.wake(f"notify:{name}")
        for feed in self.feeds.values():
            feed.lanes.hurry(self._clock())
            self.wake(feed)

    def notify_worker(self, name: str) -> NotifyWorker:
        """Return the target's worker; raises NotFound."""
        if name not in self.notify_workers:
            raise NotFound(f"there is no [[notify]] target {name[:40]!r}")
        return self.notify_workers[name]

    def feed(self, name: str) -> EventFeed:
        """Return the target's feed; raises NotFound."""
        if name not in self.feeds:
            raise NotFound(f"there is no [[events]] target {name[:40]!r}")
        return self.feeds[name]

    def wake(self, feed: EventFeed) -> None:
        """Run the feed now: there is something to send."""
        self._schedule.wake(f"events:{feed.target.name}")

    async def _exchange_workers(self, targets: Sequence[NotifyTarget]) -> None:
        wanted = {target.name: target for target in targets}
        for name, notify_worker in list(self.notify_workers.items()):
            if wanted.get(name) != notify_worker.target:
                await self._schedule.retire([f"notify:{name}"])
                await self.notify_workers.pop(name).close()
                if name not in wanted:
                    self._metrics.forget("notifier", name)
        for name, target in wanted.items():
            if name not in self.notify_workers:
                notify_worker = NotifyWorker(
                    target, store=self._store, metrics=self._metrics, clock=self._clock
                )
                self.notify_workers[name] = notify_worker
                self._schedule.add(f"notify:{name}", notify_worker.run_once)

    async def _exchange_feeds(self, prepared: PreparedReceivers) -> None:
        wanted = {target.name: target for target in prepared.events}
        for name, feed in list(self.feeds.items()):
            if wanted.get(name) != feed.target:
                await self._schedule.retire([f"events:{name}"])
                await feed.close()
                if name not in wanted:
                    self._metrics.forget("target", name)
        feeds = self.feeds.copy()
        self.feeds.clear()
        for name, target in wanted.items():
            old = feeds.get(name)
            if old is not None and old.target == target:
                self.feeds[name] = old
                continue
            lanes = prepared.lanes[name] if old is None else old.lanes
            self.feeds[name] = EventFeed(
                target, lanes, store=self._store, metrics=self._metrics, clock=self._clock
            )
            self._schedule.add(f"events:{name}", self.feeds[name].run_once)

    async def _forget(self, now: float) -> float:
        """Delete the state of removed targets, and old messages; return when to run next."""
        await self._store.outbox.forget_targets(list(self.notify_workers))
        await self._store.events.forget_targets(list(self.feeds))
        await self._store.outbox.forget_messages(now - _KEPT)
        return now + _FORGET_EVERY

    def _on_queued(self, target: str) -> None:
        self._schedule.wake(f"notify:{target}")

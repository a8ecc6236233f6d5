"""Who is told outside: people by couriers, programs by feeds; exchanged at a reload."""

from collections.abc import Mapping, Sequence

import msgspec

from watcher.clocks import Clock
from watcher.config import EventsTarget, NotifyTarget
from watcher.errors import NotFound
from watcher.judge import Judge
from watcher.metrics import Metrics
from watcher.outlets.courier import Courier
from watcher.outlets.feed import Feed
from watcher.outlets.reporter import Reporter
from watcher.schedule import Schedule
from watcher.store import Store
from watcher.survey import Survey
from watcher.telling.lanes import Lanes
from watcher.telling.notices import Known

_FORGET_EVERY, _KEPT = 86400.0, 30 * 86400.0  # seconds


class Prepared(msgspec.Struct, frozen=True):
    """What is on record of targets that are to be told from now on."""

    notify: Sequence[NotifyTarget]
    events: Sequence[EventsTarget]
    since: Mapping[str, float]
    known: Mapping[str, Sequence[Known]]
    lanes: Mapping[str, Lanes]


class Outlets:
    """`couriers` and `feeds` by their targets' names; the tasks of each are in the schedule."""

    def __init__(
        self,
        *,
        store: Store,
        judge: Judge,
        survey: Survey,
        metrics: Metrics,
        schedule: Schedule,
        clock: Clock,
    ) -> None:
        self.couriers: dict[str, Courier] = {}
        self.feeds: dict[str, Feed] = {}
        self._store = store
        self._metrics = metrics
        self._schedule = schedule
        self._clock = clock
        self._reporter = Reporter(
            store=store, judge=judge, survey=survey, on_queued=self._on_queued, now=clock()
        )

    async def prepare(
        self, notify: Sequence[NotifyTarget], events: Sequence[EventsTarget]
    ) -> Prepared:
        """Read what is on record of these targets. A StoreError leaves all as it was."""
        since: Mapping[str, float] = {}
        known: Mapping[str, Sequence[Known]] = {}
        lanes: Mapping[str, Lanes] = {}
        if notify:
            now = self._clock()
            since = await self._store.know_targets([target.name for target in notify], now=now)
            known = await self._store.known_troubles()
        if events:
            lanes = await self._store.open_lanes([target.name for target in events])
        return Prepared(notify, events, since, known, lanes)

    async def exchange(self, prepared: Prepared) -> None:
        """Tell these targets, and no others."""
        await self._exchange_couriers(prepared.notify)
        await self._exchange_feeds(prepared)
        self._reporter.take_over(prepared.notify, prepared.since, prepared.known)
        if prepared.notify:
            self._schedule.add("notices", self._reporter.run_once)
        else:
            self._schedule.remove("notices")
        self._schedule.add("targets", self._forget)

    async def close(self) -> None:
        """End all connections."""
        for courier in self.couriers.values():
            await courier.close()
        for feed in self.feeds.values():
            await feed.close()

    def jumped(self, seconds: float) -> None:
        """The clock was set by so many seconds: set back, what waits would wait for longer."""
        if seconds >= 0:
            return
        for name, courier in self.couriers.items():
            courier.hurry()
            self._schedule.wake(f"notify:{name}")
        for feed in self.feeds.values():
            feed.lanes.hurry(self._clock())
            self.wake(feed)

    def queued(self) -> dict[str, int]:
        """How many messages wait for each target."""
        return {name: courier.waiting for name, courier in self.couriers.items()}

    def behind(self) -> dict[str, int]:
        """How much each program has not been told yet."""
        return {name: feed.behind() for name, feed in self.feeds.items()}

    def courier(self, name: str) -> Courier:
        """The courier of that target; NotFound where there is none."""
        if name not in self.couriers:
            raise NotFound(f"there is no [[notify]] target {name[:40]!r}")
        return self.couriers[name]

    def feed(self, name: str) -> Feed:
        """The feed of that target; NotFound where there is none."""
        if name not in self.feeds:
            raise NotFound(f"there is no [[events]] target {name[:40]!r}")
        return self.feeds[name]

    def wake(self, feed: Feed) -> None:
        """There is something to tell."""
        self._schedule.wake(f"events:{feed.target.name}")

    async def _exchange_couriers(self, targets: Sequence[NotifyTarget]) -> None:
        wanted = {target.name: target for target in targets}
        for name, courier in list(self.couriers.items()):
            if wanted.get(name) != courier.target:
                await self._schedule.retire([f"notify:{name}"])
                await self.couriers.pop(name).close()
                if name not in wanted:
                    self._metrics.forget("notifier", name)
        for name, target in wanted.items():
            if name not in self.couriers:
                courier = Courier(
                    target, store=self._store, metrics=self._metrics, clock=self._clock
                )
                self.couriers[name] = courier
                self._schedule.add(f"notify:{name}", courier.run_once)

    async def _exchange_feeds(self, prepared: Prepared) -> None:
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
            self.feeds[name] = Feed(
                target, lanes, store=self._store, metrics=self._metrics, clock=self._clock
            )
            self._schedule.add(f"events:{name}", self.feeds[name].run_once)

    async def _forget(self, now: float) -> float:
        """Remove what concerns targets that are gone, and old messages; when to come again."""
        await self._store.forget_targets(list(self.couriers))
        await self._store.forget_event_targets(list(self.feeds))
        await self._store.forget_messages(now - _KEPT)
        return now + _FORGET_EVERY

    def _on_queued(self, target: str) -> None:
        self._schedule.wake(f"notify:{target}")

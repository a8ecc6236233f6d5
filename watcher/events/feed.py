"""Sends changed orders to one program until each change has arrived."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import structlog

from watcher.alerts import ChangeKind
from watcher.common.clock import Clock
from watcher.common.signatures import secret_of
from watcher.config import EventsTarget
from watcher.errors import NotFound, Undelivered
from watcher.events.retry_lanes import RetryLanes, kind_of
from watcher.events.webhook import Webhook
from watcher.metrics import Metrics
from watcher.metrics.gauges import ReceiverState
from watcher.store import DeadEvent, OrderEvent, Store

log = structlog.get_logger()

EVERY = 1.0  # seconds between two reads of changes
_WAVE = 200  # changes that are read, sent and recorded at a time
_WAVES = 20  # a run
_PATIENCE = 20.0  # seconds after which a run sends nothing more
_CHAIN = 50  # changes of one order at a time
_MOST_DEAD = 10_000


class EventFeed:
    """Sends events to one target: each at least once, in sequence for each order."""

    def __init__(
        self,
        target: EventsTarget,
        lanes: RetryLanes,
        *,
        store: Store,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self.target = target
        self.lanes = lanes
        self.arrived_at: float | None = None
        self._fails_since = 0.0
        self._store = store
        self._clock = clock
        self._turn = asyncio.Lock()
        self._until = 0.0
        self._saved = lanes.cursor
        self._dead: list[DeadEvent] = []  # given up, and not yet recorded
        secret = None if target.secret is None else secret_of(target.secret.reveal())
        fixed = {name: value.reveal() for name, value in target.headers.items()}
        self._webhook = Webhook(target.url.reveal(), secret, fixed)
        self._attempts = metrics.events.labels(target.name)
        self._failures = metrics.event_failures.labels(target.name)
        lanes.hurry(clock())  # a restart or a reload may have repaired it

    async def run_once(self, now: float) -> float:
        """Send what waits, in short waves; returns when to run next."""
        async with self._turn:
            self._until = now + _PATIENCE
            for _ in range(_WAVES):
                if self._clock() >= self._until or not await self._wave(self._clock()):
                    break
            if self.lanes.cursor != self._saved:
                await self._save()
        return max(self._clock() + EVERY, self.lanes.paused_until)

    def state(self) -> ReceiverState:
        """Return how far it is behind: changes not read yet, and orders whose events wait."""
        behind = self._store.changes.count_changes_after(self.lanes.cursor) + len(self.lanes.held)
        error = self.lanes.error
        since = self._fails_since if error else 0.0
        return ReceiverState(name=self.target.name, waiting=behind, error=error, fails_since=since)

    async def close(self) -> None:
        """End the connections; events under way fail and are sent again after a start."""
        self._until = 0.0
        await self._webhook.close()
        async with self._turn:  # their failure is recorded
            await self._webhook.close()

    # --- replay ---

    async def replay_since(self, at: float) -> None:
        """Send again everything since then."""
        async with self._turn:
            first = await self._store.history.first_change_since(at)
            if first is not None:
                self.lanes.rewind(first - 1)
                await self._save()

    async def replay_order(self, panel: str, order_id: str) -> None:
        """Send the order again, from its first change on."""
        order = await self._store.orders.get(panel, order_id)
        if order is None:
            raise NotFound(f"order {order_id} at {panel} is not tracked")
        async with self._turn:
            self.lanes.hold(order.key, 0, self._clock())
            await self._save()

    async def replay_dead(self) -> int:
        """Send again dead events and their orders' later changes; return how many are dead."""
        async with self._turn:
            given_up = await self._store.events.dead(self.target.name, _MOST_DEAD)
            for dead in given_up:
                self.lanes.hold(dead.key, dead.change, self._clock())
            await self._save()
            await self._store.events.bury(self.target.name, [dead.change for dead in given_up])
            return len(given_up)

    # --- sending ---

    async def _wave(self, now: float) -> bool:
        """Send one wave; returns whether there was anything to do."""
        room = self.lanes.room(now)
        if not room:
            return False
        before = self.arrived_at
        # While the target is down, try new changes first, not only the ones that failed.
        ways = (self._read_on, self._retry) if self.lanes.is_down else (self._retry, self._read_on)
        for way in ways:
            if await way(now, room):
                if self.lanes.changed or self.arrived_at != before:
                    await self._save()
                return True
        return False

    async def _read_on(self, now: float, room: int) -> bool:
        """Send the next changes, except of orders in a retry lane, which come later."""
        if not self.lanes.may_read():
            return False
        if not self._store.changes.may_have_changes_after(self.lanes.cursor):
            return False
        events = await self._store.history.changes_after(self.lanes.cursor, _WAVE)
        if not events:
            return False
        by_order: dict[int, list[OrderEvent]] = {}
        for event in events:
            if event.key not in self.lanes.held and self._wants(event):
                by_order.setdefault(event.key, []).append(event)
        await self._send_all(by_order, room)
        self.lanes.cursor = events[-1].id
        return True

    async def _retry(self, now: float, room: int) -> bool:
        """Send the changes of orders whose retry is due."""
        due = self.lanes.due(now)[:room]
        chains: dict[int, list[OrderEvent]] = {}
        after: dict[int, int | None] = {}
        for lane in due:
            events = await self._store.history.changes_of(
                lane.key, lane.first, self.lanes.cursor, _CHAIN
            )
            chains[lane.key] = [event for event in events if self._wants(event)]
            after[lane.key] = events[-1].id + 1 if len(events) == _CHAIN else None
        for key in await self._send_all(chains, room):
            self.lanes.go_on(key, after[key], self._clock())
        return bool(due)

    async def _send_all(self, by_order: Mapping[int, Sequence[OrderEvent]], room: int) -> list[int]:
        """Send changes of several orders at once; return the orders that are complete."""
        limit = asyncio.Semaphore(room)

        async def tell(key: int, events: Sequence[OrderEvent]) -> bool:
            async with limit:
                return await self._tell_order(key, events)

        keys = list(by_order)
        arrived = await asyncio.gather(*(tell(key, by_order[key]) for key in keys))
        return [key for key, whole in zip(keys, arrived, strict=True) if whole]

    async def _tell_order(self, key: int, events: Sequence[OrderEvent]) -> bool:
        for event in events:
            now = self._clock()
            if not self.lanes.room(now) or now >= self._until:  # it went down, or is slow
                self.lanes.hold(key, event.id, now)
                return False
            self._attempts.inc()
            try:
                await self._webhook.send(_id(event), _body(event), self._clock())
            except Undelivered as error:
                self._failed(event, error)
                return False
            self.lanes.arrived(self._clock())
            self.arrived_at = self._clock()
        return True

    def _failed(self, event: OrderEvent, error: Undelivered) -> None:
        self._failures.inc()
        now, cause = self._clock(), str(error)
        is_first = self.lanes.error is None
        self._fails_since = now if is_first else self._fails_since
        wait = error.retry_after if error.for_good or error.retry_after else None
        if self.lanes.failed(event.key, event.id, cause, now, wait=wait):
            dead = DeadEvent(event.id, event.key, now, cause, event.panel, event.order)
            self._dead.append(dead)
            log.error("event.given_up", target=self.target.name, order=event.order, cause=cause)
        elif is_first:
            log.warning("event.failed", target=self.target.name, order=event.order, cause=cause)

    def _wants(self, event: OrderEvent) -> bool:
        panels = self.target.panels
        return (panels is None or event.panel in panels) and _kind(event) in self.target.on

    async def _save(self) -> None:
        dead, cursor, changed = list(self._dead), self.lanes.cursor, self.lanes.unsaved()
        await self._store.events.save_lanes(self.target.name, cursor, changed, dead)
        self.lanes.changed -= changed.keys()
        del self._dead[: len(dead)]
        self._saved = cursor


def _kind(event: OrderEvent) -> ChangeKind:
    return kind_of(msgspec.json.decode(event.changes, type=dict[str, msgspec.Raw]))


def _id(event: OrderEvent) -> str:
    """Return an id that is equal in all attempts, but differs after a restored backup."""
    return f"evt_{event.id}_{event.at * 1000:.0f}"


def _body(event: OrderEvent) -> bytes:
    current = dict(event.current)
    if current["charge"] is not None:
        current["charge"] = format(current["charge"], "f")
    document = {
        "type": f"order.{_kind(event)}",
        "timestamp": datetime.fromtimestamp(event.at, UTC),
        "data": {
            "panel": event.panel,
            "order": event.order,
            "service": event.service,
            "quantity": event.quantity,
            **msgspec.structs.asdict(event.labels),
            "changes": msgspec.Raw(event.changes.encode()),
            "current": current,
        },
    }
    return msgspec.json.encode(document)

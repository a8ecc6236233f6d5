"""Tells one program of changed orders, each change until it has arrived."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import structlog

from watcher.clocks import Clock
from watcher.config import EventsTarget
from watcher.errors import NotFound, Undelivered
from watcher.metrics import Metrics
from watcher.store import DeadEvent, OrderEvent, Store
from watcher.telling.lanes import Change, Lanes, kind_of
from watcher.telling.signatures import secret_of
from watcher.telling.webhooks import Webhook

log = structlog.get_logger()

EVERY = 1.0  # seconds between two looks for changes
_WAVE = 200  # changes that are read, sent and put on record at a time
_WAVES = 20  # a run
_PATIENCE = 20.0  # seconds of a run, after which nothing further is sent
_CHAIN = 50  # changes of one order at a time
_MOST_DEAD = 10_000


class Feed:
    """One target's: at least once each, those of one order in order."""

    def __init__(
        self,
        target: EventsTarget,
        lanes: Lanes,
        *,
        store: Store,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self.target = target
        self.lanes = lanes
        self.arrived_at: float | None = None
        self._store = store
        self._clock = clock
        self._turn = asyncio.Lock()
        self._until = 0.0
        self._saved = lanes.cursor
        self._dead: list[DeadEvent] = []  # given up, and not yet on record so
        secret = None if target.secret is None else secret_of(target.secret.reveal())
        self._webhook = Webhook(target.url.reveal(), secret)
        self._attempts = metrics.events.labels(target.name)
        self._failures = metrics.event_failures.labels(target.name)
        lanes.hurry(clock())  # a restart or a reload may have mended it

    async def run_once(self, now: float) -> float:
        """Tell what there is to tell, in short waves; returns when to come again."""
        async with self._turn:
            self._until = now + _PATIENCE
            for _ in range(_WAVES):
                if self._clock() >= self._until or not await self._wave(self._clock()):
                    break
            if self.lanes.cursor != self._saved:
                await self._save()
        return max(self._clock() + EVERY, self.lanes.paused_until)

    def behind(self) -> int:
        """Changes that were not looked at yet, and orders whose events wait; 0: all is told."""
        return self._store.count_changes_after(self.lanes.cursor) + len(self.lanes.held)

    async def close(self) -> None:
        """End the connections; events under way fail, and are sent again after a start."""
        self._until = 0.0
        await self._webhook.close()
        async with self._turn:  # their failure is recorded
            await self._webhook.close()

    # --- telling again ---

    async def replay_since(self, at: float) -> None:
        """Tell of everything since then once more."""
        async with self._turn:
            first = await self._store.first_change_since(at)
            if first is not None:
                self.lanes.rewind(first - 1)
                await self._save()

    async def replay_order(self, panel: str, order_id: str) -> None:
        """Tell of the order once more, from its first change on."""
        order = await self._store.order(panel, order_id)
        if order is None:
            raise NotFound(f"order {order_id} at {panel} is not tracked")
        async with self._turn:
            self.lanes.hold(order.key, 0, self._clock())
            await self._save()

    async def replay_dead(self) -> int:
        """Tell once more of what was given up, and of its orders from there on; how many."""
        async with self._turn:
            letters = await self._store.dead_events(self.target.name, _MOST_DEAD)
            for dead in letters:
                self.lanes.hold(dead.key, dead.change, self._clock())
            await self._save()
            await self._store.bury(self.target.name, [dead.change for dead in letters])
            return len(letters)

    # --- telling ---

    async def _wave(self, now: float) -> bool:
        """Whether there was anything to do."""
        room = self.lanes.room(now)
        if not room:
            return False
        before = self.arrived_at
        # What never arrives must not be all that is tried of a target that fails.
        ways = (self._read_on, self._go_on) if self.lanes.is_down else (self._go_on, self._read_on)
        for way in ways:
            if await way(now, room):
                if self.lanes.changed or self.arrived_at != before:
                    await self._save()
                return True
        return False

    async def _read_on(self, now: float, room: int) -> bool:
        """Tell of the next changes; those of orders that wait, wait with them."""
        if not self.lanes.may_read():
            return False
        if not self._store.may_have_changes_after(self.lanes.cursor):
            return False
        events = await self._store.changes_after(self.lanes.cursor, _WAVE)
        if not events:
            return False
        by_order: dict[int, list[OrderEvent]] = {}
        for event in events:
            if event.key not in self.lanes.held and self._wants(event):
                by_order.setdefault(event.key, []).append(event)
        await self._tell_all(by_order, room)
        self.lanes.cursor = events[-1].id
        return True

    async def _go_on(self, now: float, room: int) -> bool:
        """Tell of orders that wait and are due."""
        due = self.lanes.due(now)[:room]
        chains: dict[int, list[OrderEvent]] = {}
        after: dict[int, int | None] = {}
        for lane in due:
            events = await self._store.changes_of(lane.key, lane.first, self.lanes.cursor, _CHAIN)
            chains[lane.key] = [event for event in events if self._wants(event)]
            after[lane.key] = events[-1].id + 1 if len(events) == _CHAIN else None
        for key in await self._tell_all(chains, room):
            self.lanes.go_on(key, after[key], self._clock())
        return bool(due)

    async def _tell_all(self, by_order: Mapping[int, Sequence[OrderEvent]], room: int) -> list[int]:
        """Tell of several orders at once, of each in order; those of which all has arrived."""
        seats = asyncio.Semaphore(room)

        async def tell(key: int, events: Sequence[OrderEvent]) -> bool:
            async with seats:
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
        dead, cursor = list(self._dead), self.lanes.cursor
        await self._store.save_lanes(self.target.name, self.lanes, dead)
        del self._dead[: len(dead)]
        self._saved = cursor


def _kind(event: OrderEvent) -> Change:
    return kind_of(msgspec.json.decode(event.changes, type=dict[str, msgspec.Raw]))


def _id(event: OrderEvent) -> str:
    """The same at each attempt, also after a restart; the time tells it from a restored past."""
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
            "changes": msgspec.Raw(event.changes.encode()),
            "current": current,
        },
    }
    return msgspec.json.encode(document)

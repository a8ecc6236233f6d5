"""Delivers one target's messages from the outbox until each has arrived."""

import asyncio

import structlog

from watcher.common.clock import Clock
from watcher.common.signatures import secret_of
from watcher.config import NotifyTarget
from watcher.errors import Undelivered
from watcher.events.retries import LONG_ENOUGH, pause
from watcher.events.webhook import JSON, Webhook
from watcher.metrics import Metrics
from watcher.metrics.gauges import ReceiverState
from watcher.notify.apprise_channel import AppriseChannel
from watcher.notify.messages import NotifyMessage, message_for, trial
from watcher.store import Message, Store

log = structlog.get_logger()

_AT_ONCE = 3  # messages a run, up to the first that does not arrive
_TEXT = {"content-type": "text/plain; charset=utf-8"}


class NotifyWorker:
    """Delivers to one target. A message that a kill cut off is sent again with its id."""

    def __init__(
        self,
        target: NotifyTarget,
        *,
        store: Store,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self.target = target
        self.waiting = 0
        self.arrived_at: float | None = None
        self.error: str | None = None
        self._fails_since = 0.0
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._sending = asyncio.Lock()
        self._hurried = False  # a restart or a reload may have repaired the target
        url = target.url.reveal()
        is_web = url.lower().startswith(("http://", "https://"))
        self._way: _Hook | AppriseChannel = _Hook(target) if is_web else AppriseChannel(url)
        for counter in (metrics.notifications, metrics.notification_failures):
            counter.labels(target.name)

    async def run_once(self, now: float) -> float | None:
        """Send what is due; returns when the next message is."""
        async with self._sending:
            if not self._hurried:
                await self._store.outbox.hurry(self.target.name, now)
                self._hurried = True
            for message in await self._store.outbox.waiting(self.target.name, _AT_ONCE, due=now):
                if not await self._deliver(message):
                    break
        self.waiting, next_at = (await self._store.outbox.queued()).get(self.target.name, (0, None))
        return next_at

    def state(self) -> ReceiverState:
        """Return how many messages wait, and whether the last attempt failed."""
        return ReceiverState(
            name=self.target.name,
            waiting=self.waiting,
            error=self.error,
            fails_since=self._fails_since,
        )

    def hurry(self) -> None:
        """Make all waiting messages due at the next run."""
        self._hurried = False

    async def test(self) -> None:
        """Send a test message; raises Undelivered if it may not have arrived."""
        now = self._clock()
        await self._attempt(f"test_{self.target.name}_{now:.3f}", trial(self.target.name, now))

    async def close(self) -> None:
        """End the connections; a message under way fails and is sent again after a start."""
        await self._way.close()
        async with self._sending:  # its failure is recorded
            await self._way.close()

    async def _deliver(self, message: Message) -> bool:
        now = self._clock()
        try:
            # Equal at each attempt: the receiver drops duplicates by it.
            message_id = f"msg_{message.id}_{message.queued_at:.0f}"
            await self._attempt(message_id, message_for(message.notices, message.queued_at))
        except Undelivered as error:
            await self._put_off(message, error, now)
            return False
        await self._store.outbox.delivered([message.id])
        return True

    async def _put_off(self, message: Message, error: Undelivered, now: float) -> None:
        name, cause = self.target.name, str(error)
        if error.for_good or now - message.queued_at >= LONG_ENOUGH:
            log.error("notification.given_up", notifier=name, message=message.id, cause=cause)
            await self._store.outbox.give_up([message.id], cause)
            return
        wait = max(error.retry_after, pause(message.attempts + 1))
        log.warning("notification.failed", notifier=name, cause=cause, again_in=round(wait))
        await self._store.outbox.put_off([message.id], cause, now + wait)

    async def _attempt(self, message_id: str, message: NotifyMessage) -> None:
        now, name = self._clock(), self.target.name
        self._metrics.notifications.labels(name).inc()
        try:
            await self._way.send(message_id, message, now)
        except Undelivered as error:
            self._metrics.notification_failures.labels(name).inc()
            self.error = str(error)
            self._fails_since = self._fails_since or now
            raise
        self.arrived_at, self.error, self._fails_since = now, None, 0.0


class _Hook:
    """Sends to a target with a web URL."""

    def __init__(self, target: NotifyTarget) -> None:
        secret = None if target.secret is None else secret_of(target.secret.reveal())
        self._format = target.format
        self._webhook = Webhook(target.url.reveal(), secret)
        self.close = self._webhook.close

    async def send(self, message_id: str, message: NotifyMessage, now: float) -> None:
        if self._format == "text":
            headers = {**_TEXT, "x-title": message.title}
            await self._webhook.send(message_id, message.text.encode(), now, headers)
        else:
            await self._webhook.send(message_id, message.body, now, JSON)

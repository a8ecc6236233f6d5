"""Records how actions end: sent, resolved by a person, or withdrawn.

The outcome of a sent action is known once and can't be asked for again: it waits here while the
database can't store it, even if its worker ends.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import msgspec
import structlog

from watcher.daemon.reviews import Reviews
from watcher.daemon.shared import Shared
from watcher.errors import LifecycleError, StoreError
from watcher.model import Action, ActionState, Kind, Outcome, Refill
from watcher.orders.lifecycle import is_running
from watcher.orders.schedule import MIN_GAP
from watcher.panels.protocol import is_refill_disabled
from watcher.store import Settled

log = structlog.get_logger()

LONGEST_TIMEOUT = 60.0  # seconds that an action of a panel which is not configured may take


class OutcomeWriter:
    """Writes outcomes and their consequences; wakes tasks that wait for one."""

    def __init__(self, shared: Shared, reviews: Reviews) -> None:
        self._store, self._watchlist, self._rule_engine = (
            shared.store,
            shared.watchlist,
            shared.rule_engine,
        )
        self._metrics, self._config, self._locks = shared.metrics, shared.config, shared.locks
        self._mailboxes, self._clock = shared.mailboxes, shared.clock
        self._leadership, self._check_led = shared.leadership, shared.check_led
        self._reviews = reviews
        self._waiting: list[Outcome] = []
        self._awaited: defaultdict[int, set[asyncio.Future[Action]]] = defaultdict(set)

    @property
    def is_settled(self) -> bool:
        """Whether no outcome waits to be recorded."""
        return not self._waiting

    async def settle(self, outcomes: Sequence[Outcome] = ()) -> None:
        """Record these outcomes and those that wait. On StoreError all of them wait."""
        self._waiting.extend(outcomes)
        if not self._waiting:
            return
        outcomes, self._waiting = self._waiting, []
        async with self._locks.hold({outcome.action.panel for outcome in outcomes}):
            now = self._clock()
            try:
                settled = await self._store.actions.settle(outcomes, now=now)
            except LifecycleError:  # a bug: the others are recorded, and a retry is useless
                raise
            except BaseException:
                self._waiting = outcomes + self._waiting
                raise
            self._enter(settled, now)
        await self._remember_refusals(outcomes, now)

    async def run_once(self, now: float) -> float | None:
        """Retry the outcomes that wait; a worker with actions to send retries sooner."""
        await self.settle()
        return None

    async def settle_last(self) -> None:
        """Settle at the daemon's end; what can't be recorded is unresolved at the next start."""
        try:
            await self.settle()
        except StoreError as error:
            log.error("outcomes.lost", cause=str(error))

    async def withdraw(self, action: Action, why: str) -> Action:
        """Reject the action if it is not sent yet; return its state."""
        async with self._locks.hold([action.panel]):
            self._check_led(action.panel)
            now = self._clock()
            withdrawn = await self._store.actions.withdraw([action.id], why, now=now)
            self._enter(Settled(actions=withdrawn, orders=[], refills=[]), now)
        return await self._store.actions.get(action.id) or action

    async def resolve(self, action: Action, state: ActionState, result: str | None) -> Action:
        """Record the outcome of an unresolved action, as found by a person.

        Raises Conflict as long as a node that was stopped may still send it.
        """
        panel = self._config.panel(action.panel)
        async with self._locks.hold([action.panel]):
            now = self._clock()
            if action.state is ActionState.UNRESOLVED:
                timeout = panel.settings.timeout if panel else LONGEST_TIMEOUT
                self._leadership.check_over(action.sent_at, timeout, now)
            self._check_led(action.panel)
            settled = await self._store.actions.resolve(action.id, state, result=result, now=now)
            self._enter(settled, now)
        return settled.actions[0]

    async def wait_for(self, action: Action, seconds: float) -> Action:
        """Return the action once its outcome is recorded, or its state after so many seconds."""
        if not _is_open(action):
            return action
        future: asyncio.Future[Action] = asyncio.get_running_loop().create_future()
        self._awaited[action.id].add(future)
        try:
            known = await self._store.actions.get(action.id)
            if known is not None and not _is_open(known):
                return known  # it ended before anyone waited
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            return await self._store.actions.get(action.id) or action
        finally:
            self._forget(action.id, future)

    def _forget(self, action: int, future: asyncio.Future[Action]) -> None:
        """Forget waiters that have stopped: an action can stay planned for days."""
        self._awaited[action].discard(future)
        if not self._awaited[action]:
            del self._awaited[action]

    # --- consequences ---

    def _enter(self, settled: Settled, now: float) -> None:
        """Update memory with committed outcomes. The caller holds the panels' locks."""
        for action in settled.actions:
            self._enter_action(action, now)
        for order in settled.orders:
            if self._config.panel(order.panel) is not None:
                self._watchlist.add(order, now + MIN_GAP)
        for refill in settled.refills:
            self._follow(refill)
        self._mailboxes.note_planned(a for a in settled.actions if _concerns_sender(a))
        self._mailboxes.wake_pollers({order.panel for order in settled.orders})

    def _enter_action(self, action: Action, now: float) -> None:
        self._rule_engine.note_action(action)
        planned_again = action.state is ActionState.PLANNED
        outcome = "not_sent" if planned_again else action.state.value
        self._metrics.action_results.labels(action.panel, action.kind, outcome).inc()
        for future in self._awaited.pop(action.id, ()):
            if not future.done():
                future.set_result(action)
        if planned_again:
            return
        if action.state is ActionState.ACCEPTED and action.order is not None:
            self._enter_accepted(action.kind, action.panel, action.order)
        if action.state is not ActionState.UNRESOLVED:
            self._reviews.review_soon(action.panel, action.order or "", now)
        if self._config.panel(action.panel) is not None:
            _log(action)

    def _enter_accepted(self, kind: Kind, panel: str, order_id: str) -> None:
        now, order = self._clock(), self._watchlist.order(panel, order_id)
        if kind is Kind.CANCEL:
            self._watchlist.panel(panel).hasten(order_id, now + MIN_GAP, now)
        elif kind is Kind.REFILL and order is not None:
            self._watchlist.panel(panel).refill_accepted(order_id)
            self._watchlist.replace(msgspec.structs.replace(order, refills=order.refills + 1))

    def _follow(self, refill: Refill) -> None:
        """Pass an accepted refill to its poller; without a configured panel it stays stored.

        The rules know at once that it runs, before the panel is asked about it.
        """
        panel = self._config.panel(refill.panel)
        if panel is not None:
            running = is_running(refill, tells=panel.profile.can("refill_status"))
            self._rule_engine.note_refill(refill.panel, refill.order, refill.id, running=running)
            self._mailboxes.add_refill(refill)

    async def _remember_refusals(self, outcomes: Sequence[Outcome], now: float) -> None:
        """Remember services whose refills are refused as disabled: they get no more refills."""
        for outcome in outcomes:
            action, answer = outcome.action, outcome.answer or ""
            if action.kind is not Kind.REFILL or not is_refill_disabled(answer):
                continue
            order = await self._store.orders.get(action.panel, action.order or "")
            service = order.service if order else None
            if service is None:
                continue
            await self._store.services.refill_disabled(action.panel, service, answer, now=now)
            self._rule_engine.refill_disabled[action.panel, service] = answer


def _is_open(action: Action) -> bool:
    return action.state in (ActionState.PLANNED, ActionState.SENDING)


def _concerns_sender(action: Action) -> bool:
    """Return whether the sender's count has changed: planned again, or withdrawn."""
    return action.state is ActionState.PLANNED or action.sent_at is None


def _log(action: Action) -> None:
    at_level = log.warning if action.state is ActionState.UNRESOLVED else log.info
    at_level(
        f"action.{action.state.value}",
        action=action.id,
        kind=action.kind.value,
        panel=action.panel,
        order=action.order,
        rule=action.rule,
        answer=action.answer,
    )

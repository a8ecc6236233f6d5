"""Records changes of orders and the rules' decisions: the only place that writes them.

1. The rules decide on the changed orders.
2. One transaction writes the changes, their history, the firings and the planned actions.
3. After the commit: update the watched orders and the metrics, wake the action senders.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import structlog

from watcher.daemon.shared import Shared
from watcher.errors import LifecycleError, StoreRefused, WatcherError
from watcher.model import FINAL, Action, Order, Phase, RuleAction, Transition
from watcher.orders.lifecycle import guard_ends_at
from watcher.orders.schedule import MIN_GAP
from watcher.rules.outcome import RuleOutcome

log = structlog.get_logger()


class ChangeRecorder:
    """Records transitions and the rules' decisions on them."""

    def __init__(self, shared: Shared) -> None:
        self._store, self._watchlist, self._rule_engine = (
            shared.store,
            shared.watchlist,
            shared.rule_engine,
        )
        self._metrics, self._config, self._locks = shared.metrics, shared.config, shared.locks
        self._mailboxes, self._schedule = shared.mailboxes, shared.schedule
        self._round_robin, self._check_led = shared.round_robin, shared.check_led
        self._recorded = asyncio.Event()

    @asynccontextmanager
    async def turn(self, panel: str) -> AsyncIterator[None]:
        """Hold the panel's lock for reading its orders and `keep`; wait for a round-robin turn."""
        async with self._locks.hold([panel]):
            await self._round_robin.take()
            yield

    async def keep(
        self, panel: str, changes: Sequence[Transition | Order], now: float
    ) -> dict[str, WatcherError]:
        """Record the transitions, and the rules' decisions on them and on unchanged orders.

        The caller has read them within one `turn`. Returns the errors of those that can't be
        recorded, by order id: a bad row affects no other. Raises StoreError if the database fails,
        and NotLed if another node leads the panel.
        """
        if not changes:
            return {}
        self._check_led(panel)
        try:
            await self._keep(changes, now)
        except (LifecycleError, StoreRefused) as error:
            if len(changes) == 1:
                return {_order(changes[0]).id: error}
            middle = len(changes) // 2
            first = await self.keep(panel, changes[:middle], now)
            return first | await self.keep(panel, changes[middle:], now)
        return {}

    async def take_up(self, panel: str, ids: Iterable[str], now: float) -> None:
        """Track untracked orders that the panel has reported. The caller has the `turn`."""
        found = [Order(panel=panel, id=i, submitted_at=now, progressed_at=now) for i in ids]
        for order in await self._store.orders.track(found, now=now):
            self._watchlist.add(order, now + MIN_GAP)

    def note_planned(self, actions: Sequence[Action]) -> None:
        """Note committed planned actions. The caller holds their panel's lock."""
        for action in actions:
            self._rule_engine.note_action(action)
            self._metrics.actions.labels(action.panel, action.kind).inc()

    async def next_record(self) -> None:
        """Wait until an order changes, or an answer about some is handled."""
        await self._recorded.wait()

    def note_handled(self) -> None:
        """Wake those that wait for what an answer says of an order."""
        self._recorded.set()
        self._recorded = asyncio.Event()

    def is_over(self, order: Order, now: float) -> bool:
        """Return whether the order's guard has ended: rules ignore it, and a review closes it."""
        ends_at = self._guard_end(order, now)
        return ends_at is not None and ends_at <= now

    async def _keep(self, changes: Sequence[Transition | Order], now: float) -> None:
        transitions = [change for change in changes if isinstance(change, Transition)]
        orders = [_order(change) for change in changes]
        rule_outcome = self._rule_engine.evaluate(
            (o for o in orders if not self.is_over(o, now)), now
        )
        rule_outcome.reviews += [(order, None) for order in orders if self.is_over(order, now)]
        if is_news := bool(transitions or rule_outcome.firings):
            await self._record(transitions, rule_outcome, now)
        for transition in transitions:
            self._enter(transition)
        if transitions:
            self.note_handled()
        self._plan_reviews(rule_outcome, now)
        self._log_outcome(rule_outcome)
        if is_news:  # a commit wakes many tasks at once: take turns
            await self._round_robin.take()

    async def _record(
        self, transitions: Sequence[Transition], rule_outcome: RuleOutcome, now: float
    ) -> None:
        try:
            planned = await self._store.changes.record(
                transitions, rule_outcome.firings, rule_outcome.plans, now=now
            )
        except BaseException:
            self._rule_engine.release(rule_outcome)
            raise
        self._release_unplanned(rule_outcome, planned)
        self.note_planned(planned)
        self._mailboxes.note_planned(planned)

    def _release_unplanned(self, rule_outcome: RuleOutcome, planned: Sequence[Action]) -> None:
        """Undo firings that were not recorded: an action of that kind was under way already."""
        kept = {(action.rule, action.panel, action.order) for action in planned}
        wanted = {(plan.rule, plan.panel, plan.order) for plan in rule_outcome.plans}
        for firing in rule_outcome.firings:
            key = (firing.rule, firing.panel, firing.order)
            if key in wanted and key not in kept:
                self._rule_engine.release_firing(firing, rule_outcome)

    def _enter(self, transition: Transition) -> None:
        before, after = transition.before, transition.after
        self._watchlist.replace(after)
        self._metrics.count_transition(transition)
        if after.phase is Phase.CLOSED:
            self._rule_engine.forget(after)
        if after.status in FINAL and before.status not in FINAL:
            self._metrics.count_finish(after)

    def _plan_reviews(self, rule_outcome: RuleOutcome, now: float) -> None:
        for order, at in rule_outcome.reviews:
            self._watchlist.review_at(order, _earliest(at, self._guard_end(order, now)))
        next_review = self._watchlist.next_review()
        if next_review is not None:
            self._schedule.wake("look", next_review)

    def _guard_end(self, order: Order, now: float) -> float | None:
        panel = self._config.panel(order.panel)
        order = self._rule_engine.time_correction.order(order, now)
        return guard_ends_at(order, panel.settings.guard_for if panel else 0.0)

    def _log_outcome(self, rule_outcome: RuleOutcome) -> None:
        for rule, panel in rule_outcome.held:
            log.warning("rule.held", rule=rule, panel=panel, cause="more than per_hour wanted")
        for rule, cause in rule_outcome.switched_off:
            log.error("rule.switched_off", rule=rule, cause=cause, until="a reload")
        for order, decision in rule_outcome.failures[:1]:  # a broken rule fails for every order
            log.warning(
                "rule.failed",
                rule=decision.rule,
                panel=order.panel,
                order=order.id,
                cause=decision.detail,
            )
        for firing in rule_outcome.firings:
            if firing.action is RuleAction.NOTIFY:
                self._metrics.notifications.labels("log").inc()
                log.info(
                    "rule.notify",
                    rule=firing.rule,
                    panel=firing.panel,
                    order=firing.order,
                    dry_run=firing.dry_run,
                )


def _order(change: Transition | Order) -> Order:
    return change.after if isinstance(change, Transition) else change


def _earliest(*times: float | None) -> float | None:
    return min((at for at in times if at is not None), default=None)

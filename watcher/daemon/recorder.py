"""The one way by which what was learnt comes on record.

1. The rules decide on the changed orders.
2. One transaction writes the changes, their history, the firings and the planned actions.
3. Only then the book, the metrics and the action workers hear of it.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import structlog

from watcher.common.round_robin import RoundRobin
from watcher.errors import LifecycleError, StoreRefused
from watcher.metrics import Metrics
from watcher.model import (
    FINAL,
    Action,
    ActionState,
    Kind,
    Order,
    Phase,
    RuleAction,
    Transition,
)
from watcher.orders.lifecycle import close, guard_ends_at
from watcher.orders.schedule import MIN_GAP
from watcher.orders.watchlist import Watchlist
from watcher.rules.engine import RuleEngine, RuleOutcome
from watcher.store import Settled, Store

log = structlog.get_logger()

_LOOKS_AT_ONCE = 100  # some 10 ms, more with many rules
_BAD_ROW_AFTER = 3600.0  # seconds until an order is looked at again that can't be recorded
_RETRY_AFTER = 5.0  # seconds until orders are looked at again that could not be recorded


class ChangeRecorder:
    """Keeps transitions and the rules' decisions on them."""

    def __init__(
        self,
        *,
        store: Store,
        watchlist: Watchlist,
        rule_engine: RuleEngine,
        metrics: Metrics,
        round_robin: RoundRobin,
        guard_for: Callable[[str], float | None],
        on_planned: Callable[[Sequence[Action]], None],
        on_look: Callable[[float], None],
        on_settled: Callable[[Settled], None],
    ) -> None:
        self._store = store
        self._watchlist = watchlist
        self._rule_engine = rule_engine
        self._metrics = metrics
        self._round_robin = round_robin
        self._guard_for = guard_for
        self._on_planned = on_planned
        self._on_look = on_look
        self._on_settled = on_settled
        self._recorded = asyncio.Event()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def keep(
        self,
        panel: str,
        now: float,
        changes: Callable[[], Iterable[Transition]] = tuple,
        review: Callable[[], Iterable[Order]] = tuple,
    ) -> None:
        """Record the changes, and what the rules make of them and of the orders to `review`.

        Both are found under the panel's lock, so that each change starts from the order as it
        is on record. Raises StoreError, with nothing changed anywhere.
        """
        async with self.hold([panel]):
            await self._round_robin.take()
            transitions = list(changes())
            orders = [*(transition.after for transition in transitions), *review()]
            rule_outcome = self._rule_engine.evaluate(
                (o for o in orders if not self._is_over(o, now)), now
            )
            rule_outcome.looks += [(order, None) for order in orders if self._is_over(order, now)]
            if is_news := bool(transitions or rule_outcome.firings):
                await self._record(transitions, rule_outcome, now)
            for transition in transitions:
                self._enter(transition)
            if transitions:
                self._recorded.set()
                self._recorded = asyncio.Event()
        self._plan_looks(rule_outcome, now)
        self._tell(rule_outcome)
        if is_news:  # one commit lets all go on at once whose changes it wrote
            await self._round_robin.take()

    async def take_up(self, panel: str, ids: Iterable[str], now: float) -> None:
        """Track orders of which the panel has told without being asked to watch them."""
        found = [Order(panel=panel, id=i, submitted_at=now, progressed_at=now) for i in ids]
        async with self.hold([panel]):
            for order in await self._store.orders.track(found, now=now):
                self._watchlist.add(order, now + MIN_GAP)

    async def next_record(self) -> None:
        """Wait until an order changes."""
        await self._recorded.wait()

    @asynccontextmanager
    async def hold(self, panels: Collection[str]) -> AsyncIterator[None]:
        """Keep everybody else from recording anything of these panels."""
        async with AsyncExitStack() as stack:
            for panel in sorted(panels):  # always in the same order: two never wait for each other
                await stack.enter_async_context(self._locks[panel])
            yield

    def enter(self, settled: Settled, now: float) -> None:
        """Take over how actions ended, which is on record already; under `hold`."""
        for action in settled.actions:
            self._rule_engine.note_action(action)
            planned_again = action.state is ActionState.PLANNED
            outcome = "not_sent" if planned_again else action.state.value
            self._metrics.action_results.labels(action.panel, action.kind, outcome).inc()
            if action.kind is Kind.REFILL and action.state is ActionState.ACCEPTED:
                self._count_refill(action)
            if action.state is not ActionState.UNRESOLVED and not planned_again:
                self.look_soon(action.panel, action.order or "", now)
        for order in settled.orders:
            if self._guard_for(order.panel) is not None:
                self._watchlist.add(order, now + MIN_GAP)
        self._on_settled(settled)

    async def review(self, orders: Iterable[Order], now: float) -> None:
        """Let the rules look at the orders now, a hundred in each turn; ends guards."""
        for some in _by_panel(orders, _LOOKS_AT_ONCE):
            await self._review(some[0].panel, some, now)

    def look_soon(self, panel: str, order_id: str, now: float) -> None:
        """What the rules waited for at the order is over: `look` reviews it until that succeeds."""
        order = self._watchlist.order(panel, order_id)
        if order is not None:
            self._watchlist.look_at(order, now)
            self._on_look(now)

    async def look(self, now: float) -> float | None:
        """Review the orders for which time alone may have changed a decision.

        Returns when the next order wants to be looked at.
        """
        orders = self._watchlist.take_looks(now, _LOOKS_AT_ONCE)
        try:
            await self.review(orders, now)
        except Exception:
            for order in orders:
                self._watchlist.look_at(order, now + _RETRY_AFTER)
            raise
        return self._watchlist.next_look()

    async def _review(self, panel: str, orders: Sequence[Order], now: float) -> None:
        going_on: list[Order] = []  # known once all that ended are found, as `keep` does first

        def ended() -> Iterator[Transition]:
            for order in orders:
                current = self._watchlist.order(panel, order.id)
                if current is None:
                    continue
                if self._is_over(current, now):
                    yield close(current, now)
                else:
                    going_on.append(current)

        try:
            await self.keep(panel, now, ended, lambda: going_on)
        except (LifecycleError, StoreRefused) as error:  # one order's: it spoils no other
            if len(orders) > 1:
                middle = len(orders) // 2
                await self._review(panel, orders[:middle], now)
                await self._review(panel, orders[middle:], now)
                return
            log.error("ledger.not_kept", panel=panel, order=orders[0].id, cause=str(error))
            self._watchlist.look_at(orders[0], now + _BAD_ROW_AFTER)

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
        for action in planned:
            self._rule_engine.note_action(action)
            self._metrics.actions.labels(action.panel, action.kind).inc()
        self._on_planned(planned)

    def _count_refill(self, action: Action) -> None:
        order = self._watchlist.order(action.panel, action.order or "")
        if order is not None:
            self._watchlist.replace(msgspec.structs.replace(order, refills=order.refills + 1))

    def _release_unplanned(self, rule_outcome: RuleOutcome, planned: Sequence[Action]) -> None:
        """An action of the same kind was under way for the order: the firing was not kept."""
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

    def _plan_looks(self, rule_outcome: RuleOutcome, now: float) -> None:
        for order, look in rule_outcome.looks:
            self._watchlist.look_at(order, _earliest(look, self._guard_end(order, now)))
        next_look = self._watchlist.next_look()
        if next_look is not None:
            self._on_look(next_look)

    def _is_over(self, order: Order, now: float) -> bool:
        """Whether the order's guard is over: no rule acts on it, and the next look closes it."""
        ends_at = self._guard_end(order, now)
        return ends_at is not None and ends_at <= now

    def _guard_end(self, order: Order, now: float) -> float | None:
        order = self._rule_engine.hindsight.order(order, now)
        return guard_ends_at(order, self._guard_for(order.panel) or 0.0)

    def _tell(self, rule_outcome: RuleOutcome) -> None:
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


def _earliest(*times: float | None) -> float | None:
    return min((at for at in times if at is not None), default=None)


def _by_panel(orders: Iterable[Order], size: int) -> Iterator[list[Order]]:
    """Up to `size` orders of one panel at a time; of a million, no more are held at once."""
    waiting: dict[str, list[Order]] = defaultdict(list)
    for order in orders:
        some = waiting[order.panel]
        some.append(order)
        if len(some) == size:
            yield waiting.pop(order.panel)
    yield from waiting.values()

"""What sent actions came to, from the panel's answer until it is on record.

An outcome is learnt once and can't be asked for again: it waits here while the database can't
take it, whatever becomes of the worker that learnt it.
"""

from collections.abc import Sequence

from watcher.clocks import Clock
from watcher.errors import LifecycleError
from watcher.judge import Judge
from watcher.ledger import Ledger
from watcher.model import Kind, Outcome
from watcher.panels.protocol import is_refill_disabled
from watcher.store import Store


class Outcomes:
    """All panels' outcomes that are not on record."""

    def __init__(
        self,
        *,
        store: Store,
        judge: Judge,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        self._store = store
        self._judge = judge
        self._ledger = ledger
        self._clock = clock
        self._waiting: list[Outcome] = []

    async def settle(self, learnt: Sequence[Outcome] = ()) -> None:
        """Put these outcomes, and those that wait, on record. Raises StoreError; then all wait."""
        self._waiting.extend(learnt)
        if not self._waiting:
            return
        outcomes, self._waiting = self._waiting, []
        async with self._ledger.hold({outcome.action.panel for outcome in outcomes}):
            now = self._clock()
            try:
                settled = await self._store.settle(outcomes, now=now)
            except LifecycleError:  # a bug; all that fits is on record, and no retry would mend it
                raise
            except BaseException:
                self._waiting = outcomes + self._waiting
                raise
            self._ledger.enter(settled, now)
        await self._remember_refusals(outcomes, now)

    async def run_once(self, now: float) -> float | None:
        """Try again for what waits; a worker that still has something to send does so sooner."""
        await self.settle()
        return None

    async def _remember_refusals(self, outcomes: Sequence[Outcome], now: float) -> None:
        """A service that refuses refills as disabled is not asked again."""
        for outcome in outcomes:
            action, answer = outcome.action, outcome.answer or ""
            if action.kind is not Kind.REFILL or not is_refill_disabled(answer):
                continue
            order = await self._store.order(action.panel, action.order or "")
            service = order.service if order else None
            if service is None:
                continue
            await self._store.refill_disabled(action.panel, service, answer, now=now)
            self._judge.refill_disabled[action.panel, service] = answer

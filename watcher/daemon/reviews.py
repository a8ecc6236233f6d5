"""Has rules review orders: each at its time, and all after a start or a reload."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import structlog

from watcher.daemon.recorder import ChangeRecorder
from watcher.daemon.shared import Shared
from watcher.model import Order, Transition
from watcher.orders.lifecycle import close

log = structlog.get_logger()

_REVIEWS_AT_ONCE = 100  # some 10 ms, more with many rules
_BAD_ROW_AFTER = 3600.0  # seconds until the next review of an order that can't be recorded
_RETRY_AFTER = 5.0  # seconds until the next review of orders after a failure


class Reviews:
    """Reviews orders: rules decide on them again, and guarded orders close."""

    def __init__(self, shared: Shared, recorder: ChangeRecorder) -> None:
        self._watchlist, self._schedule = shared.watchlist, shared.schedule
        self._recorder = recorder

    def review_soon(self, panel: str, order_id: str, now: float) -> None:
        """Review the order soon: an action or refill that held back rules has ended."""
        order = self._watchlist.order(panel, order_id)
        if order is not None:
            self._watchlist.review_at(order, now)
            self._schedule.wake("look", now)

    async def review_due(self, now: float) -> float | None:
        """Review the orders for which time alone may have changed a decision.

        Return when the next order is to be reviewed.
        """
        orders = self._watchlist.take_due_reviews(now, _REVIEWS_AT_ONCE)
        try:
            await self.review(orders, now)
        except Exception:
            for order in orders:
                self._watchlist.review_at(order, now + _RETRY_AFTER)
            raise
        return self._watchlist.next_review()

    async def review_all(self, now: float) -> float | None:
        """Review every order once: a task after a start or a reload."""
        await self.review(self._watchlist.orders(), now)
        self._schedule.remove("review")
        return None

    async def review(self, orders: Iterable[Order], now: float) -> None:
        """Review the orders now, a hundred at a time."""
        for some in _by_panel(orders, _REVIEWS_AT_ONCE):
            await self._review(some[0].panel, some, now)

    async def _review(self, panel: str, orders: Sequence[Order], now: float) -> None:
        async with self._recorder.turn(panel):
            current = (self._watchlist.order(panel, order.id) for order in orders)
            changes = [self._change(order, now) for order in current if order is not None]
            bad = await self._recorder.keep(panel, changes, now)
        for order in orders:
            if order.id in bad:
                log.error("ledger.not_kept", panel=panel, order=order.id, cause=str(bad[order.id]))
                self._watchlist.review_at(order, now + _BAD_ROW_AFTER)

    def _change(self, order: Order, now: float) -> Transition | Order:
        """Return the closing transition if the order's guard has ended, else the order."""
        return close(order, now) if self._recorder.is_over(order, now) else order


def _by_panel(orders: Iterable[Order], size: int) -> Iterator[list[Order]]:
    """Group orders by panel; yield up to `size` at a time, without holding all in memory."""
    waiting: dict[str, list[Order]] = defaultdict(list)
    for order in orders:
        some = waiting[order.panel]
        some.append(order)
        if len(some) == size:
            yield waiting.pop(order.panel)
    yield from waiting.values()

"""A customer's balance at a simulated panel."""

from collections.abc import Callable
from decimal import Decimal
from heapq import heappop, heappush

from watcher.panels.protocol.refusals import Refusal, RefusedAnswer


class SimAccount:
    """A balance, and the times of possible refunds.

    `refund` returns what an order gives back at a time; 0 if it ended at another.
    """

    def __init__(self, balance: Decimal, refund: Callable[[int, float], Decimal]) -> None:
        self._balance = balance
        self._refund = refund
        self._due: list[tuple[float, int]] = []

    def balance(self, now: float) -> Decimal:
        while self._due and self._due[0][0] <= now:
            at, order = heappop(self._due)
            self._balance += self._refund(order, at)
        return self._balance

    def set(self, balance: Decimal, now: float) -> None:
        self.balance(now)
        self._balance = balance

    def spend(self, amount: Decimal, now: float) -> None:
        if amount > self.balance(now):
            raise RefusedAnswer(Refusal.FUNDS)
        self._balance -= amount

    def expect(self, order: int, at: float) -> None:
        """Check the order for a refund at this time."""
        heappush(self._due, (at, order))

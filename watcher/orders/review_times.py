"""Timer wheel: when rules review orders.

Compact, as there may be a timer for each of a million orders: one array of numbers a second. A
timer that was cancelled stays in its array until its second comes.
"""

import heapq
from array import array
from collections.abc import Callable


class ReviewTimes:
    """Orders (numbers) by the second of their review.

    `is_wanted` tells whether an order's timer at a second still holds.
    """

    def __init__(self, is_wanted: Callable[[int, int], bool]) -> None:
        self._is_wanted = is_wanted
        self._orders: dict[int, array[int]] = {}  # second -> orders
        self._seconds: list[int] = []  # a heap of the keys of `_orders`

    def add(self, order: int, second: int) -> None:
        """Set a timer."""
        if second not in self._orders:
            heapq.heappush(self._seconds, second)
            self._orders[second] = array("Q")
        self._orders[second].append(order)

    def next(self) -> int | None:
        """Return the second of the next timer that holds; None where there is none."""
        while self._seconds:
            second = self._seconds[0]
            orders = self._orders[second]
            while orders:
                if self._is_wanted(orders[-1], second):
                    return second
                orders.pop()
            del self._orders[heapq.heappop(self._seconds)]
        return None

    def pop(self) -> int:
        """Remove and return an order whose timer is the one that `next` has just returned."""
        return self._orders[self._seconds[0]].pop()

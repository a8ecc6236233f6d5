"""When the rules want to look at orders again.

Compact, as there may be one for each of a million orders: an array of numbers a second, in which
those that are no longer wanted stay until their second comes.
"""

import heapq
from array import array
from collections.abc import Callable


class ReviewTimes:
    """Orders, each a number, by the second at which they are to be looked at.

    `is_wanted` tells of an order and a second whether the order is still to be looked at then.
    """

    def __init__(self, is_wanted: Callable[[int, int], bool]) -> None:
        self._is_wanted = is_wanted
        self._orders: dict[int, array[int]] = {}  # second -> orders
        self._seconds: list[int] = []  # a heap of the keys of `_orders`

    def add(self, order: int, second: int) -> None:
        """The order is to be looked at then."""
        if second not in self._orders:
            heapq.heappush(self._seconds, second)
            self._orders[second] = array("Q")
        self._orders[second].append(order)

    def next(self) -> int | None:
        """The second of the next look that is still wanted; None where there is none."""
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
        """Take out one of the orders of the second that `next` has just told."""
        return self._orders[self._seconds[0]].pop()

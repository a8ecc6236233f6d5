"""Order ids that a shop asks about and that are not tracked yet.

The poller asks about them as about tracked orders, and tracks those that the panel knows. Until
then they are in memory only: an id that the panel does not know leaves no trace, and after a
restart the shop's next request asks again.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from itertools import islice

ASK_AGAIN_AFTER = 60.0  # seconds for which a refusal is cached
_MOST_REFUSED = 10_000


class UntrackedIds:
    """Untracked ids of one panel: waiting or under way, until `leave` or `refuse`."""

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}  # first in, first out
        self._under_way: set[str] = set()
        self._refused: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._under_way)

    def __contains__(self, order_id: object) -> bool:
        return order_id in self._waiting or order_id in self._under_way

    @property
    def wait(self) -> bool:
        """Whether there are ids to ask about."""
        return bool(self._waiting)

    def want(self, ids: Iterable[str], now: float) -> None:
        """Queue these ids, unless they are under way or the panel has just refused them."""
        for order_id in ids:
            if order_id not in self and self.refusal(order_id, now) is None:
                self._waiting[order_id] = None

    def take(self, limit: int) -> list[str]:
        """Return the ids of the next request; they are under way from now on."""
        taken = list(islice(self._waiting, limit))
        for order_id in taken:
            del self._waiting[order_id]
        self._under_way.update(taken)
        return taken

    def put_back(self, ids: Iterable[str]) -> None:
        """Queue ids again that had no result."""
        for order_id in ids if self._under_way else ():
            if order_id in self._under_way:
                self._under_way.remove(order_id)
                self._waiting[order_id] = None

    def leave(self, ids: Collection[str]) -> None:
        """Remove ids: they are tracked, or a shop may ask again."""
        self._under_way.difference_update(ids)
        for order_id in ids:
            self._waiting.pop(order_id, None)

    def refuse(self, order_id: str, text: str, now: float) -> None:
        """Remember for a while that the panel does not know the id."""
        self.leave([order_id])
        self._refused[order_id] = text, now
        self._refused.move_to_end(order_id)
        if len(self._refused) > _MOST_REFUSED:
            self._refused.popitem(last=False)

    def refusal(self, order_id: str, now: float) -> str | None:
        """Return the panel's recent refusal of the id; None where there is none."""
        text, at = self._refused.get(order_id, ("", now))
        if text and 0 <= now - at < ASK_AGAIN_AFTER:
            return text
        self._refused.pop(order_id, None)
        return None

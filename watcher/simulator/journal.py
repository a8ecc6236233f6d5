"""Log of requests to a simulated panel, for tests of at-most-once delivery."""

from collections import Counter, deque
from collections.abc import Mapping

import msgspec

LISTS = ("orders", "refills", "order", "refill")


class JournalEntry(msgspec.Struct, gc=False):
    """One request and its outcome.

    `outcome` is "answered", the text of a refusal, or the trait that stopped the request. `fault`
    is the trait that garbled the request or its answer. `carried_out` are the orders that it added,
    refilled or canceled. `http` is 0 until a response is sent.
    """

    time: float
    action: str
    parameters: dict[str, str]
    ids: int
    outcome: str = "arrived"
    fault: str = ""
    http: int = 0
    carried_out: tuple[int, ...] = ()


class Journal:
    """All requests in order of arrival; with a limit, only the last ones."""

    def __init__(self, limit: int | None = None) -> None:
        self._entries: deque[JournalEntry] = deque(maxlen=limit)

    def arrived(self, time: float, parameters: Mapping[str, str]) -> JournalEntry:
        """Add an entry for a request that has arrived, without its key."""
        kept = {name: value for name, value in parameters.items() if name != "key"}
        entry = JournalEntry(time, kept.pop("action", ""), kept, len(_ids(kept)))
        self._entries.append(entry)
        return entry

    def requests(self, action: str | None = None) -> list[JournalEntry]:
        return [e for e in self._entries if action in (None, e.action)]

    def sent(self, action: str) -> Counter[int]:
        """Count how often each order id (of refill_status: refill id) arrived with the action."""
        ids = (text for e in self.requests(action) for text in _ids(e.parameters))
        return Counter(int(text) for text in ids if text.isascii() and text.isdecimal())

    def carried_out(self, action: str) -> Counter[int]:
        """Count how often each order was actually added, refilled or canceled."""
        return Counter(order for e in self.requests(action) for order in e.carried_out)

    def links(self, *, carried_out: bool = False) -> Counter[str]:
        """Count how often each link (of subscriptions: username) arrived with `add`."""
        return Counter(
            e.parameters.get("link") or e.parameters.get("username", "")
            for e in self.requests("add")
            if e.carried_out or not carried_out
        )

    def largest_batch(self) -> int:
        return max((e.ids for e in self._entries), default=0)

    def clear(self) -> None:
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)


def _ids(parameters: Mapping[str, str]) -> list[str]:
    for name in LISTS:
        if name in parameters:
            return [text for text in parameters[name].replace(" ", "").split(",") if text]
    return []

"""How often and how many at once: what one client may ask for, in bounded memory."""

import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from types import TracebackType

from watcher.clocks import Clock
from watcher.errors import RequestError

MOST_CLIENTS = 4096


class TooMany(RequestError):
    """More than is served at a time: come again later."""

    status = 429
    code = "too_many"

    def __init__(self, message: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class Buckets:
    """A bucket of tokens a client, which `rate` tokens a second fill up to `burst`.

    Only the clients that came last are remembered: one that is forgotten has a full bucket.
    """

    def __init__(self, rate: float, burst: float, clock: Clock = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Seconds until there is a token: 0 where there is one."""
        level = self._level(client, self._clock())
        return 0.0 if level >= 1.0 else (1.0 - level) / self._rate

    def take(self, client: str) -> None:
        """Take a token, where there is one."""
        now = self._clock()
        level = self._level(client, now)
        self._levels[client] = (level - 1.0 if level >= 1.0 else level, now)
        self._levels.move_to_end(client)
        if len(self._levels) > MOST_CLIENTS:
            self._levels.popitem(last=False)

    def _level(self, client: str, now: float) -> float:
        level, at = self._levels.get(client, (self._burst, now))
        return min(self._burst, level + (now - at) * self._rate)


class Seats:
    """So many at once and no more: `with seats:` refuses who finds none."""

    def __init__(self, most: int, retry_after: float = 1.0) -> None:
        self._free = most
        self._retry_after = retry_after

    def __enter__(self) -> None:
        if self._free <= 0:
            raise TooMany("too many of these are under way: wait for one to end", self._retry_after)
        self._free -= 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._free += 1


def client_of(remote: str | None) -> str:
    """Whom an address counts as: an IPv6 network of one customer is one client."""
    try:
        address = ip_address((remote or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(address)

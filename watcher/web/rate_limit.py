"""Rate and concurrency limits for clients, in bounded memory."""

import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from watcher.common.clock import Clock
from watcher.errors import RequestError

MOST_CLIENTS = 4096


class TooMany(RequestError):
    """Too many requests: try again later."""

    status = 429
    code = "too_many"

    def __init__(self, message: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class TokenBuckets:
    """A token bucket for each client: `rate` tokens a second, up to `burst`.

    Only the last clients are kept; one that is forgotten has a full bucket.
    """

    def __init__(self, rate: float, burst: float, clock: Clock = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, refusal: str) -> None:
        """Take a token; raise TooMany with this message if there is none."""
        now = self._clock()
        level, at = self._levels.get(client, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._rate)
        if level < 1.0:
            raise TooMany(refusal, (1.0 - level) / self._rate)
        self._levels[client] = (level - 1.0, now)
        self._levels.move_to_end(client)
        if len(self._levels) > MOST_CLIENTS:
            self._levels.popitem(last=False)


class ConcurrencyLimit:
    """A concurrency limit: `with limit:` raises TooMany if too many are under way."""

    def __init__(self, most: int, retry_after: float = 1.0) -> None:
        self._free = most
        self._retry_after = retry_after

    def __enter__(self) -> None:
        if self._free <= 0:
            raise TooMany("too many of these are under way: wait for one to end", self._retry_after)
        self._free -= 1

    def __exit__(self, *error: object) -> None:
        self._free += 1


def client_of(remote: str | None) -> str:
    """Return the client of an address; an IPv6 /64, one customer's network, is one client."""
    try:
        address = ip_address((remote or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(address)

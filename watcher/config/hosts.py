"""The host names of the daemon; requests for other names are refused (DNS rebinding)."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?")
_USUAL_PORTS = (None, 80, 443)

Authority = tuple[str, int | None]


class Hosts(msgspec.Struct, frozen=True):
    """The configured host to listen on, and additional names for it."""

    listen: str
    allowed: tuple[Authority, ...] = ()

    def own(self, host: str, port: int | None, address: str, own_port: int) -> bool:
        """Return whether `host:port` names this daemon on a connection to `address:own_port`.

        A name can be made to point elsewhere (DNS rebinding), an address can't. So a daemon that
        listens on all addresses answers to each of them, but only to the allowed names.
        """
        if (port or 80) == own_port and self._is_ours(host, address):
            return True
        return any(
            host == name and (port in (*_USUAL_PORTS, own_port) if given is None else port == given)
            for name, given in self.allowed
        )

    def _is_ours(self, host: str, address: str) -> bool:
        if is_loopback(host) or host in (self.listen.lower(), address):
            return True
        listen = _address(self.listen)
        return _address(host) is not None and listen is not None and listen.is_unspecified


def authority(text: str) -> Authority | None:
    """Split "host", "host:port" or "[::1]:port"; None for anything else."""
    found = _AUTHORITY.fullmatch(text)
    if found is None or int(found[2] or 0) > 65535:
        return None
    return found[1].strip("[]").lower().removesuffix("."), int(found[2]) if found[2] else None


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback name or address."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None

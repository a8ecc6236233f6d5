"""Notifies systemd when the daemon is up, reloads and stops, and that it is alive.

The protocol is sd_notify(3): lines of NAME=VALUE in a datagram to the socket $NOTIFY_SOCKET.
Without that variable nothing is sent.
"""

import socket
import time
from collections.abc import Mapping

import structlog

log = structlog.get_logger()

_SEND_WITHIN = 1.0  # seconds


class Systemd:
    """Notifies the service manager that the environment names."""

    def __init__(self, env: Mapping[str, str], pid: int) -> None:
        self._address = _address(env.get("NOTIFY_SOCKET", ""))
        self.watchdog_every = _watchdog_every(env, pid) if self._address else None
        """Seconds between two signs of life, None where nobody waits for them."""

    def ready(self, status: str) -> None:
        """Report that a start or a reload is over."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Report that a reload begins; `ready` must follow, even if it fails."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the daemon ends."""
        self._tell("STOPPING=1", "STATUS=Finishing what is under way")

    def alive(self, status: str) -> None:
        """Notify the watchdog, every `watchdog_every` seconds; else systemd restarts the daemon."""
        self._tell("WATCHDOG=1", f"STATUS={status}")

    def troubled(self, status: str) -> None:
        """Report what is wrong, without notifying the watchdog."""
        self._tell(f"STATUS={status}")

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        message = "\n".join(line.replace("\n", " ") for line in lines).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.settimeout(_SEND_WITHIN)
                out.sendto(message, self._address)
        except OSError as error:
            log.warning("supervisor.unreachable", cause=str(error))


def _address(name: str) -> str | None:
    """Return the socket's address: a path, or after @ a name in Linux's abstract namespace."""
    if not name.startswith(("/", "@")):
        return None
    return "\0" + name[1:] if name.startswith("@") else name


def _watchdog_every(env: Mapping[str, str], pid: int) -> float | None:
    """Return half of systemd's timeout, as sd_watchdog_enabled(3) advises."""
    limit, whom = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", str(pid))
    if not limit.isdecimal() or whom != str(pid):
        return None
    return int(limit) / 2e6 or None

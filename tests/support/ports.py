"""Ports for programs that tests start."""

import fcntl
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import count, cycle
from pathlib import Path

# Below those that Linux gives to whoever asks for any: no connection has one when a program is
# killed and started again.
_FIRST, _RANGES, _EACH = 10_000, 200, 100


def free_port() -> int:
    """One that nobody has, nor is given by another process of tests before it is used."""
    for port in _own():
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("a cycle has no end")


@cache
def _own() -> Iterator[int]:
    """The ports that this process alone gives, for as long as it lives: it keeps a file locked."""
    directory = Path(tempfile.gettempdir(), f"watcher-test-ports-{os.getuid()}")
    directory.mkdir(exist_ok=True)
    for number in count(secrets.randbelow(_RANGES)):
        own = number % _RANGES
        file = os.open(directory / str(own), os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
        else:
            return cycle(range(_FIRST + own * _EACH, _FIRST + (own + 1) * _EACH))
    raise AssertionError("counting has no end")

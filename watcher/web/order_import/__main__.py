"""Reads one list in a process of its own, with limits: `watcher.web.list_reader` starts it.

Standard input is a line of JSON, the options, and then the list; standard output is the preview as
MessagePack. Bytes that would cost a parser minutes or gigabytes end this process, not the daemon.
"""

import os
import resource
import sys
from contextlib import suppress
from io import BytesIO

import msgspec

from watcher.web.order_import.preview import ListOptions, preview

MOST_SECONDS = 30  # of a core
_MOST_MEMORY = 768 << 20  # bytes of addresses
_NICE = 10


def main() -> None:
    """Read the list from standard input."""
    for limit, most in (
        (resource.RLIMIT_CPU, MOST_SECONDS),
        (resource.RLIMIT_AS, _MOST_MEMORY),
    ):
        with suppress(OSError, ValueError):  # the unit for systemd may not let it
            resource.setrlimit(limit, (most, most))
    with suppress(OSError):
        os.nice(_NICE)
    stream = BytesIO(sys.stdin.buffer.read())
    options = msgspec.json.decode(stream.readline(), type=ListOptions)
    found = preview(BytesIO(stream.read()), options)
    sys.stdout.buffer.write(msgspec.msgpack.encode(found))


if __name__ == "__main__":
    main()

"""Reads uploaded lists of orders, each in a process of its own with limits."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE

import msgspec

from watcher.errors import RequestError
from watcher.web.order_import.preview import ListOptions, Preview

_WITHIN = 120.0  # seconds: on a busy machine, too
_READER = "watcher.web.order_import"
_TOO_HARD = (
    "the list takes too long or too much memory to read: save it as CSV, split it, or use "
    "`watcher track --file`"
)


async def read_list(raw: bytes, options: ListOptions) -> Preview:
    """Return what the list holds; RequestError if it takes too much to read."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", _READER),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        async with asyncio.timeout(_WITHIN):
            given = msgspec.json.encode(options) + b"\n" + raw
            said, _ = await process.communicate(given)
    except TimeoutError:
        raise RequestError(_TOO_HARD) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RequestError(_TOO_HARD)
    return msgspec.msgpack.decode(said, type=Preview)

"""A directory in memory, where syncing to disk takes no time."""

import os
import shutil
from pathlib import Path

_PLACE, _ROOM = Path("/dev/shm"), 4 << 30  # noqa: S108  bytes


def in_memory() -> Path | None:
    """The directory, if there is one with room; None for the usual one."""
    has_room = _PLACE.is_dir() and shutil.disk_usage(_PLACE).free > _ROOM
    return _PLACE if has_room else None


def put_tests_in_memory() -> None:
    """Give tests their directories there: a simulated day commits thousands of times."""
    place = in_memory()
    if place is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(place))

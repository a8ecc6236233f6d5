"""Files that survive a crash of the machine."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until the file, or the directory's entries, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put_in_place(partial: Path, target: Path) -> None:
    """Give a complete file its name; it replaces an older one, and is on disk with that name."""
    sync(partial)
    partial.replace(target)
    sync(target.parent)

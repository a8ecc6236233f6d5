"""The database as a file: whole copies, their check, and syncing to disk."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from watcher.common.disk import sync
from watcher.errors import Conflict, StoreError
from watcher.store.errors import translated
from watcher.store.sqlite import BACKUP_ID, check_file, copy_at_rest, copy_open

PUT_ASIDE = ".before-restore-"  # part of the name of a database that a restore replaced


async def back_up(source: Path, target: Path) -> None:
    """Copy a database that is in use; whole or not there at all. Replaces no existing file.

    The copy is marked as a backup, on which no daemon starts.
    """
    target = _new(target)
    with _temporary(target) as partial:
        with translated(target):
            await copy_open(source, partial, owner=BACKUP_ID)
        await asyncio.to_thread(_put_in_place, partial, target)


def copy_database(source: Path, target: Path, *, owner: int) -> None:
    """Copy a database that nothing has open, as `back_up` does, but marked as `owner`'s."""
    target = _new(target)
    with _temporary(target) as partial:
        with translated(target):
            copy_at_rest(source, partial, owner=owner)
        _put_in_place(partial, target)


def check_database(path: Path) -> None:
    """Read all of a file that nothing writes; raise StoreError if it is damaged."""
    if not path.is_file():
        raise StoreError(f"{path}: there is no such file")
    with translated(path):
        check_file(path)


def beside(database: Path, directory: str) -> Path:
    """Resolve a configured directory relative to the database's."""
    return database.resolve().parent / Path(directory).expanduser()


def size_of(path: Path) -> int:
    """Return the file's size in bytes, 0 if it doesn't exist."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """Yield a new file beside the target that only its owner can read; delete it if not renamed."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _put_in_place(partial: Path, target: Path) -> None:
    sync(partial)
    _refuse_existing(target)
    partial.rename(target)
    sync(target.parent)


def _new(target: Path) -> Path:
    """Return the absolute path; Conflict if it exists."""
    _refuse_existing(target)
    return target.absolute()


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise Conflict(f"{path} exists: name a file that does not")

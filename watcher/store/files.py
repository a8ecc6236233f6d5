"""The database as a file: whole copies, their check, and what it takes to be on the disk."""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from watcher.errors import Conflict, StoreCorrupt, StoreError
from watcher.store.errors import translated
from watcher.store.schema import BACKUP_ID, OUR_IDS

SIDES = ("-wal", "-shm")  # what SQLite keeps beside a database
_ID_AT = 68  # where the header has the application's id
PUT_ASIDE = ".before-restore-"  # in the name of a database that a restore has replaced


def copy_database(
    source: Path, target: Path, *, at_rest: bool = False, owner: int = BACKUP_ID
) -> None:
    """Make a consistent copy, whole or not there at all; an existing file is not replaced.

    It is marked as a backup, on which no daemon starts, unless it gets another `owner`.
    `at_rest` is for a source that nothing has open.
    """
    target = target.absolute()
    _refuse_existing(target)
    with _temporary(target) as partial:
        opened = _open_at_rest(source) if at_rest else sqlite3.connect(source)
        with closing(opened) as original, closing(sqlite3.connect(partial)) as copy:
            original.execute("PRAGMA query_only=ON")
            copy.execute("PRAGMA synchronous=OFF")  # it is synced whole, below
            with translated(target):
                original.backup(copy)
            copy.execute(f"PRAGMA application_id={owner}")
            copy.execute("PRAGMA journal_mode=DELETE")
        sync(partial)
        _refuse_existing(target)
        partial.rename(target)
    sync(target.parent)


def check_database(path: Path) -> None:
    """Read all of a file that nothing writes: a StoreError says what is wrong with it."""
    if not path.is_file():
        raise StoreError(f"{path}: there is no such file")
    with translated(path), closing(_open_at_rest(path)) as connection:
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if owner not in OUR_IDS:
        raise StoreError(f"{path} is no database of watcher")
    if found != "ok":
        raise StoreCorrupt(f"{path} is damaged ({' '.join(str(found).split())})")


def is_backup(path: Path) -> bool:
    """Whether the file is marked as a backup. The caller must have no connection to it."""
    with path.open("rb") as file:
        return application_id(file.read(_ID_AT + 4)) == BACKUP_ID


def application_id(header: bytes) -> int:
    """The application's id in a database's header; 0 in an empty file."""
    return int.from_bytes(header[_ID_AT : _ID_AT + 4], "big")


def beside(database: Path, directory: str) -> Path:
    """The directory that the configuration names, relative to the database's."""
    return database.resolve().parent / Path(directory).expanduser()


def sync(path: Path) -> None:
    """Return when the file, or the directory's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def size_of(path: Path) -> int:
    """The file's bytes, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _open_at_rest(path: Path) -> sqlite3.Connection:
    """Read it as it stands, with what a killed process left beside it, and make nothing there.

    A backup has no log: one beside it is of the database whose place it took.
    """
    sides = ("-journal",) if is_backup(path) else ("-wal", "-journal")
    has_more = any(size_of(Path(f"{path}{side}")) for side in sides)
    mode = "mode=ro" if has_more else "immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A file beside the target, readable by its owner alone, gone if it is not renamed."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise Conflict(f"{path} exists: name a file that does not")

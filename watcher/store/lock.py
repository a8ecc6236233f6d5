"""The database's locks, and the check that its files are still those that were opened.

1. `<database>.lock` is locked; a second daemon's error message names its holder.
2. The database file is locked as well, so deleting the lock file admits nobody. This is flock(2),
   which is independent of SQLite's own locks (fcntl). Its handle is closed last: closing any handle
   of the file drops the locks that SQLite holds on it in this process.
3. A file that is removed or replaced is detected by its device and inode.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from watcher.errors import StoreBusy
from watcher.store.sqlite import ID_ENDS, SIDES, application_id

LOCK = ".lock"
_Identity = tuple[int, int]


class Held:
    """The locks of one database, from `take` to `close`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._handles = [lock]
        self._known = {_lock_of(path): _identity(os.fstat(lock))}
        self._database: int | None = None

    @classmethod
    def take(cls, path: Path, now: float) -> "Held":
        """Lock `<database>.lock`; raise StoreBusy if another process has it."""
        lock = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _locked(lock):
                holder = os.read(lock, 200).decode(errors="replace").strip()
                raise _busy(path, f" ({holder})")
            since = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"process {os.getpid()} since {since}\n".encode(), 0)
        except BaseException:
            os.close(lock)
            raise
        return cls(path, lock)

    def lock_database(self, *, create: bool) -> None:
        """Lock the database file, created if missing; only its owner can read it."""
        handle = os.open(self.path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
        self._handles.append(handle)
        if not _locked(handle):
            raise _busy(self.path, "; its lock file was removed")
        self._known[self.path] = _identity(os.fstat(handle))
        self._database = handle

    def application_id(self) -> int:
        """Return the application id in the file, ignoring its log; 0 in a new file."""
        return application_id(
            b"" if self._database is None else os.pread(self._database, ID_ENDS, 0)
        )

    def know_sides(self) -> None:
        """Remember the files that SQLite opened beside the database."""
        for side in SIDES:
            path = Path(f"{self.path}{side}")
            with suppress(FileNotFoundError):
                self._known[path] = _identity(path.stat())

    def problem(self) -> str | None:
        """Return which file was removed or replaced; None if all are in place."""
        for path, known in self._known.items():
            try:
                found = _identity(os.stat(path))
            except FileNotFoundError:
                return self._lost(path, "removed")
            except OSError as error:
                return f"{path} can't be looked at ({error.strerror}): check disk and rights"
            if found != known:
                return self._lost(path, "replaced")
        return None

    def close(self) -> None:
        """Release all locks. The caller must have closed SQLite's connections."""
        if self._database is not None and not self._is_known(self.path):
            self._put_sides_aside()
        while self._handles:
            os.close(self._handles.pop())

    def _lost(self, path: Path, how: str) -> str:
        """Return the error text. SQLite saves a removed log on close; all else is lost."""
        anew = "stop the daemon, restore a backup and start it"
        advice = anew if path == self.path else "restart the daemon"
        return (
            f"{path} was {how} while the daemon runs: nothing is written or sent. Put the file"
            f" back, or {advice}"
        )

    def _is_known(self, path: Path) -> bool:
        try:
            return _identity(path.stat()) == self._known.get(path)
        except OSError:
            return False

    def _put_sides_aside(self) -> None:
        """Rename the log files: a new database at this path would replay them as its own."""
        for side in SIDES:
            path = Path(f"{self.path}{side}")
            if self._is_known(path):
                path.rename(_free_name(path))


@contextmanager
def locked(path: Path, now: float) -> Iterator[Held]:
    """Hold the lock so that no daemon runs meanwhile; raise StoreBusy if one does."""
    held = Held.take(path, now)
    try:
        if path.exists():
            held.lock_database(create=False)
        yield held
    finally:
        held.close()


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + LOCK)


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.lost-{number}") for number in count(1))
    return next(name for name in names if not name.exists())


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _busy(path: Path, holder: str) -> StoreBusy:
    return StoreBusy(f"{path} is in use by another watcher{holder}: stop that one first")


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino

"""What SQLite and the system report, in the words of the store's errors."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from watcher.errors import StoreBusy, StoreCorrupt, StoreError, StoreFull, StoreRefused

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSALS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
_MESSAGES: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (
        StoreBusy,
        "{path} is locked by another process: stop what else uses it, or wait",
    ),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "{path} is locked: wait, and try again"),
    sqlite3.SQLITE_FULL: (StoreFull, "no room left for {path}: make room on its disk"),
    sqlite3.SQLITE_CORRUPT: (
        StoreCorrupt,
        "{path} is damaged ({text}): stop the watcher and restore a backup",
    ),
    sqlite3.SQLITE_NOTADB: (
        StoreCorrupt,
        "{path} is no database ({text}): name another file, or restore a backup",
    ),
    sqlite3.SQLITE_READONLY: (
        StoreError,
        "{path} can't be written ({text}): check the rights of the file and of its directory",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        StoreError,
        "{path} can't be opened ({text}): check the rights of the file and of its directory",
    ),
    sqlite3.SQLITE_PERM: (StoreError, "{path} can't be used ({text}): check its rights"),
    sqlite3.SQLITE_IOERR: (
        StoreError,
        "{path} can't be read or written ({text}): check the disk, its quota and its cables",
    ),
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise what goes wrong with the database at `path` as a StoreError that says what to do."""
    try:
        yield
    except StatementError as error:
        raise _from_sqlite(error.orig or error, path) from error
    except sqlite3.Error as error:
        raise _from_sqlite(error, path) from error
    except PoolTimeout as error:
        raise StoreBusy(f"{path}: every reading connection is taken: try again") from error
    except (ArithmeticError, UnicodeError) as error:
        raise StoreRefused(f"{path} can't hold a value: {error}") from error
    except OSError as error:
        kind = StoreFull if error.errno in _FULL else StoreError
        raise kind(f"{error.filename or path}: {error.strerror or error}") from error


def is_about_data(error: BaseException) -> bool:
    """Whether other data could be written: the fault lies not with the disk or a lock."""
    cause = error.orig if isinstance(error, StatementError) else error
    return isinstance(cause, _REFUSALS) or not isinstance(cause, sqlite3.Error | OSError)


def _from_sqlite(error: BaseException, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    usual = StoreRefused if isinstance(error, _REFUSALS) else StoreError
    kind, message = _MESSAGES.get(code, (usual, "{path}: {text}"))
    return kind(message.format(path=path, text=error))

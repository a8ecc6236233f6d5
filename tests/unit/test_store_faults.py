"""What goes wrong with the file or the disk gets the name of what to do about it."""

import errno
import sqlite3
from pathlib import Path

import pytest

from watcher.errors import StoreBusy, StoreCorrupt, StoreError, StoreFull
from watcher.store.errors import translated

PATH = Path("/data/watcher.db")


def raised(error: Exception) -> StoreError:
    with pytest.raises(StoreError) as caught, translated(PATH):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


def sqlite_error(code: int, text: str = "what SQLite says") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, StoreBusy),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreBusy),
        (sqlite3.SQLITE_LOCKED, StoreBusy),
        (sqlite3.SQLITE_FULL, StoreFull),
        (sqlite3.SQLITE_CORRUPT, StoreCorrupt),
        (sqlite3.SQLITE_NOTADB, StoreCorrupt),
        (sqlite3.SQLITE_READONLY, StoreError),
        (sqlite3.SQLITE_CANTOPEN, StoreError),
        (sqlite3.SQLITE_IOERR_WRITE, StoreError),
        (sqlite3.SQLITE_CONSTRAINT, StoreError),
        (0, StoreError),
    ],
)
def test_what_sqlite_reports_names_the_file(code: int, kind: type[StoreError]) -> None:
    error = raised(sqlite_error(code))
    assert type(error) is kind
    assert str(PATH) in str(error)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_system_without_room_is_full(number: int) -> None:
    assert type(raised(OSError(number, "no room", "/data/x"))) is StoreFull


def test_a_system_that_refuses_names_what_it_refused() -> None:
    error = raised(PermissionError(errno.EACCES, "Permission denied", "/data/other.lock"))
    assert type(error) is StoreError
    assert str(error) == "/data/other.lock: Permission denied"


def test_the_stores_own_errors_and_bugs_pass() -> None:
    for error in (StoreFull("full"), KeyError("a bug")):
        with pytest.raises(type(error)) as caught, translated(PATH):
            raise error
        assert caught.value is error

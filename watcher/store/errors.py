"""Translates errors of the database and the system into the store's errors."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import StatementError

from watcher.errors import StoreError, StoreFull, StoreRefused
from watcher.store import postgres, sqlite

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def translated(place: Path | str) -> Iterator[None]:
    """Raise errors of the database at `place` as a StoreError that says what to do."""
    try:
        yield
    except (StatementError, sqlite.Error) as error:
        cause = _cause(error)
        own = postgres if _is_postgres(cause) else sqlite
        raise own.store_error(cause, place) from error
    except (ArithmeticError, UnicodeError) as error:
        raise StoreRefused(f"{place} can't hold a value: {error}") from error
    except OSError as error:
        kind = StoreFull if error.errno in _FULL else StoreError
        raise kind(f"{error.filename or place}: {error.strerror or error}") from error


def is_about_data(error: BaseException) -> bool:
    """Return whether the data caused the error: the disk and the locks are not at fault."""
    if isinstance(error, StoreError):
        return isinstance(error, StoreRefused)
    cause = _cause(error)
    own = postgres if _is_postgres(cause) else sqlite
    return bool(own.is_about_data(cause))


def _cause(error: BaseException) -> BaseException:
    """Return the driver's error within SQLAlchemy's."""
    return error.orig or error if isinstance(error, StatementError) else error


def _is_postgres(cause: BaseException) -> bool:
    return hasattr(cause, "sqlstate")

"""Translates errors of the database and the system into the store's errors."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import StatementError

from watcher.errors import StoreError, StoreFull, StoreRefused
from watcher.store.sqlite import Error, store_error

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise errors of the database at `path` as a StoreError that says what to do."""
    try:
        yield
    except (StatementError, Error) as error:
        raise store_error(error, path) from error
    except (ArithmeticError, UnicodeError) as error:
        raise StoreRefused(f"{path} can't hold a value: {error}") from error
    except OSError as error:
        kind = StoreFull if error.errno in _FULL else StoreError
        raise kind(f"{error.filename or path}: {error.strerror or error}") from error

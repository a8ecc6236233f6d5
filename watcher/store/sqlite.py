"""Everything specific to SQLite: drivers, settings, file format, checks and error codes.

The daemon's one writing connection is aiosqlite's: the event loop hands it each statement and
continues until the answer is there. The reading connections are sqlite3's, for use in threads. Both
share one file, one way to open it and the errors, which are sqlite3's.
"""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from watcher.errors import StoreBusy, StoreCorrupt, StoreError, StoreFull, StoreRefused

APPLICATION_ID = 0x57415443  # "WATC": distinguishes our files from other programs'
BACKUP_ID = 0x57415442  # "WATB": a copy made as a backup; no daemon runs on it
OUR_IDS = (APPLICATION_ID, BACKUP_ID)
ID_ENDS = 72  # where in the file's header the application's id ends
SIDES = ("-wal", "-shm")  # the files that SQLite keeps beside a database
VERSION = sqlite3.sqlite_version
Error = sqlite3.Error

WRITING = {
    "page_size": 2048,  # of a new file. Changes are scattered: smaller pages mean less to write
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "wal_autocheckpoint": 8000,  # 16 MB: pages changed again and again are copied back once
    "journal_size_limit": 64 * 2**20,
}
READING = {"query_only": "ON"}
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


# --- connections ---


def writing_engine(path: Path, busy_timeout: float) -> AsyncEngine:
    """Return an engine of one connection whose every transaction takes the write lock first."""
    engine = create_async_engine(
        _url("sqlite+aiosqlite", path), **_options(busy_timeout, 1, check_same_thread=True)
    )
    _prepare(engine.sync_engine, path, WRITING)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def reading_engine(path: Path, busy_timeout: float, connections: int) -> Engine:
    """Return an engine of connections that can't write, each for one thread at a time."""
    engine = create_engine(
        _url("sqlite", path), **_options(busy_timeout, connections, check_same_thread=False)
    )
    _prepare(engine, path, READING)
    return engine


def _url(driver: str, path: Path) -> URL:
    """Return the URL that opens an existing file: it never replaces a removed file by a new one."""
    return URL.create(driver, database=path.as_uri(), query={"mode": "rw", "uri": "true"})


def _options(busy_timeout: float, connections: int, *, check_same_thread: bool) -> dict[str, Any]:
    """Return the options. The driver begins no transaction, so DDL is transactional."""
    return {
        "connect_args": {
            "isolation_level": None,
            "timeout": busy_timeout,
            "check_same_thread": check_same_thread,
        },
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": 60,
    }


def _prepare(engine: Engine, path: Path, settings: Mapping[str, object]) -> None:
    @event.listens_for(engine, "connect")
    def _prepared(connection: DBAPIConnection, record: object) -> None:
        try:
            _set_up(connection, path, settings)
        except BaseException:
            connection.close()
            raise


def _set_up(connection: DBAPIConnection, path: Path, settings: Mapping[str, object]) -> None:
    with closing(connection.cursor()) as cursor:
        for name, value in settings.items():
            cursor.execute(f"PRAGMA {name}={value}")
            if name == "journal_mode" and cursor.fetchone() != ("wal",):
                raise StoreError(f"{path}: its file system has no write-ahead log: move it")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


# --- the file ---


def table_count(path: Path, busy_timeout: float) -> int:
    """Return how many tables and indexes a file has; refuse another program's database."""
    with closing(sqlite3.connect(path, timeout=busy_timeout)) as connection:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and owner not in OUR_IDS:
        raise StoreError(f"{path} is another program's database: name another file")
    return int(tables)


def application_id(header: bytes) -> int:
    """Return the application's id in a database's header; 0 in an empty file."""
    return int.from_bytes(header[ID_ENDS - 4 : ID_ENDS], "big")


def is_backup(path: Path) -> bool:
    """Return whether the file is marked as a backup. The caller must have no connection to it."""
    with path.open("rb") as file:
        return application_id(file.read(ID_ENDS)) == BACKUP_ID


def mark_as_ours(connection: Connection) -> None:
    """Mark the database as a daemon's own, not a backup."""
    connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")


def copy_file(source: Path, target: Path, *, at_rest: bool, owner: int) -> None:
    """Copy the database into the empty file `target`, in one consistent state, not synced.

    `at_rest` is for a source that no process has open. The copy gets `owner` as application id.
    """
    opened = _open_at_rest(source) if at_rest else sqlite3.connect(source)
    with closing(opened) as original, closing(sqlite3.connect(target)) as copy:
        original.execute("PRAGMA query_only=ON")
        copy.execute("PRAGMA synchronous=OFF")
        original.backup(copy)
        copy.execute(f"PRAGMA application_id={owner}")
        copy.execute("PRAGMA journal_mode=DELETE")


def check_file(path: Path) -> None:
    """Read all of a file that nothing writes; raise an error if it is damaged."""
    with closing(_open_at_rest(path)) as connection:
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if owner not in OUR_IDS:
        raise StoreError(f"{path} is no database of watcher")
    if found != "ok":
        raise StoreCorrupt(f"{path} is damaged ({' '.join(str(found).split())})")


def _open_at_rest(path: Path) -> sqlite3.Connection:
    """Open the file with what a killed process left beside it, and create nothing there.

    A backup has no log: one beside it belongs to the database that it replaced.
    """
    sides = ("-journal",) if is_backup(path) else ("-wal", "-journal")
    beside = [Path(f"{path}{side}") for side in sides]
    has_more = any(side.exists() and side.stat().st_size for side in beside)
    mode = "mode=ro" if has_more else "immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)


# --- an open database ---


def is_sound(connection: Connection) -> bool:
    """Return whether the file's structure is sound. Reads all of it: seconds per gigabyte."""
    return bool(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one() == "ok")


def touch(connection: Connection) -> None:
    """Write a page without changes."""
    connection.exec_driver_sql("PRAGMA user_version = 0")


def without_foreign_keys(connection: Connection, work: Callable[[], None]) -> None:
    """Run migrations without foreign keys: they may rebuild a table that others refer to."""
    driver: Any = connection.connection.dbapi_connection
    driver.execute("PRAGMA foreign_keys=OFF")  # this has no effect within a transaction
    try:
        work()
    finally:
        connection.rollback()
        driver.execute("PRAGMA foreign_keys=ON")


def check_references(connection: Connection) -> None:
    """Refuse a row whose foreign key refers to nothing."""
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise StoreError(f"the migration broke a reference in {broken[0]}; it was undone")


# --- errors ---


def store_error(error: BaseException, path: Path) -> StoreError:
    """Return the driver's error as a StoreError that says what to do."""
    cause = _cause(error)
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    usual = StoreRefused if isinstance(cause, _REFUSALS) else StoreError
    kind, message = _MESSAGES.get(code, (usual, "{path}: {text}"))
    return kind(message.format(path=path, text=cause))


def is_about_data(error: BaseException) -> bool:
    """Return whether the data caused the error: the disk and the locks are not at fault."""
    cause = _cause(error)
    return isinstance(cause, _REFUSALS) or not isinstance(cause, sqlite3.Error | OSError)


def _cause(error: BaseException) -> BaseException:
    return error.orig or error if isinstance(error, StatementError | DBAPIError) else error

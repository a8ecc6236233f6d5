"""Everything that only SQLite has: its driver, settings, file format, checks and error codes."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import URL, Connection, Engine, create_engine, event

from watcher.errors import StoreBusy, StoreCorrupt, StoreError, StoreFull, StoreRefused

APPLICATION_ID = 0x57415443  # "WATC": distinguishes our files from other programs'
BACKUP_ID = 0x57415442  # "WATB": a copy made as a backup; no daemon runs on it
OUR_IDS = (APPLICATION_ID, BACKUP_ID)
ID_ENDS = 72  # where in the file's header the application's id ends
SIDES = ("-wal", "-shm")  # the files that SQLite keeps beside a database
VERSION = sqlite3.sqlite_version
READERS = 6  # connections
Error = sqlite3.Error

WRITING = {
    "page_size": 2048,  # of a new file. Changes are scattered: smaller pages mean less to write
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "secure_delete": "ON",  # who has ordered what must not stay in free room
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
        "{path} is damaged ({text}): stop watcher and restore a backup",
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


def writing_engine(path: Path, busy_timeout: float) -> Engine:
    """Return an engine of one connection whose every transaction takes the write lock first."""
    engine = _engine(path, busy_timeout, 1, WRITING)
    event.listen(engine, "begin", _begin)
    return engine


def reading_engine(path: Path, busy_timeout: float, connections: int) -> Engine:
    """Return an engine of connections that can't write."""
    return _engine(path, busy_timeout, connections, READING)


def _engine(
    path: Path, busy_timeout: float, connections: int, settings: Mapping[str, object]
) -> Engine:
    """Open a file that is there: none is made in the place of one that was removed.

    The driver begins no transaction by itself, so that DDL is transactional too.
    """
    engine = create_engine(
        URL.create("sqlite", database=path.as_uri(), query={"mode": "rw", "uri": "true"}),
        connect_args={
            "isolation_level": None,
            "timeout": busy_timeout,
            "check_same_thread": False,
        },
        pool_size=connections,
        max_overflow=0,
        pool_timeout=60,
    )

    @event.listens_for(engine, "connect")
    def _prepared(connection: sqlite3.Connection, record: object) -> None:
        try:
            _set_up(connection, path, settings)
        except BaseException:
            connection.close()
            raise

    return engine


def _set_up(connection: sqlite3.Connection, path: Path, settings: Mapping[str, object]) -> None:
    for name, value in settings.items():
        found = connection.execute(f"PRAGMA {name}={value}").fetchone()
        if name == "journal_mode" and found != ("wal",):
            raise StoreError(f"{path}: its file system has no write-ahead log: move it")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


# --- the file ---


def refuse_foreign(path: Path, busy_timeout: float) -> None:
    """Raise StoreError if the file is another program's database."""
    with closing(sqlite3.connect(path, timeout=busy_timeout)) as connection:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and owner not in OUR_IDS:
        raise StoreError(f"{path} is another program's database: name another file")


def application_id(header: bytes) -> int:
    """Return the application's id in a database's header; 0 in an empty file."""
    return int.from_bytes(header[ID_ENDS - 4 : ID_ENDS], "big")


def is_backup(path: Path) -> bool:
    """Return whether the file is marked as a backup. The caller must have no connection to it."""
    with path.open("rb") as file:
        return application_id(file.read(ID_ENDS)) == BACKUP_ID


def mark_as_ours(connection: Connection) -> None:
    """Mark a file as a daemon's own, not a backup."""
    if _is_here(connection):
        connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")


def copy_at_rest(source: Path, target: Path, *, owner: int) -> None:
    """Copy a database that nothing has open into the empty file `target`, not synced.

    The copy is one consistent state and gets `owner` as application's id.
    """
    with closing(_open_at_rest(source)) as original, closing(sqlite3.connect(target)) as copy:
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


async def is_sound(path: Path) -> bool:
    """Return whether the file's structure is sound. Reads all of it: seconds a gigabyte.

    On a connection of its own, so that no page waits for one of those that read.
    """
    async with aiosqlite.connect(path) as connection:
        await connection.execute("PRAGMA query_only=ON")
        async with connection.execute("PRAGMA quick_check(1)") as found:
            return await found.fetchone() == ("ok",)


async def copy_open(source: Path, target: Path, *, owner: int) -> None:
    """Copy a database that is in use into the empty file `target`; see `copy_at_rest`."""
    async with aiosqlite.connect(source) as original, aiosqlite.connect(target) as copy:
        await original.execute("PRAGMA query_only=ON")
        await copy.execute("PRAGMA synchronous=OFF")
        await original.backup(copy)
        await copy.execute(f"PRAGMA application_id={owner}")
        await copy.execute("PRAGMA journal_mode=DELETE")


def touch(connection: Connection) -> None:
    """Write a page without changes."""
    connection.exec_driver_sql("PRAGMA user_version = 0")


def without_foreign_keys(connection: Connection, work: Callable[[], None]) -> None:
    """Run migrations: they may build a table anew that others refer to."""
    if not _is_here(connection):
        work()
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")  # this has no effect within a transaction
    try:
        work()
    finally:
        connection.rollback()
        driver.execute("PRAGMA foreign_keys=ON")


def check_references(connection: Connection) -> None:
    """Refuse a row whose foreign key refers to nothing; other databases never have one."""
    if not _is_here(connection):
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise StoreError(f"the migration broke a reference in {broken[0]}; it was undone")


def _is_here(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


# --- errors ---


def store_error(cause: BaseException, path: Path | str) -> StoreError:
    """Return the driver's error as a StoreError that says what to do."""
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    usual = StoreRefused if isinstance(cause, _REFUSALS) else StoreError
    kind, message = _MESSAGES.get(code, (usual, "{path}: {text}"))
    return kind(message.format(path=path, text=cause))


def is_about_data(cause: BaseException) -> bool:
    """Return whether the data caused the error: the disk and the locks are not at fault."""
    return isinstance(cause, _REFUSALS) or not isinstance(cause, sqlite3.Error | OSError)

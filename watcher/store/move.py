"""Moves all records from one database to another, between a file and a server, either way.

1. Both are locked as a daemon locks them, and brought to this version's tables.
2. The target must have no records. All tables are written in one transaction: whole or not at all.
   It marks the target: no daemon starts on that yet.
3. Before the commit, each table's number of rows and its highest number are compared.
4. Then the source is put aside: no daemon starts on it.
5. Then the target's mark is removed.

So a daemon starts on at most one of both, wherever the move is cut short, and it can be run again:
between 2 and 4 the copy is made anew, since the source may have been used; between 4 and 5 only the
mark is left to remove.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, delete, func, select

from watcher.common.disk import sync
from watcher.common.postgres_url import DatabaseLocation, PostgresUrl
from watcher.errors import Conflict, StoreError
from watcher.store import claims
from watcher.store.bulk import Bulk, bulk_of, numbered
from watcher.store.commits import NAME as COMMITS
from watcher.store.database import Database, ignore
from watcher.store.marks import ARRIVING, MOVED, NAMES, mark, marks, unmark
from watcher.store.schema import counters, metadata
from watcher.store.sqlite import SIDES

Report = Callable[[str, int, int], None]  # (table, rows of it so far, rows of it)
_REPORT_EVERY = 10_000  # rows
_OWN = (COMMITS, *NAMES)  # the counters that each database has for itself
_ASIDE = ".migrated-"  # part of the name of a file that was moved away


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """The result: rows by table, and where the former database is now."""

    rows: dict[str, int]
    kept: str


async def move(
    source: DatabaseLocation, target: DatabaseLocation, report: Report, *, now: float
) -> Move:
    """Copy all records to the target, then put the source aside; or finish a move cut short.

    Raises StoreError or Conflict; then the source is as it was, or the move can be finished.
    """
    source, target = _resolved(source), _resolved(target)
    if source == target:
        raise Conflict(f"{target} is the database already: name the one to move to")
    moved = 0
    if isinstance(source, PostgresUrl) or source.exists():
        moved = await _copied(source, target, report, int(now))
    elif not any(source.parent.glob(f"{source.name}{_ASIDE}*")):
        raise StoreError(f"{source}: there is no such file")
    elsewhere = StoreError(
        f"{source} was moved away before, and {target} does not wait for it: name where it went"
    )
    if isinstance(target, Path) and not target.exists():
        raise elsewhere
    async with _opened(target, ARRIVING, now) as new:
        arrived = (await new.read("move", marks)).get(ARRIVING, 0)
        kept = source if isinstance(source, PostgresUrl) else _aside(source, arrived)
        if not (kept.exists() if isinstance(kept, Path) else moved == arrived):
            raise elsewhere
        rows = await new.write("move", _released)
    return Move(rows=rows, kept=str(kept))


async def _copied(
    source: DatabaseLocation, target: DatabaseLocation, report: Report, now: int
) -> int:
    """Copy all records and put the source aside; return when a server's database was moved."""
    async with _opened(source, MOVED, now) as old:
        moved = (await old.read("move", marks)).get(MOVED, 0)
        if moved:
            return moved
        async with _opened(target, ARRIVING, now) as new:
            counted = await new.write("move", lambda c: _copy_all(old, c, report, now))
            new.note_claims(counted)
        if isinstance(source, PostgresUrl):
            await old.write("move", lambda c: mark(c, MOVED, now))
    if isinstance(source, Path):
        _put_aside(source, now)
    return now


@asynccontextmanager
async def _opened(location: DatabaseLocation, may_have: str, now: float) -> AsyncIterator[Database]:
    """Open a database that has no mark, or only this one."""
    database = await Database.open(
        location, now=now, observe=ignore, busy_timeout=5.0, mark=may_have
    )
    try:
        yield database
    finally:
        await database.close()


def _copy_all(old: Database, target: Connection, report: Report, now: int) -> int:
    """Write every table, and the mark; return the count of claims."""
    writing = bulk_of(target)
    _empty(target)

    def work(source: Connection) -> int:
        reading = bulk_of(source)
        for table in metadata.sorted_tables:
            _copy(source, reading, target, writing, table, report)
        return claims.counted(source)

    counted = old.read_here(work)
    mark(target, ARRIVING, now)
    return counted


def _empty(target: Connection) -> None:
    """Remove what a move that was cut short has left; Conflict if there are other records."""
    is_left = ARRIVING in marks(target)
    for table in reversed(metadata.sorted_tables):
        if table is counters:
            target.execute(delete(counters).where(counters.c.name.not_in(_OWN)))
        elif is_left:
            target.execute(delete(table))
        elif _count(target, table):
            raise Conflict(f"the target has records in {table}: name an empty database")


def _copy(
    source: Connection,
    reading: Bulk,
    target: Connection,
    writing: Bulk,
    table: Table,
    report: Report,
) -> None:
    total, done = _count(source, table), 0

    def rows() -> Any:
        nonlocal done
        for row in reading.rows(table):
            if table is counters and row[0] in _OWN:
                continue
            yield row
            done += 1
            if done % _REPORT_EVERY == 0:
                report(table.name, done, total)

    writing.fill(table, rows())
    report(table.name, done, total)
    if numbered(table) is not None:
        writing.go_on_from(table, reading.last_number(table))
    if (_count(source, table), _highest(source, table)) != (
        _count(target, table),
        _highest(target, table),
    ):
        raise StoreError(f"{table} is not the same in both: nothing was moved")


def _count(connection: Connection, table: Table) -> int:
    statement = select(func.count()).select_from(table)
    if table is counters:
        statement = statement.where(counters.c.name.not_in(_OWN))
    return connection.execute(statement).scalar_one()


def _highest(connection: Connection, table: Table) -> object:
    column = numbered(table)
    return None if column is None else connection.execute(select(func.max(column))).scalar()


def _resolved(location: DatabaseLocation) -> DatabaseLocation:
    return location.resolve() if isinstance(location, Path) else location


def _released(connection: Connection) -> dict[str, int]:
    """Let daemons start on the target; return how many rows each table has."""
    unmark(connection, ARRIVING)
    return {table.name: _count(connection, table) for table in metadata.sorted_tables}


def _aside(source: Path, moved: int) -> Path:
    """Return the name of a file that was moved away at that time."""
    stamp = f"{datetime.fromtimestamp(moved, UTC):%Y%m%dT%H%M%SZ}"
    return source.with_name(f"{source.name}{_ASIDE}{stamp}")


def _put_aside(source: Path, now: int) -> None:
    """Rename a file that nothing has open: first the file, so that it never lacks its log."""
    kept = _aside(source, now)
    for suffix in ("", *SIDES):
        path = source.with_name(source.name + suffix)
        if path.exists():
            path.rename(f"{kept}{suffix}")
    sync(source.parent)

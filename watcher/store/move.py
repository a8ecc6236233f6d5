"""Moves all records from one database to another, between a file and a server, either way.

1. Both are locked as a daemon locks them, and brought to this version's tables.
2. The target must have no records. All tables are written in one transaction: whole or not at all.
3. Before the commit, each table's number of rows and its highest number are compared.
4. Then the source is put aside: no daemon starts on it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, func, insert, select

from watcher.common.postgres_url import DatabaseLocation, PostgresUrl
from watcher.errors import Conflict, StoreError
from watcher.store import claims
from watcher.store.bulk import Bulk, bulk_of, numbered
from watcher.store.commits import MOVED
from watcher.store.commits import NAME as COMMITS
from watcher.store.database import Database, ignore
from watcher.store.schema import counters, metadata
from watcher.store.sqlite import SIDES

Report = Callable[[str, int, int], None]  # (table, rows of it so far, rows of it)
_REPORT_EVERY = 10_000  # rows


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """The result: rows by table, and where the former database is now."""

    rows: dict[str, int]
    kept: str


async def move(
    source: DatabaseLocation, target: DatabaseLocation, report: Report, *, now: float
) -> Move:
    """Copy all records to the target, then put the source aside.

    Raises StoreError or Conflict; then the source is as it was, and the target has no records.
    """
    if isinstance(source, Path) and not source.exists():
        raise StoreError(f"{source}: there is no such file")
    old = await Database.open(source, now=now, observe=ignore, busy_timeout=5.0)
    try:
        new = await Database.open(target, now=now, observe=ignore, busy_timeout=5.0)
        try:
            rows, counted = await new.write("move", lambda c: _copy_all(old, c, report))
            new.note_claims(counted)
        finally:
            await new.close()
        if isinstance(source, PostgresUrl):
            await old.write("move", _mark_as_moved)
    finally:
        await old.close()
    kept = str(source) if isinstance(source, PostgresUrl) else str(_put_aside(source, now))
    return Move(rows=rows, kept=kept)


def _copy_all(old: Database, target: Connection, report: Report) -> tuple[dict[str, int], int]:
    """Write every table; return how many rows of each, and the count of claims."""
    _refuse_records(target)

    def work(source: Connection) -> tuple[dict[str, int], int]:
        reading, writing = bulk_of(source), bulk_of(target)
        rows = {
            table.name: _copy(source, reading, target, writing, table, report)
            for table in metadata.sorted_tables
        }
        return rows, claims.counted(source)

    return old.read_here(work)


def _refuse_records(target: Connection) -> None:
    for table in metadata.sorted_tables:
        if table is not counters and _count(target, table):
            raise Conflict(f"the target has records in {table}: name an empty database")
    target.execute(counters.delete().where(counters.c.name != COMMITS))


def _copy(
    source: Connection,
    reading: Bulk,
    target: Connection,
    writing: Bulk,
    table: Table,
    report: Report,
) -> int:
    total, done = _count(source, table), 0

    def rows() -> Any:
        nonlocal done
        for row in reading.rows(table):
            if table is counters and row[0] == COMMITS:  # each database has its own
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
    return total


def _count(connection: Connection, table: Table) -> int:
    statement = select(func.count()).select_from(table)
    if table is counters:
        statement = statement.where(counters.c.name != COMMITS)
    return connection.execute(statement).scalar_one()


def _highest(connection: Connection, table: Table) -> object:
    column = numbered(table)
    return None if column is None else connection.execute(select(func.max(column))).scalar()


def _mark_as_moved(connection: Connection) -> None:
    connection.execute(insert(counters).values(name=MOVED, value=1))


def _put_aside(source: Path, now: float) -> Path:
    """Rename a file that nothing has open."""
    source = source.resolve()
    stamp = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"
    kept = source.with_name(f"{source.name}.migrated-{stamp}")
    for suffix in ("", *SIDES):
        path = source.with_name(source.name + suffix)
        if path.exists():
            path.rename(f"{kept}{suffix}")
    return kept

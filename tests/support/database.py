"""The databases of tests: a new file, made once, and a look into one as another program has it."""

import asyncio
import sqlite3
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg

from watcher.common.postgres_url import DatabaseLocation, PostgresUrl
from watcher.store import Store

CURRENT = SimpleNamespace(engine="sqlite")  # what stores are opened on: see tests/conftest.py
Error = sqlite3.DatabaseError, psycopg.Error
_AWAY_FOR = 10.0  # seconds
_SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'watcher %'
"""


def put_empty(path: Path) -> None:
    """Put a new database there, unless there is one or something is left of one."""
    if not any(path.parent.glob(f"{path.name}*")):
        path.write_bytes(_empty())


def rows(database: DatabaseLocation, query: str) -> list[tuple[Any, ...]]:
    """What another program reads, which waits for a server that is away for a moment.

    Amounts are text, as they are in a file.
    """
    if isinstance(database, PostgresUrl):
        return _served(database, query, time.monotonic() + _AWAY_FOR)
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def wait_for_sessions(database: DatabaseLocation, within: float = 10.0) -> None:
    """Wait until a server has noticed that the daemon is gone: it may be committing until then."""
    if isinstance(database, PostgresUrl):
        until = time.monotonic() + within
        while rows(database, _SESSIONS) != [(0,)]:
            assert time.monotonic() < until, "sessions of a daemon that is gone are still there"
            time.sleep(0.02)


def _served(database: PostgresUrl, query: str, until: float) -> list[tuple[Any, ...]]:
    while True:
        try:
            with psycopg.connect(database.text, autocommit=True) as server:
                return [tuple(map(_plain, row)) for row in server.execute(query).fetchall()]
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(1) as thread:
        path = Path(directory) / "watcher.db"
        thread.submit(lambda: asyncio.run(_make(path))).result()  # a loop may run already
        return path.read_bytes()


async def _make(path: Path) -> None:
    await (await Store.open(path, now=0.0)).close()

"""Where a measured daemon has its database: in a file, or on a PostgreSQL server of the tests."""

import asyncio
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from tests.support.postgres import Server
from watcher.common.postgres_url import DatabaseLocation
from watcher.store import move

FILE = "watcher.db"


class Place(Protocol):
    """One kind of database."""

    name: str

    def put(self, made: Path, directory: Path) -> DatabaseLocation:
        """Put a copy of a made file there, for the daemon in that directory; forget the last."""
        ...

    def count(self, query: str) -> int:
        """The one number that the query gives."""
        ...


class FilePlace:
    """A file beside the configuration."""

    name = "SQLite"

    def put(self, made: Path, directory: Path) -> DatabaseLocation:
        for old in directory.glob(f"{FILE}*"):
            old.unlink()
        self._file = shutil.copyfile(made, directory / FILE)
        return self._file

    def count(self, query: str) -> int:
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as connection:
            return int(connection.execute(query).fetchone()[0])


class ServerPlace:
    """A server on this machine: it takes part of the cores that are measured."""

    name = "PostgreSQL"

    def __init__(self, directory: Path) -> None:
        self.server = Server(directory)
        self.server.start(shared_buffers="256MB")
        self.filled_in = 0.0  # seconds that the move of the last file took
        self._template, self._made, self._database = "", Path(), ""

    def put(self, made: Path, directory: Path) -> DatabaseLocation:
        if made != self._made:
            self._fill(made, directory)
        if self._database:
            self.server.sql(f"DROP DATABASE {self._database} WITH (FORCE)")
        self._database = self.server.create(self._template)
        for old in directory.glob("postgresql*"):
            old.unlink()
        return self.server.url(self._database, directory)

    def count(self, query: str) -> int:
        return int(self.rows(query)[0][0])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All that the query gives."""
        return self.server.sql(query, self._database)

    def _fill(self, made: Path, directory: Path) -> None:
        """Make the template of all databases: a move takes its source away, so that is a copy."""
        self._template, self._made = self.server.create(), made
        source = shutil.copyfile(made, made.with_name("to-move.db"))
        url = self.server.url(self._template, directory)
        began = time.perf_counter()
        asyncio.run(move(source, url, lambda *_: None, now=0.0))
        self.filled_in = time.perf_counter() - began
        self.server.sql("VACUUM", self._template)  # as the server does by and by

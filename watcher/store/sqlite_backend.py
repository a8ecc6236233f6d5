"""A database in a file: its locks, its connections, and what is done to it as a whole."""

import glob
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine

from watcher.errors import StoreError, StoreOlder, Unsupported
from watcher.store.backend import Connections, Work
from watcher.store.files import PUT_ASIDE, back_up, size_of
from watcher.store.lock import Held
from watcher.store.migrate import migrate
from watcher.store.sqlite import (
    BACKUP_ID,
    READERS,
    VERSION,
    is_sound,
    reading_engine,
    refuse_foreign,
    touch,
    writing_engine,
)

T = TypeVar("T")


class SqliteBackend:
    """A file, from `connect` on with its locks."""

    name = "sqlite"
    version = VERSION
    is_shared = False

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self.place = str(path)
        self.path = path
        self._busy_timeout = busy_timeout
        self._held: Held | None = None

    def connect(self, resources: ExitStack, now: float, *, disowning: bool) -> Connections:
        path = self.path
        held = Held.take(path, now)
        resources.callback(held.close)
        self._inspect(held, disowning=disowning)
        writing = writing_engine(path, self._busy_timeout)
        resources.callback(writing.dispose)
        readers = reading_engine(path, self._busy_timeout, READERS)
        resources.callback(readers.dispose)
        writer = resources.enter_context(writing.connect())
        is_new = migrate(writer, str(path))
        held.know_sides()
        self._held = held
        return Connections(writer, readers, is_new)

    def read(self, readers: Engine, work: Work[T]) -> T:
        with readers.connect() as connection:
            return work(connection)

    def transact(self, writer: Connection, work: Work[T]) -> T:
        with writer.begin():
            return work(writer)

    def at_once(self, work: Work[T]) -> T:
        raise Unsupported("a database in a file has no nodes")

    def compare(self, connection: Connection) -> None:
        raise Unsupported("a database in a file has no nodes")

    def joined(self, epoch: int, commits: int) -> None:
        raise Unsupported("a database in a file has no nodes")

    def problem(self) -> str | None:
        return self._held.problem() if self._held else None

    def touch(self, connection: Connection) -> None:
        touch(connection)

    def sizes(self, connection: Connection) -> tuple[int, int]:
        return size_of(self.path), size_of(Path(f"{self.path}-wal"))

    async def is_sound(self) -> bool:
        return await is_sound(self.path)

    async def back_up(self, target: Path) -> None:
        await back_up(self.path, target)

    def _inspect(self, held: Held, *, disowning: bool) -> None:
        """Lock the file (created if missing). Refuse foreign files."""
        path = self.path
        _refuse_half_restored(path)
        held.lock_database(create=True)
        if held.application_id() == BACKUP_ID and not disowning:
            raise StoreOlder(
                f"{path} is a backup that was copied into place: what was sent since it was made"
                " would be sent again",
                "restore",
                str(path),
            )
        refuse_foreign(path, self._busy_timeout)


def _refuse_half_restored(path: Path) -> None:
    """Refuse an empty database beside one that was put aside: it would forget all that was sent."""
    aside = sorted(path.parent.glob(f"{glob.escape(path.name)}{PUT_ASIDE}*"))
    if aside and not path.exists():
        raise StoreError(
            f"{path} is missing and {aside[-1].name} is there: a restore was cut short. Run it"
            " again; or move that file away, to begin with an empty database"
        )

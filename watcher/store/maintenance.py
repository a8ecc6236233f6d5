"""Backup, sizes and checks of the database as a whole."""

import asyncio
from pathlib import Path

from watcher.errors import StoreCorrupt
from watcher.store.base import StorePart
from watcher.store.database import Database


class Maintenance(StorePart):
    """Operations on the database as a whole."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._copying = asyncio.Lock()

    @property
    def engine(self) -> tuple[str, str]:
        """Return the name of the database's engine, and its version."""
        return self._db.backend.name, self._db.backend.version

    @property
    def has_file(self) -> bool:
        """Return whether the database is a file, which is backed up by copying it."""
        return self._db.backend.name == "sqlite"

    async def backup(self, path: Path) -> None:
        """Make a consistent copy, complete or not at all; never replace an existing file."""
        with self._db.edge("backup"):
            await asyncio.shield(self._db.spawn(self._copy(path)))

    async def sizes(self) -> tuple[int, int]:
        """Return the sizes in bytes of the database and of a file's write-ahead log."""
        return await self._db.read("sizes", self._db.backend.sizes)

    async def wal_archived_at(self) -> float | None:
        """Return when a server last archived its log, 0 if never; None if it archives none."""
        return await self._db.read("sizes", self._db.backend.wal_archived_at)

    def check_files(self) -> str | None:
        """Return why nothing may be written any more; None if all is well."""
        return self._db.check_files()

    async def check_writable(self) -> None:
        """Commit without a change; raise what a real change would."""
        await self._db.write("check_writable", self._db.backend.touch)

    async def quick_check(self) -> bool:
        """Return whether the database is undamaged. Reads all of a file: seconds per gigabyte."""
        try:
            with self._db.edge("quick_check"):
                return await self._db.backend.is_sound()
        except StoreCorrupt:
            return False

    async def _copy(self, path: Path) -> None:
        async with self._copying:
            await self._db.backend.back_up(path)

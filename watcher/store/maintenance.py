"""Backup, sizes and checks of the database file."""

import asyncio
from pathlib import Path

from watcher.errors import StoreCorrupt
from watcher.store.base import StorePart
from watcher.store.database import Database
from watcher.store.files import back_up, size_of
from watcher.store.sqlite import VERSION, is_sound, touch


class Maintenance(StorePart):
    """Operations on the file as a whole."""

    version = VERSION  # of the database's engine

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._copying = asyncio.Lock()

    async def backup(self, path: Path) -> None:
        """Make a consistent copy, complete or not at all; never replace an existing file."""
        with self._db.edge("backup"):
            await asyncio.shield(self._db.spawn(self._copy(path)))

    def sizes(self) -> tuple[int, int]:
        """Return the sizes in bytes of the file and of its write-ahead log."""
        return size_of(self._db.path), size_of(Path(f"{self._db.path}-wal"))

    def check_files(self) -> str | None:
        """Return which file was removed or replaced; None if all are in place."""
        return self._db.check_files()

    async def check_writable(self) -> None:
        """Commit a page without changes; raise what a real change would."""
        await self._db.write("check_writable", touch)

    async def quick_check(self) -> bool:
        """Return whether the file's structure is sound. Reads all of it: seconds per gigabyte."""
        try:
            with self._db.edge("quick_check"):
                return await is_sound(self._db.path)
        except StoreCorrupt:
            return False

    async def _copy(self, path: Path) -> None:
        async with self._copying:
            await back_up(self._db.path, path)

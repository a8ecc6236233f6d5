"""`<database>.seen`: how often the database has claimed actions, kept outside of it.

Every request that may act is claimed first, and each claim is counted in the database and here. A
database with a lower count than this file is an older copy: it would repeat what was sent since.

The file is not synced at each claim: a killed process loses nothing, a power failure the last
seconds.
"""

import os
from pathlib import Path

from watcher.common.disk import sync
from watcher.errors import StoreOlder

SUFFIX = ".seen"
_DIGITS = 20  # fixed width: one write in place, within a sector


class ClaimsFile:
    """The file of one database; a server's has it in the daemon's state directory."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + SUFFIX)
        self._noted = -1
        self._handle: int | None = None  # kept open: there may be no free handle later

    def read(self) -> int:
        """Return how many claims were counted; 0 if there is no file."""
        try:
            text = self.path.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return 0
        if not text:
            return 0
        if not (text.isascii() and text.isdecimal()):
            raise StoreOlder(
                f"{self.path} can't be read: nobody can tell whether the database is an older one",
                "disown",
            )
        return int(text)

    def note(self, claims: int) -> None:
        """Write the count of claims."""
        if claims <= self._noted:
            return
        os.pwrite(self._opened(), f"{claims:0{_DIGITS}}\n".encode(), 0)
        self._noted = claims

    def sync(self) -> None:
        """Wait until the written count is on disk."""
        if self._handle is not None:
            os.fsync(self._handle)
            sync(self.path.parent)

    def close(self) -> None:
        """Close the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _opened(self) -> int:
        """Return a handle of the file that has the name now, created if missing."""
        if self._handle is None or not self._is_in_place(self._handle):
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
            self.close()
            self._handle = handle
        return self._handle

    def _is_in_place(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(handle))
        except FileNotFoundError:
            return False

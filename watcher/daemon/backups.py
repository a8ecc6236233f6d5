"""Makes copies of the database when they are due, and checks each of them."""

import asyncio
import re
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog

from watcher.common.clock import Clock
from watcher.common.disk import sync
from watcher.config import ActiveConfig
from watcher.errors import StoreCorrupt, StoreError, StoreFull, WatcherError
from watcher.store import Store, beside, check_database

log = structlog.get_logger()

RETRY_AFTER = 900.0  # seconds after a backup that failed
SPARE_ROOM = 32 * 2**20  # bytes that a backup leaves free: the database may need them
_UNCHECKED = "unchecked.db"
_NAME = re.compile(r"watcher-(\d{8}T\d{6}Z)\.db")
_STAMP = "%Y%m%dT%H%M%SZ"


class Backups:
    """Makes a copy when one is due and keeps the newest."""

    def __init__(
        self,
        *,
        store: Store,
        config: ActiveConfig,
        clock: Clock,
    ) -> None:
        self.made_at = 0.0  # the last one; 0 before the first
        self.problem: str | None = None  # why the last attempt failed
        self._store = store
        self._config = config
        self._clock = clock

    @property
    def every(self) -> float:
        """The interval between two copies, in seconds."""
        return self._config.current.daemon.backup_every

    @property
    def is_needed(self) -> bool:
        """Whether the daemon makes copies; a server's database is backed up there."""
        return self._store.maintenance.has_file

    async def run_once(self, now: float) -> float:
        """Make a copy if one is due; return when to run next."""
        if not self.is_needed:
            return now + self.every
        settings = self._config.current.daemon
        directory = beside(self._store.path, settings.backup_dir)
        try:
            last = await asyncio.to_thread(_last_made, directory, now)
            if last is not None:
                self.note_made(last)
                if last + settings.backup_every > now:
                    return last + settings.backup_every
            await self._make(directory, settings.backup_keep, now)
        except (WatcherError, OSError) as error:
            self._log_failure(error)
            return now + min(RETRY_AFTER, settings.backup_every)
        return now + settings.backup_every

    def note_made(self, at: float) -> None:
        """Note that a copy was made, by this task or on request."""
        self.made_at = max(self.made_at, at)

    async def _make(self, directory: Path, keep: int, now: float) -> None:
        await asyncio.to_thread(_make_ready, directory, sum(await self._store.maintenance.sizes()))
        await self._store.maintenance.backup(directory / _UNCHECKED)
        made = await asyncio.to_thread(_take_in, directory / _UNCHECKED, keep, now)
        self.problem = None
        self.note_made(now)
        log.info("backup.made", file=str(made))

    def _log_failure(self, error: Exception) -> None:
        """Log a failure when it changes."""
        cause = str(error)
        if cause != self.problem:
            log.error("backup.failed", cause=cause)
        self.problem = cause

    @asynccontextmanager
    async def download(self) -> AsyncIterator[Path]:
        """Yield a consistent copy beside the database; remove it, and count it once sent."""
        if self.is_needed:
            await asyncio.to_thread(
                check_room, self._store.path.parent, sum(await self._store.maintenance.sizes())
            )
        with scratch(self._store.path) as directory:
            copy = Path(directory) / "watcher.db"
            await self._store.maintenance.backup(copy)
            yield copy
        self.note_made(self._clock())


def check_room(directory: Path, size: int) -> None:
    """Raise StoreFull if a copy of this size could fill the disk."""
    if shutil.disk_usage(directory).free < size + SPARE_ROOM:
        raise StoreFull(f"too little room for a backup in {directory}: make room, or move it")


def scratch(database: Path) -> tempfile.TemporaryDirectory[str]:
    """Return a directory beside the database for a copy that is being downloaded."""
    return tempfile.TemporaryDirectory(prefix=_scratch_prefix(database), dir=database.parent)


def clear_scratch(database: Path) -> None:
    """Remove what a killed process left there; the caller must hold the database's lock."""
    for left in database.parent.glob(f"{_scratch_prefix(database)}*"):
        shutil.rmtree(left, ignore_errors=True)


def newest_good(directory: Path) -> Path | None:
    """Return the newest undamaged backup; reads all of each candidate."""
    for path in reversed(_found(directory)):
        try:
            check_database(path)
        except StoreError:
            continue
        return path
    return None


def recovery_advice(database: Path, directory: Path, config: Path) -> str:
    """Return what to do about a damaged database."""
    kept = "The file stays as it is."
    backup = newest_good(directory)
    if backup is None:
        return f"{kept} There is no good backup in {directory}"
    command = shlex.join(["watcher", "restore", str(backup), "--config", str(config)])
    return f"{kept} The newest good backup is of {_made_at(backup):%Y-%m-%d %H:%M} UTC: {command}"


def _scratch_prefix(database: Path) -> str:
    return f".{database.name}.copy-"


def _found(directory: Path) -> list[Path]:
    """Return the backups, oldest first; other files are ignored."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))


def _made_at(backup: Path) -> datetime:
    found = _NAME.fullmatch(backup.name)
    try:
        return datetime.strptime(found[1] if found else "", _STAMP).replace(tzinfo=UTC)
    except ValueError:  # digits that are not a date
        return datetime.fromtimestamp(backup.stat().st_mtime, UTC)


def _last_made(directory: Path, now: float) -> float | None:
    """Return when the last backup was made; ignore one from the future (a wrong clock)."""
    times = (_made_at(backup).timestamp() for backup in _found(directory))
    return max((at for at in times if at <= now), default=None)


def _make_ready(directory: Path, size: int) -> None:
    """Remove what a killed process left; raise StoreFull if the copy could fill the disk."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in (directory / _UNCHECKED, *directory.glob(f".{_UNCHECKED}.*")):
        left.unlink(missing_ok=True)
    check_room(directory, size)


def _take_in(unchecked: Path, keep: int, now: float) -> Path:
    """Give a checked copy its name, then remove the oldest beyond `keep`, never the new one."""
    try:
        check_database(unchecked)
    except StoreError as error:
        unchecked.unlink()
        raise StoreCorrupt(f"the copy was removed: {error}") from None
    directory = unchecked.parent
    made = directory / f"watcher-{datetime.fromtimestamp(now, UTC):{_STAMP}}.db"
    unchecked.rename(made)
    sync(directory)
    others = [path for path in _found(directory) if path != made]
    for old in others[: max(0, len(others) - (keep - 1))]:
        old.unlink()
    return made

"""Moves orders that closed long ago from the database to archive files.

1. Orders are read whole, some hundred at a time, into one compressed file of JSON lines.
2. The file is on the disk under its name before the first order is removed: after a crash in
   between, some orders are archived twice, and none is lost.
3. They are removed in portions, each one transaction. A portion that took long makes the next one
   smaller.
"""

import asyncio
import gzip
import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from watcher.common.disk import put_in_place
from watcher.config import ActiveConfig
from watcher.daemon.task_runner import Task
from watcher.errors import StoreError, WatcherError
from watcher.store import Retired, Store, archive_name, beside

log = structlog.get_logger()

EVERY = 86400.0  # seconds between runs
PURGE_EVERY = 3600.0  # seconds; each run cuts down large parameters
_PURGES_A_DAY = 24  # one of them reads whole tables
CUT_DOWN_AFTER = 3600.0  # seconds after an action was settled
RETRY_AFTER = 1800.0  # seconds after a run that failed
MORE_AFTER = 5.0  # seconds between runs while there is more; each run has its own file
MOST_AT_ONCE = 10_000  # orders a run, held in memory
SMALLEST, LARGEST = 10, 1000  # orders a transaction
READ_AT_ONCE = 200  # orders; other tasks run in between
TOLD_WITHIN = 3600.0  # seconds within which events of an order are notified
AIM = 0.05  # seconds that a transaction should take, waiting for its turn included
_encode = msgspec.json.Encoder().encode


class Retention:
    """Archives orders that closed longer than `retain_for` ago, and removes other old rows."""

    def __init__(self, *, store: Store, config: ActiveConfig) -> None:
        self._store = store
        self._config = config
        self._portion = 100
        self._problem: str | None = None
        self._purges = 0

    def tasks(self) -> dict[str, Task]:
        """Return the tasks to schedule, by name."""
        return {"retention": self.run_once, "purge": self.purge}

    async def run_once(self, now: float) -> float:
        """Archive orders that are old enough; return when to run next."""
        try:
            archived, is_more = await self._archive(now)
        except (WatcherError, OSError) as error:
            self._log_failure(error)
            return now + RETRY_AFTER
        self._problem = None
        # If nothing could be removed, another run would find the same orders.
        return now + (MORE_AFTER if is_more and archived else EVERY)

    async def purge(self, now: float) -> float:
        """Remove rows without an order that are no longer needed; return when to run next."""
        settings = self._config.current.daemon
        try:
            await self._store.purge.cut_down(now - CUT_DOWN_AFTER)
            if self._purges % _PURGES_A_DAY == 0:
                removed = await self._store.purge.run(
                    now,
                    retain_for=settings.retain_for,
                    remember_for=settings.remember_for,
                    audit_for=settings.audit_for,
                )
                if removed:
                    log.info("rows.removed", **removed)
        except StoreError as error:
            log.error("purge.failed", cause=str(error))
            return now + RETRY_AFTER
        self._purges += 1
        return now + PURGE_EVERY

    async def _archive(self, now: float) -> tuple[int, bool]:
        """Return how many orders were archived, and whether there are more."""
        settings = self._config.current.daemon
        before = now - settings.retain_for
        keys = await self._store.archive.closed_before(
            before, after=0, limit=MOST_AT_ONCE, untold=now - TOLD_WITHIN
        )
        if not keys:
            return 0, False
        file = beside(self._store.path, settings.archive_dir) / archive_name(now)
        retired = await self._export(keys, before, file)
        removed = await self._remove(retired, before, now)
        log.info("orders.archived", orders=removed, file=str(file))
        return removed, len(keys) == MOST_AT_ONCE

    async def _export(self, keys: Sequence[int], before: float, file: Path) -> list[Retired]:
        """Write the orders; return when they are on the disk."""
        partial = file.with_name(f".{file.name}.part")
        retired: list[Retired] = []
        await asyncio.to_thread(_begin, partial)
        for start in range(0, len(keys), READ_AT_ONCE):
            portion = await self._store.archive.retired(keys[start : start + READ_AT_ONCE], before)
            await asyncio.to_thread(_append, partial, portion)
            retired += (msgspec.structs.replace(order, record={}) for order in portion)
        await asyncio.to_thread(_finish, partial, file)
        return retired

    async def _remove(self, retired: Sequence[Retired], before: float, now: float) -> int:
        removed = start = 0
        while start < len(retired):
            portion = retired[start : start + self._portion]
            began = time.perf_counter()
            removed += await self._store.archive.remove(portion, before, now=now)
            self._pace(len(portion), time.perf_counter() - began)
            start += len(portion)
            await asyncio.sleep(0)
        return removed

    def _pace(self, orders: int, seconds: float) -> None:
        """Set the size of the next portion so that it takes AIM seconds."""
        fitting = int(orders * AIM / max(seconds, 0.001))
        self._portion = max(SMALLEST, min(LARGEST, 2 * self._portion, fitting))

    def _log_failure(self, error: Exception) -> None:
        """Log a failure when it changes."""
        cause = str(error)
        if cause != self._problem:
            log.error("archive.failed", cause=cause)
        self._problem = cause


def _begin(partial: Path) -> None:
    """Remove what a killed process left."""
    partial.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in partial.parent.glob(".orders-*.part"):
        left.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _append(partial: Path, portion: Sequence[Retired]) -> None:
    """Append one order a line. Concatenated gzip files are a valid gzip file."""
    with gzip.open(partial, "ab") as archive:
        for order in portion:
            archive.write(_encode(order.record) + b"\n")


def _finish(partial: Path, file: Path) -> None:
    if file.exists():
        raise StoreError(f"{file} exists: is the clock wrong?")
    put_in_place(partial, file)

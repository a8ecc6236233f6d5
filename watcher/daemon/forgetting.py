"""Erases customers and notes of orders submitted longer than `forget_customers_after` ago.

They are in the table of orders and in archive files. A file that has some to erase is written anew
beside the old one and takes its name once it is on the disk.
"""

import asyncio
import gzip
import os
from collections.abc import Iterator
from math import inf
from pathlib import Path

import msgspec
import structlog

from watcher.common.disk import put_in_place
from watcher.config import ActiveConfig
from watcher.errors import StoreError
from watcher.store import Store, beside

log = structlog.get_logger()

EVERY = 3600.0  # seconds
_NONE = msgspec.Raw(b"null")
_encode = msgspec.json.Encoder().encode


class _Archived(msgspec.Struct):
    """What matters of an archived order; older files have no customer and no note."""

    submitted_at: float
    customer: str | None = None
    note: str | None = None

    @property
    def due_from(self) -> float:
        """Return when it was submitted, if there is something to erase."""
        return inf if self.customer is None and self.note is None else self.submitted_at


class Forgetting:
    """Erases personal data from the database and the archive."""

    def __init__(self, *, store: Store, config: ActiveConfig) -> None:
        self._store = store
        self._config = config
        # Of each file that was read: its size, and the oldest submission with personal data.
        self._oldest: dict[Path, tuple[int, float]] = {}

    async def run_once(self, now: float) -> float:
        """Erase what is due; return when to run next."""
        settings = self._config.current.daemon
        if settings.forget_customers_after is None:
            return now + EVERY
        before = now - settings.forget_customers_after
        try:
            orders = await self._store.personal_data.erase(before)
            archive = beside(self._store.path, settings.archive_dir)
            archived = await asyncio.to_thread(self._erase_archived, archive, before)
        except (StoreError, OSError) as error:
            log.error("customers.kept", cause=str(error))
            return now + EVERY
        if orders or archived:
            log.info("customers.forgotten", orders=orders, archived=archived)
        return now + EVERY

    def _erase_archived(self, directory: Path, before: float) -> int:
        """Erase from all archive files; return from how many orders."""
        count = 0
        for file in sorted(directory.glob("orders-*.jsonl.gz")):
            size, oldest = self._oldest.get(file, (-1, -inf))
            if size == file.stat().st_size and oldest >= before:
                continue
            try:
                times = [order.due_from for order in _orders(file)]
                if min(times, default=inf) < before:
                    _write_without(file, before)
            except (EOFError, OSError, ValueError, msgspec.MsgspecError) as error:
                log.error("customers.kept", file=str(file), cause=str(error))
                continue
            count += sum(at < before for at in times)
            left = min((at for at in times if at >= before), default=inf)
            self._oldest[file] = file.stat().st_size, left
        return count


def _orders(file: Path) -> Iterator[_Archived]:
    decode = msgspec.json.Decoder(_Archived).decode
    with gzip.open(file) as lines:
        yield from map(decode, lines)


def _write_without(file: Path, before: float) -> None:
    """Write the file anew without the personal data of orders submitted before then."""
    partial = file.with_name(f".forget-{file.name}.part")
    partial.unlink(missing_ok=True)  # left by a process that was killed
    decode = msgspec.json.Decoder(_Archived).decode
    fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as raw, gzip.open(raw, "wb") as written, gzip.open(file) as lines:
        for line in lines:
            if decode(line).due_from < before:
                line = _encode({**fields(line), "customer": _NONE, "note": _NONE}) + b"\n"
            written.write(line)
    put_in_place(partial, file)

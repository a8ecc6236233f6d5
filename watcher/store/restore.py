"""Replaces the database by a copy while no daemon runs.

1. The lock is taken: a running daemon would keep writing to the file that is put aside.
2. FILE is copied beside the database and the copy checked in full; FILE itself is only read.
3. In the copy, one transaction marks as done what may have happened since it was made.
4. The present database is renamed with its side files; it is never deleted. Its log is renamed
   after it: a new file would otherwise replay the old one's log.
5. The copy gets the database's name, and `<database>.seen` its count of claims. A crash between 4
   and 5 leaves no database; a daemon does not start then (see `database`), and the restore can be
   run again.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from watcher.common.disk import sync
from watcher.common.postgres_url import DatabaseLocation, PostgresUrl
from watcher.errors import Conflict, StoreError, StoreOlder
from watcher.store.backend import files_of
from watcher.store.claims_file import SUFFIX, ClaimsFile
from watcher.store.database import Database, ignore
from watcher.store.disown import Disowned, Hold, disown_database
from watcher.store.errors import translated
from watcher.store.files import PUT_ASIDE, check_database, copy_database
from watcher.store.lock import LOCK, locked
from watcher.store.sqlite import APPLICATION_ID, BACKUP_ID, SIDES

_COPY = ".restore-"  # a directory beside the database while a restore runs


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a restore; `kept` is the former database, None if there was none."""

    database: Path
    kept: Path | None
    disowned: Disowned


def restore(
    file: Path, database: DatabaseLocation, holds: Sequence[Hold], *, now: float
) -> Restored:
    """Replace the database by a copy of the file; `holds` are the rules that must not refire."""
    if isinstance(database, PostgresUrl):
        raise StoreError(
            f"{database} is on a server: restore it there, with pg_restore or your provider's"
            " means, then run `watcher disown`"
        )
    database = database.resolve()
    with translated(database), locked(database, now) as held:
        itself = file.exists() and database.exists() and file.samefile(database)
        if itself and held.application_id() != BACKUP_ID:
            raise Conflict(
                f"{file} is the database itself: name a backup. If it was put there without"
                " `watcher restore`, run `watcher disown`"
            )
        check_database(file)
        for left in database.parent.glob(f"{_COPY}*"):  # left by a restore that was killed
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix=_COPY, dir=database.parent) as directory:
            copy = Path(directory) / "watcher.db"
            copy_database(file, copy, owner=APPLICATION_ID)
            try:
                disowned = asyncio.run(_disown_copy(copy, holds, _counted_claims(database), now))
            except StoreError as error:
                raise type(error)(str(error).replace(str(copy), str(file))) from None
            _give_to_owner(copy, database)
            sync(copy)
            kept = _put_aside(database, now)
            copy.rename(database)
            _go_on_counting(database, disowned)
    return Restored(database=database, kept=kept, disowned=disowned)


def disown(database: DatabaseLocation, holds: Sequence[Hold], *, now: float) -> Disowned:
    """Disown a database that was put in place by other means than `restore`."""
    if isinstance(database, PostgresUrl):
        return _disown_on_server(database, holds, now)
    database = database.resolve()
    if not database.exists():
        raise StoreError(f"{database}: there is no such file")
    with locked(database, now) as held:
        is_backup = held.application_id() == BACKUP_ID
    if is_backup:  # a log of another database may lie beside it
        return restore(database, database, holds, now=now).disowned
    disowned = asyncio.run(_disown_copy(database, holds, _counted_claims(database), now))
    _give_to_owner(database, database)
    _go_on_counting(database, disowned)
    return disowned


def _disown_on_server(url: PostgresUrl, holds: Sequence[Hold], now: float) -> Disowned:
    """Disown a server's database, whose lock keeps a daemon away meanwhile."""
    own = files_of(url)
    disowned = asyncio.run(_disown_copy(url, holds, _counted_claims(own), now))
    _go_on_counting(own, disowned)
    return disowned


async def _disown_copy(
    copy: DatabaseLocation, holds: Sequence[Hold], seen: int, now: float
) -> Disowned:
    """Open the copy as a store, which checks and migrates it, then disown it."""
    database = await Database.open(copy, now=now, observe=ignore, busy_timeout=5.0, disowning=True)
    try:
        return await disown_database(database, holds, seen=seen, now=now)
    finally:
        await database.close()


def _counted_claims(database: Path) -> int:
    """Return the recorded count of claims; 0 if unreadable, as the file is then rewritten."""
    try:
        return ClaimsFile(database).read()
    except StoreOlder:
        return 0


def _go_on_counting(database: Path, disowned: Disowned) -> None:
    """Write the new count, so that an older copy is detected from now on."""
    claims_file = ClaimsFile(database)
    claims_file.note(disowned.claims)
    claims_file.sync()
    claims_file.close()
    _give_to_owner(database, database)


def _give_to_owner(copy: Path, database: Path) -> None:
    """Give the copy the database's owner: a restore by root must not lock the daemon out."""
    present = database if database.exists() else database.parent
    owner = present.stat()
    for path in (copy, *(database.with_name(database.name + end) for end in (LOCK, SUFFIX))):
        with suppress(PermissionError, FileNotFoundError):
            os.chown(path, owner.st_uid, owner.st_gid)


def _put_aside(database: Path, now: float) -> Path | None:
    """Rename the present database: first the file, so that it never lacks its log."""
    stamp = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"
    kept = database.with_name(f"{database.name}{PUT_ASIDE}{stamp}")
    number = 1
    while kept.exists():
        number += 1
        kept = database.with_name(f"{database.name}{PUT_ASIDE}{stamp}-{number}")
    was_there = False
    for suffix in ("", *SIDES):
        with suppress(FileNotFoundError):
            database.with_name(database.name + suffix).rename(f"{kept}{suffix}")
            was_there |= not suffix
    sync(database.parent)
    return kept if was_there else None

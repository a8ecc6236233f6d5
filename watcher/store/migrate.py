"""Migrates a database to this version's tables.

1. A new database gets the tables of `schema` in one transaction, with the newest revision on
   record.
2. A database with revisions that we don't know belongs to another version: leave it alone.
3. Each missing migration is one transaction with its version record: complete or not at all.
4. Foreign keys are off meanwhile (a table may have to be rebuilt) and checked before each commit.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select

from watcher.errors import StoreBusy, StoreError, StoreNewer
from watcher.store.schema import metadata
from watcher.store.sqlite import check_references, mark_as_ours, without_foreign_keys

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

MIGRATIONS = Path(__file__).with_name("migrations")
# As Alembic creates it.
_versions = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), primary_key=True)
)


def refuse_other(connection: Connection, place: str, location: Path = MIGRATIONS) -> None:
    """Raise StoreError if the tables are not this version's: other nodes of the cluster use them.

    The connection has no open transaction.
    """
    newest = _known(location)[-1]
    with connection.begin():
        found = _revision(connection) or "none"
    if found != newest:
        raise StoreBusy(
            f"{place} has the tables of another version of watcher ({found}, where this one needs"
            f" {newest}), and other nodes run: stop them all, then start this version on each"
        )


def migrate(connection: Connection, place: str, location: Path = MIGRATIONS) -> bool:
    """Run the missing migrations on a connection without an open transaction.

    Returns whether the database is new. The caller holds the lock of the database's only daemon.
    """
    known = _known(location)
    with connection.begin():
        found = _revision(connection)
        if found is None:
            _create(connection, known[-1])
            return True
    if found < known[0]:
        raise StoreError(
            f"{place} was made by a version of watcher that was never released, and its tables"
            " can't be brought up to date: name another file, or move this one away"
        )
    if found not in known:
        raise StoreNewer(
            f"{place} was written by a newer version of watcher (its tables are at {found}):"
            " install that version, or restore a backup"
        )
    if found != known[-1]:
        without_foreign_keys(connection, lambda: _upgrade(connection, location))
    return False


def end_migration(ctx: "MigrationContext", *_: object, **__: object) -> None:
    """Refuse a migration that leaves a row whose foreign key refers to nothing."""
    if ctx.connection is not None:
        check_references(ctx.connection)


def _known(location: Path) -> list[str]:
    """Return the revisions that there are migrations to, the oldest first."""
    return sorted(step.name.partition("_")[0] for step in (location / "versions").glob("[0-9]*.py"))


def _revision(connection: Connection) -> str | None:
    """Return the last migration that was run; None if the database has no tables."""
    if not inspect(connection).has_table(_versions.name):
        return None
    return connection.execute(select(_versions.c.version_num)).scalar() or ""


def _create(connection: Connection, newest: str) -> None:
    mark_as_ours(connection)
    metadata.create_all(connection)
    _versions.create(connection)
    connection.execute(insert(_versions).values(version_num=newest))


def _upgrade(connection: Connection, location: Path) -> None:
    # Imported late: most starts need no migration, and the import takes 0.2 seconds.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(location))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

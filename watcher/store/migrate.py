"""Brings a database to this version's tables.

1. A database that knows revisions we don't know is a newer version's: leave it alone.
2. Each missing migration is one transaction with its version record: whole or not at all.
3. Foreign keys are off meanwhile (a table may have to be rebuilt) and checked before each commit.
"""

from collections.abc import Mapping
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from watcher.errors import StoreError, StoreNewer

MIGRATIONS = "watcher.store:migrations"


def migrate(connection: Connection, path: Path, location: str = MIGRATIONS) -> None:
    """Run what is missing, on a connection that has no transaction open."""
    config = Config()
    config.set_main_option("script_location", location)
    script = ScriptDirectory.from_config(config)
    found = set(MigrationContext.configure(connection).get_current_heads())
    connection.rollback()
    unknown = found - {step.revision for step in script.walk_revisions()}
    if unknown:
        raise StoreNewer(
            f"{path} was written by a newer version of watcher (its tables are at"
            f" {', '.join(sorted(unknown))}): install that version, or restore a backup"
        )
    if found != set(script.get_heads()):
        config.attributes["connection"] = connection
        _upgrade(connection, config)


def check_references(ctx: MigrationContext, *_: object, **__: object) -> None:
    """Refuse a migration that leaves a row whose foreign key leads nowhere."""
    if ctx.connection is not None:
        broken = ctx.connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise StoreError(f"the migration broke a reference in {broken[0]}; it was undone")


def _upgrade(connection: Connection, config: Config) -> None:
    _set_pragmas(connection, {"foreign_keys": "OFF"})
    try:
        command.upgrade(config, "head")
    finally:
        connection.rollback()
        _set_pragmas(connection, {"foreign_keys": "ON"})


def _set_pragmas(connection: Connection, values: Mapping[str, str]) -> None:
    """Past SQLAlchemy, since this has no effect within a transaction."""
    cursor = connection.connection.cursor()
    for name, value in values.items():
        cursor.execute(f"PRAGMA {name}={value}")
    cursor.close()

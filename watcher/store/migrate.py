"""Brings a database to this version's tables.

1. A database that knows revisions we don't know is a newer version's: leave it alone.
2. Each missing migration is one transaction with its version record: whole or not at all.
3. Foreign keys are off meanwhile (a table may have to be rebuilt) and checked before each commit.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from watcher.errors import StoreError, StoreNewer

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext

MIGRATIONS = "watcher.store:migrations"
_STEPS = Path(__file__).with_name("migrations") / "versions"


def migrate(connection: Connection, path: Path, location: str = MIGRATIONS) -> None:
    """Run what is missing, on a connection that has no transaction open."""
    if location == MIGRATIONS and _revisions(connection) == {_newest()}:
        return
    # Imported late: at most starts nothing is missing, and it takes a fifth of a second.
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

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


def check_references(ctx: "MigrationContext", *_: object, **__: object) -> None:
    """Refuse a migration that leaves a row whose foreign key leads nowhere."""
    if ctx.connection is not None:
        broken = ctx.connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise StoreError(f"the migration broke a reference in {broken[0]}; it was undone")


def _revisions(connection: Connection) -> set[str]:
    """What is on record of the migrations that were run."""
    is_new = "SELECT count(*) = 0 FROM sqlite_master WHERE name = 'alembic_version'"
    try:
        if connection.exec_driver_sql(is_new).scalar():
            return set()
        return set(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars())
    finally:
        connection.rollback()


def _newest() -> str:
    """The files' names begin with their revisions, which count up."""
    return max(step.name.partition("_")[0] for step in _STEPS.glob("[0-9]*.py"))


def _upgrade(connection: Connection, config: "Config") -> None:
    from alembic import command

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

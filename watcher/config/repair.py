"""Reads the database's address and the rules, without the panels' keys, for repairs."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from watcher.common.postgres_url import DatabaseLocation
from watcher.config.database import read_database
from watcher.config.secrets import Secrets
from watcher.config.sections import DaemonSection, RuleSection
from watcher.config.toml_tables import TomlTables, base_of, read_text, read_toml
from watcher.errors import ConfigError


class RepairConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The database and the rules; neither panels nor conditions are checked."""

    database: DatabaseLocation
    rules: tuple[RuleSection, ...]


def load_for_repair(
    path: Path, env: Mapping[str, str] | None = None, *, database: str | None = None
) -> RepairConfig:
    """Read only this part of the file; raises ConfigError with every problem in it.

    `database` takes the place of what the file says.
    """
    env = os.environ if env is None else env
    tables = TomlTables(Secrets(env, path.parent))
    text = read_text(path)
    try:
        raw = read_toml(text)
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from None
    daemon = tables.section(DaemonSection, tables.table(raw, "daemon"), "daemon")
    rules = tuple(rule for _, rule in tables.sections(raw, "rules", RuleSection))
    wanted = daemon or DaemonSection()
    if database is not None:
        wanted = msgspec.structs.replace(wanted, database=database)
    there = read_database(tables, wanted, base_of(path, env))
    if tables.problems or daemon is None:
        raise ConfigError([f"{path}: {problem}" for problem in tables.problems])
    return RepairConfig(database=there, rules=rules)

"""Where things are, from a configuration whose secrets may be out of reach: for repairs."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from watcher.config.sections import DaemonSection, RuleSection
from watcher.config.toml_tables import TomlTables
from watcher.errors import ConfigError


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The database's path and the rules; neither panels nor conditions are looked at."""

    database: Path
    rules: tuple[RuleSection, ...]


def locate(path: Path, env: Mapping[str, str] | None = None) -> Place:
    """Read that much of the file; raises ConfigError with every problem that was found."""
    env = os.environ if env is None else env
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([f"{path}: {getattr(error, 'strerror', None) or error}"]) from None
    tables = TomlTables()
    daemon = tables.section(DaemonSection, tables.table(raw, "daemon"), "daemon")
    rules = [
        tables.section(RuleSection, table, f"rules[{number}]")
        for number, table in enumerate(tables.tables(raw, "rules"), 1)
    ]
    if tables.problems or daemon is None:
        raise ConfigError([f"{path}: {problem}" for problem in tables.problems])
    base = Path(env.get("STATE_DIRECTORY") or path.resolve().parent)
    return Place(
        database=base / Path(daemon.database).expanduser(),
        rules=tuple(rule for rule in rules if rule),
    )

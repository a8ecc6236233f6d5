"""What a reload may change, and what it changes, in words for people: pure."""

from typing import Any

import msgspec

from watcher.config.sections import Config
from watcher.errors import ConfigError

_READ_AT_START = ("log_level", "log_format")  # of [daemon]; others are refused at a reload
_DERIVED = ("on_rules_refusals", "states_rate")  # follow from another key


class ReloadOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a reload ended: with `problems` the old configuration stays in force, whole.

    `changed` names what differs: "panel a: url, key". `restart` are keys that wait for a restart.
    """

    problems: list[str] = []
    changed: list[str] = []
    restart: list[str] = []


def check_reloadable(old: Config, new: Config) -> None:
    """Raise ConfigError if a change needs a restart."""
    fixed = {
        "daemon.database": (old.database, new.database),
        "daemon.listen": (old.daemon.listen, new.daemon.listen),
        "cluster": (old.cluster, new.cluster),
    }
    problems = [f"{name}: a change needs a restart" for name, (a, b) in fixed.items() if a != b]
    if problems:
        raise ConfigError(problems)


def reloaded(old: Config, new: Config) -> ReloadOutcome:
    """Return the outcome of a reload that was accepted."""
    before, after = _parts(old), _parts(new)
    waiting = [key for key in _READ_AT_START if before["daemon"][key] != after["daemon"][key]]
    found = {title: _change(before.get(title), after.get(title)) for title in before | after}
    changed = [f"{title}: {change}" for title, change in found.items() if change]
    return ReloadOutcome(changed=changed, restart=[f"daemon.{key}" for key in waiting])


def _change(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    """Return what differs between a part's settings, "" if nothing does."""
    if before is None:
        return "added"
    if after is None:
        return "removed"
    return ", ".join(name for name in after if after[name] != before[name])


def _parts(config: Config) -> dict[str, dict[str, Any]]:
    """Return the settings of each part of a configuration, by its title."""
    parts = {
        "daemon": {**_settings(config.daemon), "token": config.token},
        "attention": _settings(config.attention),
    }
    for panel in config.panels.values():
        own = {"url": panel.url, "key": panel.key, "request": panel.request}
        parts[f"panel {panel.name}"] = {**_settings(panel.settings), **own}
    for rule in config.rules:
        settings = _settings(rule)
        parts[f"rule {rule.name!r}"] = {"when": settings.pop("condition").text, **settings}
    for kind in ("notify", "events", "shops"):
        for one in getattr(config, kind):
            parts[f"{kind} {one.name}"] = _settings(one)
    return parts


def _settings(section: msgspec.Struct) -> dict[str, Any]:
    names = section.__struct_fields__
    return {name: getattr(section, name) for name in names if name not in _DERIVED}

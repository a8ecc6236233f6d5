"""[[keys]]: who may use the API and the status page, and what each key may do."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from watcher.config.sections import AccessKey, KeySection, PanelConfig, Shop
from watcher.config.toml_tables import TomlTables
from watcher.config.values import Right, Secret

SHORTEST_KEY = 16  # characters
VISIBLE = re.compile(r"[!-~]+")  # what a header can carry
RESERVED = ("token", "local")  # the names of who has the token, and of who needs none


def read_keys(
    tables: TomlTables,
    raw: dict[str, Any],
    panels: Mapping[str, PanelConfig | None],
    token: Secret | None,
    shops: Iterable[Shop],
) -> tuple[AccessKey, ...]:
    """Return every valid key; note what is wrong. No message contains a secret."""
    owners = [(shop.key, f"shop {shop.name!r}") for shop in shops]
    owners += [(one.key, f"panel {one.name!r}") for one in panels.values() if one is not None]
    if token is not None:
        owners.append((token, "the token_file"))
    names: set[str] = set()
    keys: list[AccessKey] = []
    for path, section in tables.sections(raw, "keys", KeySection):
        if not tables.check_name(section.name, f"{path}.name", "a key's name"):
            continue
        tables.check_new(section.name, names, f"{path}.name")
        key = _key(tables, section, path, panels)
        if key is None:
            continue
        for secret, owner in owners:
            if secret == key.secret:
                tables.note(path, f"has the secret of {owner}: each needs its own")
        owners.append((key.secret, f"key {key.name!r}"))
        keys.append(key)
    return tuple(keys)


def _key(
    tables: TomlTables, section: KeySection, path: str, panels: Collection[str]
) -> AccessKey | None:
    if section.name in RESERVED:
        tables.note(f"{path}.name", f"{section.name!r} is watcher's own word: choose another name")
    if not section.rights:
        words = ", ".join(Right)
        tables.note(f"{path}.rights", f"is empty: say what the key may do, of {words}")
    if section.panels is not None:
        if not section.panels:
            tables.note(f"{path}.panels", "is empty: name panels, or leave it out for all of them")
        tables.check_panels(section.panels, panels, f"{path}.panels")
    secret = tables.key(f"api-{section.name}", path, section.key_env, section.key_file)
    if secret is None:
        return None
    _check_secret(tables, secret, path)
    return AccessKey(
        name=section.name,
        secret=secret,
        rights=frozenset(section.rights),
        panels=None if section.panels is None else frozenset(section.panels),
        requests_per_minute=section.requests_per_minute,
    )


def _check_secret(tables: TomlTables, secret: Secret, path: str) -> None:
    text = secret.reveal()
    if len(text) < SHORTEST_KEY:
        cause = f"the secret is shorter than {SHORTEST_KEY} characters"
        tables.note(path, f"{cause}: `openssl rand -hex 16` makes one")
    elif not VISIBLE.fullmatch(text):
        tables.note(path, "the secret is to be visible ASCII characters without blanks")

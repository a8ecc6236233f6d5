"""[[shops]]: who may order through the watcher, and which panels each reaches."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from watcher.config.secrets import Secrets
from watcher.config.sections import Shop, ShopSection, Target
from watcher.config.toml_tables import TomlTables

SHORTEST_KEY = 16  # characters: nothing slows down who guesses
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def read_shops(
    tables: TomlTables, raw: dict[str, Any], panels: Collection[str], secrets: Secrets
) -> tuple[Shop, ...]:
    """Every good shop; what is wrong is noted."""
    shops: list[Shop] = []
    for number, table in enumerate(tables.tables(raw, "shops"), 1):
        path = f"shops[{number}]"
        section = tables.section(ShopSection, table, path)
        shop = section and _shop(tables, section, path, panels, secrets)
        if not shop:
            continue
        for earlier in shops:
            if earlier.name == shop.name:
                tables.note(f"{path}.name", f"{shop.name!r} is used twice")
            if earlier.key == shop.key:
                tables.note(path, f"has the key of shop {earlier.name!r}: each needs its own")
        shops.append(shop)
    return tuple(shops)


def _shop(
    tables: TomlTables, section: ShopSection, path: str, panels: Collection[str], secrets: Secrets
) -> Shop | None:
    if not _NAME.fullmatch(section.name):
        tables.note(f"{path}.name", "a shop's name is letters, digits, - and _, 40 at most")
        return None
    reached = section.panels or (tuple(panels) if len(panels) == 1 else ())
    services = _services(tables, section, path, reached)
    _check_panels(tables, section, path, reached, panels, services)
    try:
        key = secrets.shop_key(section.name, section.key_env, section.key_file)
    except ValueError as error:
        tables.note(f"{path}.{'key_file' if section.key_file else 'key_env'}", str(error))
        return None
    if len(key.reveal()) < SHORTEST_KEY:
        cause = f"the key is shorter than {SHORTEST_KEY} characters"
        tables.note(path, f"{cause}: `openssl rand -hex 16` makes one")
    return Shop(
        name=section.name,
        key=key,
        panels=tuple(dict.fromkeys(reached)),
        services=services,
        offsets=section.offsets,
        rights=frozenset(section.rights),
        requests_per_minute=section.requests_per_minute,
        duplicate_within=float(section.duplicate_within),
    )


def _check_panels(
    tables: TomlTables,
    section: ShopSection,
    path: str,
    reached: Collection[str],
    panels: Collection[str],
    services: Mapping[str, Target],
) -> None:
    if not reached:
        tables.note(f"{path}.panels", "is missing: name the panels that this key reaches")
    for name in reached:
        if name not in panels:
            tables.note(f"{path}.panels", f"there is no panel {name!r}")
    for name in section.offsets:
        if name not in reached:
            tables.note(f"{path}.offsets", f"{name!r} is not among the shop's panels")
    if len(set(section.offsets.values())) < len(section.offsets):
        tables.note(f"{path}.offsets", "two panels have the same: their services would mix")
    if len(set(reached)) > 1:
        mapped = {
            *section.offsets,
            *(place.partition(":")[0] for place in section.services.values()),
        }
        for name in sorted(set(reached) - mapped):
            tables.note(path, f"no service leads to {name!r}: add it to services or offsets")


def _services(
    tables: TomlTables, section: ShopSection, path: str, reached: Collection[str]
) -> dict[str, Target]:
    places: dict[str, Target] = {}
    for own, text in section.services.items():
        panel, _, service = text.partition(":")
        places[own] = panel, service
        if not service:
            tables.note(f"{path}.services.{own}", f'{text!r} is not "panel:service"')
        elif panel not in reached:
            tables.note(f"{path}.services.{own}", f"{panel!r} is not among the shop's panels")
    return places

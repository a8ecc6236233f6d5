"""[[shops]]: who may order through the watcher, and which panels each reaches."""

from collections.abc import Collection
from typing import Any

from watcher.config.sections import Shop, ShopSection, Target
from watcher.config.toml_tables import TomlTables

SHORTEST_KEY = 16  # characters: guesses are not slowed down


def read_shops(
    tables: TomlTables, raw: dict[str, Any], panels: Collection[str]
) -> tuple[Shop, ...]:
    """Return every valid shop; note what is wrong."""
    shops: list[Shop] = []
    for path, section in tables.sections(raw, "shops", ShopSection):
        shop = _shop(tables, section, path, panels)
        if shop is None:
            continue
        tables.check_new(shop.name, {one.name for one in shops}, f"{path}.name")
        for earlier in shops:
            if earlier.key == shop.key:
                tables.note(path, f"has the key of shop {earlier.name!r}: each needs its own")
        shops.append(shop)
    return tuple(shops)


def _shop(
    tables: TomlTables, section: ShopSection, path: str, panels: Collection[str]
) -> Shop | None:
    if not tables.check_name(section.name, f"{path}.name", "a shop's name"):
        return None
    reached = section.panels or (tuple(panels) if len(panels) == 1 else ())
    services = _services(tables, section, path, reached)
    _check_panels(tables, section, path, reached, panels)
    key = tables.key(f"shop-{section.name}", path, section.key_env, section.key_file)
    if key is None:
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
) -> None:
    if not reached:
        tables.note(f"{path}.panels", "is missing: name the panels that this key reaches")
    tables.check_panels(reached, panels, f"{path}.panels")
    for name in section.offsets:
        if name not in reached:
            tables.note(f"{path}.offsets", f"{name!r} is not among the shop's panels")
    if len(set(section.offsets.values())) < len(section.offsets):
        tables.note(f"{path}.offsets", "two panels have the same: their services would mix")
    if len(set(reached)) > 1:
        named = {place.partition(":")[0] for place in section.services.values()}
        for name in sorted(set(reached) - named - section.offsets.keys()):
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

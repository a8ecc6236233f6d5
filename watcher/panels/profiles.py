"""What each kind of panel API can do: the shipped profiles, from profiles.toml."""

import tomllib
from functools import cache
from importlib import resources
from typing import Any

import msgspec

CAPABILITIES = (
    "services",
    "add",
    "status",
    "multi_status",
    "refill",
    "multi_refill",
    "refill_status",
    "multi_refill_status",
    "cancel",
    "balance",
)


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a panel's API can do.

    `has` is a subset of CAPABILITIES; `batch` is the most ids in one request;
    `service_fields` are the columns of the price list beyond those that every panel sends;
    `request` is the form of requests, as [panels.<name>.request] in a configuration.
    """

    name: str
    has: frozenset[str]
    url: str | None = None
    batch: int = 100
    service_fields: frozenset[str] = frozenset()
    request: dict[str, Any] = {}

    def can(self, capability: str) -> bool:
        return capability in self.has

    def altered(
        self, *, has: tuple[str, ...] = (), lacks: tuple[str, ...] = (), batch: int | None = None
    ) -> "Profile":
        """Return this profile with the differences of one account."""
        return msgspec.structs.replace(
            self, has=(self.has | set(has)) - set(lacks), batch=batch or self.batch
        )


@cache
def shipped() -> dict[str, Profile]:
    """Return every profile that comes with watcher, by name."""
    text = resources.files(__package__).joinpath("profiles.toml").read_text("utf-8")
    tables = tomllib.loads(text)
    return {
        name: msgspec.convert({"name": name, **table}, Profile) for name, table in tables.items()
    }

"""The panels' price lists, their changes, and known refusals of refills."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, bindparam, insert, select, update

from watcher.model import Service
from watcher.store.base import Rows, StorePart
from watcher.store.dialect import money_text, upsert
from watcher.store.schema import service_changes, services

_FIELDS = Service.__struct_fields__
_TOLD = ("name", "type", "rate", "min", "max", "refill", "cancel", "dripfeed")
_UPDATE = update(services).where(
    services.c.panel == bindparam("_panel"), services.c.id == bindparam("_id")
)


class ServiceChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change in a price list: of a field, or `new`, `gone`, `back` for a whole entry."""

    panel: str
    service: str
    field: str
    old: str | None = None
    new: str | None = None
    at: float


class StoredService(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a price list with the watcher's own data.

    `seen_at` is since when it is listed, `gone_at` since when it no longer is.
    `refill_disabled_text` is the panel's refusal of a refill for the whole service.
    """

    panel: str
    service: Service
    seen_at: float
    gone_at: float | None = None
    refill_disabled_at: float | None = None
    refill_disabled_text: str | None = None


class Services(StorePart):
    """The tables `services` and `service_changes`."""

    async def save(
        self, panel: str, listed: Sequence[Service], *, now: float
    ) -> list[ServiceChange]:
        """Write the differences from the panel's last list; return the changes to report.

        A service that is no longer listed is gone. A panel's first list is no change. A changed
        refill flag clears an earlier refusal of refills.
        """
        await self._db.know_panels({panel})
        number = self._panel(panel)

        def work(connection: Connection) -> list[ServiceChange]:
            statement = select(services).where(services.c.panel == number)
            stored = stored_services(connection.execute(statement), self._db.panels.names)
            known = {s.service.id: s for s in stored}
            wanted = _merged(panel, known, listed, now)
            changed = {key: s for key, s in wanted.items() if s != known.get(key)}
            _write(connection, number, known, changed)
            if not known:
                return []
            changes = [c for key, s in changed.items() for c in _changes(known.get(key), s, now)]
            _write_changes(connection, number, changes)
            return changes

        return await self._db.write("save_services", work)

    async def of_panel(self, panel: str) -> list[StoredService]:
        """Return the panel's price list, including entries that are gone."""
        return await self._list(select(services).where(services.c.panel == self._panel(panel)))

    async def all(self, panels: Collection[str] | None = None) -> list[StoredService]:
        """Return the panels' price lists (None: of all), including entries that are gone."""
        return await self._list(select(services).where(*self._within(services.c.panel, panels)))

    async def refill_disabled(
        self, panel: str, service: str, text: str | None, *, now: float
    ) -> None:
        """Record the panel's refusal of refills for the service; None clears it."""
        await self._db.know_panels({panel})
        learnt = {
            "refill_disabled_at": None if text is None else now,
            "refill_disabled_text": text,
        }
        unlisted = StoredService(
            panel=panel, service=Service(id=service, name=""), seen_at=now, gone_at=now
        )
        row = _row(self._panel(panel), unlisted) | learnt
        statement = upsert(services, learnt)
        await self._db.write("refill_disabled", lambda c: c.execute(statement, row))

    async def _list(self, statement: Select[*tuple[Any, ...]]) -> list[StoredService]:
        ordered = statement.order_by(services.c.panel, services.c.id)
        names = self._db.panels.names
        return await self._read("services", ordered, lambda rows: stored_services(rows, names))


def stored_services(found: Rows, panels: Mapping[int, str]) -> list[StoredService]:
    """Return the services in rows of `services`; `panels` are the panels' names."""
    return [
        StoredService(
            panel=panels[row["panel"]],
            service=_service(row),
            seen_at=row["seen_at"],
            gone_at=row["gone_at"],
            refill_disabled_at=row["refill_disabled_at"],
            refill_disabled_text=row["refill_disabled_text"],
        )
        for row in found.mappings()
    ]


def to_change(row: Mapping[Any, Any], panel: str) -> ServiceChange:
    """Return the change in a row of `service_changes`."""
    fields = {name: row[name] for name in ("service", "field", "old", "new", "at")}
    return ServiceChange(panel=panel, **fields)


def _service(row: Mapping[Any, Any]) -> Service:
    return Service(**{name: row[name] for name in _FIELDS})


def _merged(
    panel: str, known: Mapping[str, StoredService], listed: Sequence[Service], now: float
) -> dict[str, StoredService]:
    """Return every known or listed service with its new state."""
    wanted = {key: _gone(stored, now) for key, stored in known.items()}
    for service in listed:
        stored = known.get(service.id)
        if stored is None:
            wanted[service.id] = StoredService(panel=panel, service=service, seen_at=now)
        else:
            wanted[service.id] = _listed(stored, service, now)
    return wanted


def _gone(stored: StoredService, now: float) -> StoredService:
    if stored.gone_at is not None:
        return stored
    return msgspec.structs.replace(stored, gone_at=now)


def _listed(stored: StoredService, service: Service, now: float) -> StoredService:
    since = stored.seen_at if stored.gone_at is None else now
    listed = msgspec.structs.replace(stored, service=service, seen_at=since, gone_at=None)
    if stored.service.name and service.refill != stored.service.refill:
        return msgspec.structs.replace(listed, refill_disabled_at=None, refill_disabled_text=None)
    return listed


def _changes(
    before: StoredService | None, after: StoredService, now: float
) -> Iterator[ServiceChange]:
    """Yield the changes between a service's former and its present entry."""
    whole = _whole_change(before, after)
    if whole:
        yield ServiceChange(panel=after.panel, service=after.service.id, field=whole, at=now)
    if before is None or after.gone_at is not None or not before.service.name:
        return
    for name in _TOLD:
        old, new = getattr(before.service, name), getattr(after.service, name)
        if old != new:
            yield ServiceChange(
                panel=after.panel,
                service=after.service.id,
                field=name,
                old=_text(old),
                new=_text(new),
                at=now,
            )


def _whole_change(before: StoredService | None, after: StoredService) -> str | None:
    if before is None:
        return "new"
    if (before.gone_at is None) == (after.gone_at is None):
        return None
    return "gone" if before.gone_at is None else "back"


def _text(value: Any) -> str | None:
    """Return the value as JSON text, but money and text without quotes."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return money_text(value)
    return msgspec.json.encode(value).decode()


def _write(
    connection: Connection,
    panel: int,
    known: Mapping[str, StoredService],
    changed: Mapping[str, StoredService],
) -> None:
    added = [_row(panel, stored) for key, stored in changed.items() if key not in known]
    if added:
        connection.execute(insert(services), added)
    updated = [
        {"_panel": panel, "_id": key} | _state(stored)
        for key, stored in changed.items()
        if key in known
    ]
    if updated:
        connection.execute(_UPDATE, updated)


def _write_changes(connection: Connection, panel: int, changes: Sequence[ServiceChange]) -> None:
    if changes:
        rows = [msgspec.structs.asdict(change) | {"panel": panel} for change in changes]
        connection.execute(insert(service_changes), rows)


def _row(panel: int, stored: StoredService) -> dict[str, Any]:
    return {"panel": panel, "id": stored.service.id} | _state(stored)


def _state(stored: StoredService) -> dict[str, Any]:
    row = msgspec.structs.asdict(stored.service) | msgspec.structs.asdict(stored)
    return {name: value for name, value in row.items() if name not in {"panel", "service", "id"}}

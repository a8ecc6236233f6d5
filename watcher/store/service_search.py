"""Finds services in price lists: by words, in an order, page by page; or by their ids."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Float, Select, and_, cast, false, func, or_, select

from watcher.store.base import StorePart
from watcher.store.schema import services
from watcher.store.services import StoredService, stored_services

_MOST_WORDS = 8
_TOLD = func.lower(services.c.id + " " + services.c.name + " " + services.c.category)
_ASCII = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_BY_ID = (func.length(services.c.id), services.c.id)  # 2 before 10


class ServiceSort(StrEnum):
    """What the database can sort services by."""

    SERVICE = "service"
    NAME = "name"
    PRICE = "price"
    REFILL = "refill"


_VALUES: dict[ServiceSort, tuple[ColumnElement[Any], ...]] = {
    ServiceSort.SERVICE: _BY_ID,
    ServiceSort.NAME: (func.lower(services.c.name),),
    ServiceSort.PRICE: (cast(services.c.rate, Float),),
    ServiceSort.REFILL: (services.c.refill,),
}


class ServiceSearch(StorePart):
    """Searches of the table `services`."""

    async def find(
        self,
        words: str = "",
        *,
        panels: Sequence[str],
        sort: ServiceSort = ServiceSort.SERVICE,
        descending: bool = False,
        limit: int,
        skip: int = 0,
    ) -> list[StoredService]:
        """Return the panels' services that have every word in their id, name or category.

        Services that are no longer listed come last, before them those without the sorted value.
        """
        values = _VALUES[sort]
        numbers = [self._panel(panel) for panel in panels]
        statement = select(services).where(services.c.panel.in_(numbers), *has_words(words))
        ordered = statement.order_by(
            services.c.gone_at.is_not(None),
            values[-1].is_(None),
            *(value.desc() if descending else value for value in values),
            services.c.panel,
            *_BY_ID,
        )
        return await self._services(ordered.limit(limit).offset(skip))

    async def among(
        self, keys: Sequence[tuple[str, str]], words: str = ""
    ) -> dict[tuple[str, str], StoredService]:
        """Return those of up to 1,000 services that have every word, by panel and id."""
        of_panel: dict[str, list[str]] = {}
        for panel, service in keys:
            of_panel.setdefault(panel, []).append(service)
        given = [
            and_(services.c.panel == self._panel(panel), services.c.id.in_(ids))
            for panel, ids in of_panel.items()
        ]
        statement = select(services).where(or_(false(), *given), *has_words(words))
        found = await self._services(statement)
        return {(stored.panel, stored.service.id): stored for stored in found}

    async def _services(self, statement: Select[*tuple[Any, ...]]) -> list[StoredService]:
        names = self._db.panels.names
        return await self._read("price_list", statement, lambda rows: stored_services(rows, names))


def has_words(words: str) -> list[ColumnElement[bool]]:
    """Return the conditions for services with every word in their id, name or category."""
    return [
        or_(*(_TOLD.contains(form, autoescape=True) for form in _forms(word)))
        for word in words.split()[:_MOST_WORDS]
    ]


def _forms(word: str) -> list[str]:
    """Return the word as it may be written: SQLite's lower() knows no letters but ASCII."""
    forms = (word.lower(), word.upper(), word.capitalize())
    return list(dict.fromkeys(form.translate(_ASCII) for form in forms))

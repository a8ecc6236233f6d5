"""Finds orders among very many, newest first, in bounded time.

A search walks one index (the narrowest that fits), reads a limited number of orders, and returns
where it stopped. So no query can block the database, and the caller can continue to the end.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, case, or_, select

from watcher.model import Order, Phase, Status
from watcher.store.base import StorePart, in_range
from watcher.store.dialect import JsonRows, given_keys, newest_first
from watcher.store.order_rows import COLUMNS, read_orders
from watcher.store.schema import HAS_PROBLEM, NOT_CLOSED, RARE, USUAL, order_states, orders

MOST_MATCHES = 2000  # orders read that match a text
_LOOKED_AT = 20_000  # orders read for a page
_LAST = "\U0010ffff"  # sorts after any text that continues a prefix
_GIVEN = given_keys("keys")
_BEGINNINGS = ("", "https://", "https://www.", "http://", "http://www.")


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query; None and "" mean any.

    `text` is the beginning of an id or of a link, or a service's id. `keys` are the candidates, if
    those are known. `progressed_before` selects open orders without progress since that time, by
    panel.
    """

    text: str = ""
    panel: str | None = None
    service: str | None = None
    status: Status | None = None
    phase: Phase | None = None
    problem: bool = False
    keys: Sequence[int] | None = None
    progressed_before: dict[str, float] | None = None


class SearchResult(msgspec.Struct, frozen=True):
    """Orders, newest first. `next` is where to continue, None at the end.

    `stopped` means that there may be more between the last one and `next`; `cut` means that the
    text matches more orders than were read.
    """

    orders: list[Order]
    next: int | None = None
    stopped: bool = False
    cut: bool = False


class Search(StorePart):
    """Searches of the tables `orders` and `order_states`."""

    async def find(
        self, sought: SearchQuery, *, limit: int = 50, before: int | None = None
    ) -> SearchResult:
        """Return a page of matching orders older than the one with the key `before`."""

        def work(connection: Connection) -> SearchResult:
            keys, cut = sought.keys, False
            if sought.text:
                matches = _keys(connection, self._matches(sought))
                given = None if keys is None else set(keys)
                keys = [key for key in matches if given is None or key in given]
                cut = len(matches) >= MOST_MATCHES
            found = self._page(connection, sought, keys, limit, before)
            return msgspec.structs.replace(found, cut=cut)

        return await self._db.read("find", work)

    def _page(
        self,
        connection: Connection,
        sought: SearchQuery,
        keys: Sequence[int] | None,
        limit: int,
        before: int | None,
    ) -> SearchResult:
        if keys is None:
            walk, end = _walk(sought, self._panel(sought.panel or "")), None
            if before is not None:
                walk = walk.where(walk.selected_columns[0] < before)
            values: dict[str, Any] = {}
        else:
            left = sorted((key for key in keys if before is None or key < before), reverse=True)
            end = left[_LOOKED_AT - 1] if len(left) > _LOOKED_AT else None
            walk = _GIVEN
            values = {"keys": msgspec.json.encode(left[:_LOOKED_AT]).decode()}
        rows = connection.execute(self._filtered(connection, sought, walk, limit), values).all()
        found = read_orders(rows, self._db.panels.names)
        found.sort(key=lambda order: -order.key)
        if len(found) > limit:
            return SearchResult(found[:limit], found[limit - 1].key)
        if keys is None:
            end = connection.execute(walk.limit(1).offset(_LOOKED_AT - 1)).scalar()
        return SearchResult(found, end, stopped=end is not None)

    def _filtered(
        self, connection: Connection, sought: SearchQuery, walk: Select[Any], limit: int
    ) -> Select[Any]:
        """Filter the walk: SQLite joins the tables in this order, and stops early."""
        looked = walk.limit(_LOOKED_AT).subquery("looked")
        joined = (
            select(*COLUMNS)
            .select_from(looked)
            .join(order_states, order_states.c.key == looked.c.key)
            .join(orders, orders.c.key == looked.c.key)
        )
        for condition in self._conditions(sought):
            joined = joined.where(condition)
        return newest_first(connection, joined, looked.c.key).limit(limit + 1)

    def _conditions(self, sought: SearchQuery) -> list[Any]:
        states = order_states.c
        wanted: list[Any] = []
        if sought.panel is not None:
            wanted.append(orders.c.panel == self._panel(sought.panel))
        if sought.service is not None:
            wanted.append(orders.c.service == sought.service)
        if sought.status is not None:
            wanted.append(states.status == sought.status.value)
        if sought.phase is not None:
            wanted.append(states.phase == sought.phase.value)
        if sought.problem:
            wanted.append(HAS_PROBLEM)
        if sought.progressed_before is not None:
            limits = {self._panel(name): at for name, at in sought.progressed_before.items()}
            wanted.append(states.phase == Phase.OPEN.value)
            wanted.append(states.progressed_at < case(limits or {-1: 0.0}, value=orders.c.panel))
        return wanted

    def _matches(self, sought: SearchQuery) -> Select[Any]:
        """Return the statement for the keys of orders that match the text."""
        wanted = sought.text
        if "/" in wanted or "." in wanted:
            beginnings = [""] if "://" in wanted else _BEGINNINGS
            fits = [
                in_range(orders.c.link, start + wanted, start + wanted + _LAST)
                for start in beginnings
            ]
            return select(orders.c.key).where(or_(*fits)).limit(MOST_MATCHES)
        panels = list(self._db.panels.names)
        by_id = select(orders.c.key).where(
            orders.c.panel.in_(panels), in_range(orders.c.order_id, wanted, wanted + _LAST)
        )
        by_service = (
            select(orders.c.key).where(orders.c.service == wanted).order_by(orders.c.key.desc())
        )
        parts = [part.limit(MOST_MATCHES).subquery() for part in (by_id, by_service)]
        both = select(parts[0].c.key).union(select(parts[1].c.key)).subquery()
        return select(both.c.key)


def _keys(connection: Connection, found: Select[Any]) -> list[int]:
    """Return the keys, read as one row: a thread waits for the event loop at each row."""
    text = connection.execute(select(JsonRows(found.subquery().c.key))).scalar_one()
    return msgspec.json.decode(text, type=list[int])


def _walk(sought: SearchQuery, panel: int) -> Select[Any]:
    """Return the statement for all candidate keys, newest first, by the most selective index."""
    states = order_states.c
    if sought.problem:
        return _newest(select(states.key).where(HAS_PROBLEM))
    if sought.status is not None and sought.status.value not in USUAL:
        return _newest(select(states.key).where(states.status == sought.status.value, RARE))
    if sought.service is not None:
        return _newest(select(orders.c.key).where(orders.c.service == sought.service))
    if sought.panel is not None:
        return _newest(select(orders.c.key).where(orders.c.panel == panel))
    if sought.phase in (Phase.OPEN, Phase.GUARDED):
        return _newest(select(states.key).where(NOT_CLOSED))
    return _newest(select(states.key))


def _newest(walk: Select[Any]) -> Select[Any]:
    return walk.order_by(walk.selected_columns[0].desc())

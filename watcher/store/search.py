"""Finding orders among very many, newest first: quick whatever is asked for.

A search walks one index (the narrowest that fits), looks at so many orders and no more, and says
where it stopped: so no question can hold up the database, and all can be asked to the end.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, case, or_, select

from watcher.model import Order, Phase, Status
from watcher.store.base import StorePart
from watcher.store.dialect import given_keys, json_rows
from watcher.store.order_rows import COLUMNS, read_orders
from watcher.store.schema import HAS_PROBLEM, NOT_CLOSED, RARE, USUAL, order_states, orders

MOST_MATCHES = 2000  # of a text that are looked at
_LOOKED_AT = 20_000  # orders, for a page
_LAST = "\U0010ffff"  # sorts behind all that a text can go on with
_GIVEN = given_keys("keys")
_BEGINNINGS = ("", "https://", "https://www.", "http://", "http://www.")


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What orders are looked for; None and "" ask for any.

    `text` is the beginning of an id or of a link, or a service's id. `keys` are the candidates,
    where those are known. `progressed_before` asks for open orders without progress since that
    time, by panel.
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
    """Orders, newest first. `next` is where to go on, None at the end.

    `stopped` says that there may be more between the last one and `next`; `cut` that the text fits
    more orders than were looked at.
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
        """A page of the orders that fit, older than the one with the key `before`."""

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
        rows = connection.execute(self._filtered(sought, walk, limit), values).all()
        found = read_orders(rows, self._db.panels.names)
        found.sort(key=lambda order: -order.key)
        if len(found) > limit:
            return SearchResult(found[:limit], found[limit - 1].key)
        if keys is None:
            end = connection.execute(walk.limit(1).offset(_LOOKED_AT - 1)).scalar()
        return SearchResult(found, end, stopped=end is not None)

    def _filtered(self, sought: SearchQuery, walk: Select[Any], limit: int) -> Select[Any]:
        """Those on the walk that fit: SQLite takes the tables in this order, and stops early."""
        looked = walk.limit(_LOOKED_AT).subquery("looked")
        joined = (
            select(*COLUMNS)
            .select_from(looked)
            .join(order_states, order_states.c.key == looked.c.key)
            .join(orders, orders.c.key == looked.c.key)
        )
        for condition in self._conditions(sought):
            joined = joined.where(condition)
        return joined.limit(limit + 1)

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
        """The keys of orders that the text fits."""
        wanted = sought.text
        if "/" in wanted or "." in wanted:
            beginnings = [""] if "://" in wanted else _BEGINNINGS
            fits = [
                orders.c.link.between(start + wanted, start + wanted + _LAST)
                for start in beginnings
            ]
            return select(orders.c.key).where(or_(*fits)).limit(MOST_MATCHES)
        panels = list(self._db.panels.names)
        by_id = select(orders.c.key).where(
            orders.c.panel.in_(panels), orders.c.order_id.between(wanted, wanted + _LAST)
        )
        by_service = (
            select(orders.c.key).where(orders.c.service == wanted).order_by(orders.c.key.desc())
        )
        parts = [part.limit(MOST_MATCHES).subquery() for part in (by_id, by_service)]
        both = select(parts[0].c.key).union(select(parts[1].c.key)).subquery()
        return select(both.c.key)


def _keys(connection: Connection, found: Select[Any]) -> list[int]:
    """Return the keys, read in one row: with each the thread waits for the daemon's loop."""
    text = connection.execute(select(json_rows(found.subquery().c.key))).scalar_one()
    return msgspec.json.decode(text, type=list[int])


def _walk(sought: SearchQuery, panel: int) -> Select[Any]:
    """The keys of all that can fit, newest first, by the index that leaves out the most."""
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

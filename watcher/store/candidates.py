"""The candidates of a search for orders: which index it walks, and how far for one page."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, select

from watcher.model import Phase, Status
from watcher.store.dialect import given_keys
from watcher.store.schema import (
    HAS_PROBLEM,
    NOT_CLOSED,
    RARE,
    USUAL,
    order_states,
    order_tags,
    orders,
)

LOOKED_AT = 20_000  # orders read for a page
# Orders whose links are read for a page: an eighth of a second of a core.
LINKS_LOOKED_AT = 100_000
_GIVEN = given_keys("keys")


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query; None and "" mean any.

    `text` is the beginning of an id, a link, a reference or a customer, or it is a service's id or
    a tag; or, `within`, any part of a link. `named` are the services (panel, id) of the orders.
    `keys` are the candidates, if those are known. `progressed_before` selects open orders without
    progress since that time, by panel. `panels` are those that the caller may see.
    """

    text: str = ""
    within: bool = False
    named: Sequence[tuple[str, str]] = ()
    panel: str | None = None
    panels: Collection[str] | None = None
    service: str | None = None
    tag: str | None = None
    status: Status | None = None
    phase: Phase | None = None
    problem: bool = False
    keys: Sequence[int] | None = None
    progressed_before: dict[str, float] | None = None


class SearchCursor(msgspec.Struct, frozen=True):
    """Where a page ends: the last order's key, and its value if the orders are sorted by one."""

    key: int
    value: float | None = None


class Walk:
    """The candidates of a search, newest or oldest first; a page looks at a limited number."""

    def __init__(
        self,
        sought: SearchQuery,
        keys: Sequence[int] | None,
        panel: int,
        *,
        ascending: bool = False,
    ) -> None:
        self.ascending = ascending
        self.values: dict[str, Any] = {}
        self.most = LINKS_LOOKED_AT if sought.within and sought.text else LOOKED_AT
        self._keys = keys
        self._statement = walk_of(sought, panel, ascending=ascending) if keys is None else _GIVEN

    def start(self, after: SearchCursor | None) -> None:
        """Begin after this order; None begins with the first."""
        if self._keys is None:
            if after is not None:
                key = self._statement.selected_columns[0]
                is_later = key > after.key if self.ascending else key < after.key
                self._statement = self._statement.where(is_later)
            return
        left = sorted(self._keys, reverse=not self.ascending)
        if after is not None:
            left = [k for k in left if (k > after.key if self.ascending else k < after.key)]
        self._keys = left
        self.values = {"keys": msgspec.json.encode(left[: self.most]).decode()}

    def looked(self) -> Select[Any]:
        """Return the statement for the keys of the orders to look at."""
        return self._statement.limit(self.most)

    def ordered(self, key: ColumnElement[int]) -> ColumnElement[int]:
        """Return the order of the candidates, by their keys in another table."""
        return key.asc() if self.ascending else key.desc()

    def end(self, connection: Connection) -> int | None:
        """Return the key of the last order that was looked at; None if none is left."""
        if self._keys is not None:
            return self._keys[self.most - 1] if len(self._keys) > self.most else None
        last = self._statement.limit(1).offset(self.most - 1)
        key: int | None = connection.execute(last).scalar()
        return key


def walk_of(sought: SearchQuery, panel: int, *, ascending: bool = False) -> Select[Any]:
    """Return the statement for all candidate keys, in order, by the most selective index."""
    walk = _candidates(sought, panel)
    key = walk.selected_columns[0]
    return walk.order_by(key.asc() if ascending else key.desc())


def _candidates(sought: SearchQuery, panel: int) -> Select[Any]:
    states = order_states.c
    if sought.problem:
        return select(states.key).where(HAS_PROBLEM)
    if sought.status is not None and sought.status.value not in USUAL:
        return select(states.key).where(states.status == sought.status.value, RARE)
    if sought.tag is not None:
        return select(order_tags.c.key).where(order_tags.c.tag == sought.tag)
    if sought.service is not None:
        return select(orders.c.key).where(orders.c.service == sought.service)
    if sought.panel is not None:
        return select(orders.c.key).where(orders.c.panel == panel)
    if sought.phase in (Phase.OPEN, Phase.GUARDED):
        return select(states.key).where(NOT_CLOSED)
    return select(states.key)

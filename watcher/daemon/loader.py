"""Brings watched orders from the database into a book, part by part: others run in between."""

import asyncio
from collections.abc import Collection
from random import Random

from watcher.orders.watchlist import Watchlist
from watcher.store import Store


class OrderLoader:
    """Every order of these panels that is not closed, the oldest first."""

    def __init__(self, store: Store, panels: Collection[str], *, links: bool) -> None:
        self._store = store
        self._panels = frozenset(panels)
        self._links = links
        self._random = Random(0).random  # for spreading checks at a start
        self._after: int | None = 0 if panels else None
        self._last: int | None = None  # orders that come meanwhile are put into the book at once

    @property
    def is_done(self) -> bool:
        """Whether all of them are in the book."""
        return self._after is None

    async def part(self, watchlist: Watchlist, now: float) -> None:
        """Bring the next part. Whoever calls sees to it that nobody changes these orders."""
        if self._after is None:
            return
        if self._last is None:
            self._last = await self._store.orders.last_key()
        parts, after = await self._store.orders.load(self._after, self._last, links=self._links)
        for rows in parts:
            if rows.panel in self._panels:
                watchlist.fill(rows, now, self._random)
                await asyncio.sleep(0)
        self._after = after

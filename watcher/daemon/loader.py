"""Reads watched orders from the database into a watchlist, in parts with pauses between them."""

import asyncio
from collections.abc import Collection

from watcher.orders.watchlist import Watchlist
from watcher.store import Store


class OrderLoader:
    """Reads every order of these panels that is not closed, oldest first.

    `keeps` are the fields to read of those that are each order's own. `skips_others`: the database
    leaves other panels out, which costs more if these are all.
    """

    def __init__(
        self,
        store: Store,
        panels: Collection[str],
        keeps: frozenset[str],
        *,
        skips_others: bool = False,
    ) -> None:
        self._store = store
        self.panels = frozenset(panels)
        self._read = self.panels if skips_others else None
        self._keeps = keeps
        self._after: int | None = 0 if panels else None
        self._last: int | None = None  # later orders are added to the watchlist directly

    @property
    def is_done(self) -> bool:
        """Whether all of them are in the watchlist."""
        return self._after is None

    async def part(self, watchlist: Watchlist, now: float) -> None:
        """Read the next part. The caller holds the panels' locks."""
        if self._after is None:
            return
        if self._last is None:
            self._last = await self._store.orders.last_key()
        parts, after = await self._store.orders.load(
            self._after, self._last, keeps=self._keeps, panels=self._read
        )
        for rows in parts:
            if rows.panel in self.panels:
                watchlist.fill(rows, now)
                await asyncio.sleep(0)
        self._after = after

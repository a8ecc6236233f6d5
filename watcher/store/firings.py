"""When rules fired, so that `every` and `attempts` survive a restart."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, func, select

from watcher.model import Firing, Phase, RuleAction
from watcher.store.base import Rows, StorePart
from watcher.store.schema import RESTORED, firings, order_states, orders

_SELECT = (
    select(firings, orders.c.panel, orders.c.order_id)
    .join(orders, orders.c.key == firings.c.key)
    .order_by(firings.c.id)
)
_OF = firings.c.rule, firings.c.dry_run, firings.c.key
_COUNTED = (
    select(*_OF, func.count().label("count"), func.max(firings.c.id).label("newest"))
    .join(order_states, order_states.c.key == firings.c.key)
    .where(order_states.c.phase != Phase.CLOSED.value)
    .group_by(*_OF)
    .subquery()
)
_COUNTS = (
    select(
        _COUNTED.c.rule,
        _COUNTED.c.dry_run,
        orders.c.panel,
        orders.c.order_id,
        _COUNTED.c.count,
        firings.c.at,
    )
    .join(orders, orders.c.key == _COUNTED.c.key)
    .join(firings, firings.c.id == _COUNTED.c.newest)
)


class Firings(StorePart):
    """The table `firings`; `GroupCommits` writes its rows."""

    async def counts(
        self, panels: Collection[str] | None = None
    ) -> dict[tuple[str, bool, str, str], tuple[int, float]]:
        """Return how often rules fired and when last, for orders that are not closed.

        The keys are (rule, dry run, panel, order id); of these panels only, None are all. "Last"
        means the newest row: an older row may have a later time if the clock was wrong.
        """
        names = self._db.panels.names
        return await self._read(
            "firing_counts",
            _COUNTS.where(*self._within(orders.c.panel, panels)),
            lambda rows: {
                (rule, dry_run, names[panel], order): (count, last)
                for rule, dry_run, panel, order, count, last in rows
            },
        )

    async def since(self, at: float, panels: Collection[str] | None = None) -> list[Firing]:
        """Return every firing since then, oldest first, except those that a restore wrote.

        Those stand for firings that may have happened, so they say nothing about a rule's pace. Of
        these panels only, None are all.
        """
        recent = firings.c.at >= at, firings.c.detail != RESTORED
        statement = _SELECT.where(*recent, *self._within(orders.c.panel, panels))
        return await self._firings("firings_since", statement)

    async def of_order(self, panel: str, order: str) -> list[Firing]:
        """Return the order's firings, oldest first."""
        statement = _SELECT.where(orders.c.panel == self._panel(panel), orders.c.order_id == order)
        return await self._firings("firings", statement)

    async def _firings(self, operation: str, statement: Select[*tuple[Any, ...]]) -> list[Firing]:
        return await self._read(operation, statement, self._made)

    def _made(self, rows: Rows) -> list[Firing]:
        return [
            Firing(
                rule=row["rule"],
                action=RuleAction(row["action"]),
                panel=self._db.panels.names[row["panel"]],
                order=row["order_id"],
                at=row["at"],
                dry_run=row["dry_run"],
                detail=row["detail"],
            )
            for row in rows.mappings()
        ]

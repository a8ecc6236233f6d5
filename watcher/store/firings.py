"""When rules fired, so that `every` and `attempts` survive a restart."""

from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.model import Firing, Phase, RuleAction
from watcher.store.part import Part
from watcher.store.schema import RESTORED, firings, order_states, orders

_SELECT = (
    select(firings, orders.c.panel, orders.c.order_id)
    .join(orders, orders.c.key == firings.c.key)
    .order_by(firings.c.id)
)


class Firings(Part):
    """The table `firings`; its rows are written by `record`."""

    async def firing_counts(self) -> dict[tuple[str, str, str], tuple[int, float]]:
        """How often, and when last, by rule, panel and order; for orders that are not closed.

        Dry runs count like the rest: a rule acts at most so often an order, tried or done.
        """
        statement = (
            select(
                firings.c.rule,
                orders.c.panel,
                orders.c.order_id,
                func.count(),
                func.max(firings.c.at),
            )
            .join(orders, orders.c.key == firings.c.key)
            .join(order_states, order_states.c.key == firings.c.key)
            .where(order_states.c.phase != Phase.CLOSED.value)
            .group_by(firings.c.rule, firings.c.key)
        )
        names = self._db.panels.names

        async def fetch(connection: AsyncConnection) -> dict[tuple[str, str, str], Any]:
            rows = await connection.execute(statement)
            return {
                (rule, names[panel], order): (count, last)
                for rule, panel, order, count, last in rows
            }

        return await self._db.read("firing_counts", fetch)

    async def firings_since(self, at: float) -> list[Firing]:
        """Every firing since then, oldest first, but for those that a restore has noted.

        They stand for what may have been; as a rule's pace they would mean nothing.
        """
        statement = _SELECT.where(firings.c.at >= at, firings.c.detail != RESTORED)
        return await self._firings("firings_since", statement)

    async def firings(self, panel: str, order: str) -> list[Firing]:
        """The order's firings, oldest first."""
        statement = _SELECT.where(orders.c.panel == self._panel(panel), orders.c.order_id == order)
        return await self._firings("firings", statement)

    async def _firings(self, operation: str, statement: Select[*tuple[Any, ...]]) -> list[Firing]:
        names = self._db.panels.names

        async def fetch(connection: AsyncConnection) -> list[Firing]:
            rows = (await connection.execute(statement)).mappings()
            return [
                Firing(
                    rule=row["rule"],
                    action=RuleAction(row["action"]),
                    panel=names[row["panel"]],
                    order=row["order_id"],
                    at=row["at"],
                    dry_run=row["dry_run"],
                    detail=row["detail"],
                )
                for row in rows
            ]

        return await self._db.read(operation, fetch)

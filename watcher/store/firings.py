"""When rules fired, so that `every` and `attempts` survive a restart."""

from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.model import Firing, Phase, RuleAction
from watcher.store.base import StorePart
from watcher.store.schema import RESTORED, firings, order_states, orders

_SELECT = (
    select(firings, orders.c.panel, orders.c.order_id)
    .join(orders, orders.c.key == firings.c.key)
    .order_by(firings.c.id)
)


class Firings(StorePart):
    """The table `firings`; its rows are written by `record`."""

    async def firing_counts(self) -> dict[tuple[str, bool, str, str], tuple[int, float]]:
        """How often, and when last, by rule, dry run or not, panel and order, if not closed.

        The last is the newest row: its time may be less than another's that a clock gave that
        was ahead.
        """
        of = (firings.c.rule, firings.c.dry_run, firings.c.key)
        counted = (
            select(*of, func.count().label("count"), func.max(firings.c.id).label("newest"))
            .join(order_states, order_states.c.key == firings.c.key)
            .where(order_states.c.phase != Phase.CLOSED.value)
            .group_by(*of)
            .subquery()
        )
        statement = (
            select(
                counted.c.rule,
                counted.c.dry_run,
                orders.c.panel,
                orders.c.order_id,
                counted.c.count,
                firings.c.at,
            )
            .join(orders, orders.c.key == counted.c.key)
            .join(firings, firings.c.id == counted.c.newest)
        )
        names = self._db.panels.names

        async def fetch(connection: AsyncConnection) -> dict[tuple[str, bool, str, str], Any]:
            rows = await connection.execute(statement)
            return {
                (rule, dry_run, names[panel], order): (count, last)
                for rule, dry_run, panel, order, count, last in rows
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

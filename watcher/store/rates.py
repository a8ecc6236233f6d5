"""How fast each panel may be asked, as far as that was learnt."""

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.panels.rate import RememberedRate
from watcher.store.base import StorePart
from watcher.store.schema import rates


class Rates(StorePart):
    """The table `rates`."""

    async def save_rate(self, panel: str, learnt: RememberedRate, *, now: float) -> None:
        """Write it in the place of what was learnt before."""
        await self._db.know_panels({panel})
        values = {
            "at": now,
            "rate": learnt.rate,
            "ceiling": learnt.ceiling,
            "punishes_until": learnt.punishes_until,
        }
        statement = insert(rates).values(panel=self._panel(panel), **values)
        statement = statement.on_conflict_do_update(index_elements=["panel"], set_=values)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(statement)

        await self._db.write("save_rate", work)

    async def rate(self, panel: str) -> RememberedRate | None:
        """What was learnt of the panel; None where that is nothing."""
        statement = select(rates.c.rate, rates.c.ceiling, rates.c.punishes_until).where(
            rates.c.panel == self._panel(panel)
        )

        async def fetch(connection: AsyncConnection) -> RememberedRate | None:
            row = (await connection.execute(statement)).first()
            if row is None:
                return None
            return RememberedRate(
                rate=row.rate, ceiling=row.ceiling, punishes_until=row.punishes_until
            )

        return await self._db.read("rate", fetch)

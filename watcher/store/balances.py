"""The panels' balances: a row when one changed."""

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.model import Balance
from watcher.store.base import StorePart
from watcher.store.schema import balances

_NEWEST = select(balances.c.at, balances.c.amount, balances.c.currency).order_by(
    balances.c.id.desc()
)


class Balances(StorePart):
    """The table `balances`."""

    async def save_balance(self, panel: str, balance: Balance, *, now: float) -> bool:
        """Write the balance if it differs from the panel's last; whether it did."""
        await self._db.know_panels({panel})
        number = self._panel(panel)

        async def work(connection: AsyncConnection) -> bool:
            newest = _NEWEST.where(balances.c.panel == number).limit(1)
            row = (await connection.execute(newest)).first()
            if row is not None and (row.amount, row.currency) == (balance.amount, balance.currency):
                return False
            values = {"amount": balance.amount, "currency": balance.currency}
            await connection.execute(insert(balances).values(panel=number, at=now, **values))
            return True

        return await self._db.write("save_balance", work)

    async def balances(self, panel: str, since: float) -> list[tuple[float, Balance]]:
        """The panel's balances since then, oldest first, each with when it was first seen."""
        statement = (
            select(balances.c.at, balances.c.amount, balances.c.currency)
            .where(balances.c.panel == self._panel(panel), balances.c.at >= since)
            .order_by(balances.c.id)
        )

        async def fetch(connection: AsyncConnection) -> list[tuple[float, Balance]]:
            rows = await connection.execute(statement)
            return [(at, Balance(amount, currency)) for at, amount, currency in rows]

        return await self._db.read("balances", fetch)

    async def latest_balances(self) -> dict[str, tuple[float, Balance]]:
        """Each panel's last balance, with when it was first seen."""
        last = select(func.max(balances.c.id)).group_by(balances.c.panel).scalar_subquery()
        statement = select(
            balances.c.panel, balances.c.at, balances.c.amount, balances.c.currency
        ).where(balances.c.id.in_(last))
        names = self._db.panels.names

        async def fetch(connection: AsyncConnection) -> dict[str, tuple[float, Balance]]:
            rows = await connection.execute(statement)
            return {
                names[panel]: (at, Balance(amount, currency))
                for panel, at, amount, currency in rows
            }

        return await self._db.read("latest_balances", fetch)

"""The panels' balances: one row for each change."""

import msgspec
from sqlalchemy import Connection, Float, case, cast, func, insert, select

from watcher.model import Balance
from watcher.store.base import StorePart
from watcher.store.schema import balances

_DAY = 86400.0
_BEFORE = 7 * _DAY  # how far back the opening balance is looked up
_SPENT_LEAST = 3600.0  # seconds of spending below which there is no forecast
_BALANCE = select(balances.c.panel, balances.c.at, balances.c.amount, balances.c.currency)
_NEWEST = _BALANCE.where(
    balances.c.id.in_(select(func.max(balances.c.id)).group_by(balances.c.panel).scalar_subquery())
)


class Spent(msgspec.Struct, frozen=True):
    """Recent spending from an account: `amount` in `seconds`."""

    amount: float
    seconds: float

    def lasts(self, balance: float) -> float | None:
        """Return how many seconds the balance lasts at this rate; None if too little is known."""
        if self.seconds < _SPENT_LEAST or self.amount <= 0.0:
            return None
        return balance / self.amount * self.seconds


class Balances(StorePart):
    """The table `balances`."""

    async def save(self, panel: str, balance: Balance, *, now: float) -> bool:
        """Write the balance if it differs from the panel's last; return whether it did."""
        await self._db.know_panels({panel})
        number = self._panel(panel)
        last = _BALANCE.where(balances.c.panel == number).order_by(balances.c.id.desc()).limit(1)
        values = {"amount": balance.amount, "currency": balance.currency}

        def work(connection: Connection) -> bool:
            row = connection.execute(last).first()
            if row is not None and (row.amount, row.currency) == (balance.amount, balance.currency):
                return False
            connection.execute(insert(balances).values(panel=number, at=now, **values))
            return True

        return await self._db.write("save_balance", work)

    async def since(self, panel: str, since: float) -> list[tuple[float, Balance]]:
        """Return the panel's balances since then, oldest first, each with its time."""
        statement = _BALANCE.where(balances.c.panel == self._panel(panel), balances.c.at >= since)
        return await self._read(
            "balances",
            statement.order_by(balances.c.id),
            lambda rows: [(at, Balance(amount, currency)) for _, at, amount, currency in rows],
        )

    async def latest(self) -> dict[str, tuple[float, Balance]]:
        """Return each panel's last balance and when it was first seen."""
        names = self._db.panels.names
        return await self._read(
            "latest_balances",
            _NEWEST,
            lambda rows: {
                names[panel]: (at, Balance(amount, currency))
                for panel, at, amount, currency in rows
            },
        )

    async def spendings(self, now: float) -> dict[str, Spent]:
        """Return each panel's spending in the last 24 hours, or since its first balance."""
        amount = cast(balances.c.amount, Float)
        before = func.lag(amount).over(partition_by=balances.c.panel, order_by=balances.c.id)
        first = func.min(balances.c.at).over(partition_by=balances.c.panel)
        less = (before - amount).label("less")
        known = list(self._db.panels.names)
        rows = (
            select(balances.c.panel, balances.c.at, less, first.label("since"))
            .where(balances.c.panel.in_(known), balances.c.at >= now - _BEFORE)
            .subquery()
        )
        is_spent = (rows.c.less > 0) & (rows.c.at >= now - _DAY) & (rows.c.at <= now)
        spent = func.sum(case((is_spent, rows.c.less), else_=0.0))
        statement = select(rows.c.panel, spent, func.min(rows.c.since)).group_by(rows.c.panel)
        names = self._db.panels.names
        return await self._read(
            "spendings",
            statement,
            lambda found: {
                names[panel]: Spent(amount, min(_DAY, now - since))
                for panel, amount, since in found
            },
        )

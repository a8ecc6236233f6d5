"""What the status page tells of what is on record: little of each, in few and short questions."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Float, Integer, case, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.model import Action, ActionState, Service
from watcher.store.actions import ACTION, fetch_actions
from watcher.store.base import StorePart
from watcher.store.schema import actions, balances, firings, service_changes, services
from watcher.store.services import ServiceChange

_DAY = 86400.0
_BEFORE = 7 * _DAY  # how far back the balance is looked for that the first spending was taken from
_SPENT_LEAST = 3600.0  # seconds of spending, without which it tells nothing
_FIELDS = [services.c[name] for name in Service.__struct_fields__]


class Named(msgspec.Struct, frozen=True):
    """A change in a price list, with the service's name as it is now."""

    change: ServiceChange
    name: str


class Fired(msgspec.Struct, frozen=True):
    """How often a rule fired of late, and how often it would have, were it no dry run."""

    did: int = 0
    would: int = 0
    last_at: float | None = None


class Spent(msgspec.Struct, frozen=True):
    """What left an account of late: `amount` in `seconds`."""

    amount: float
    seconds: float

    def lasts(self, balance: float) -> float | None:
        """How many seconds so much lasts at that; None where too little is known to tell."""
        if self.seconds < _SPENT_LEAST or self.amount <= 0.0:
            return None
        return balance / self.amount * self.seconds


class Glimpse(msgspec.Struct, frozen=True, kw_only=True):
    """The last that happened."""

    unresolved: list[Action]
    latest: list[Action]
    changes: list[Named]
    fired: dict[str, Fired]


class Priced(msgspec.Struct, frozen=True):
    """An entry of a price list; `gone_at` is since when it is not listed any more."""

    service: Service
    gone_at: float | None
    refill_disabled: str | None


class StatusPage(StorePart):
    """Read for people."""

    async def glimpse(self, now: float, *, few: int = 10) -> Glimpse:
        """The last `few` of everything; firings of the last 24 hours."""

        async def work(connection: AsyncConnection) -> Glimpse:
            names = self._db.panels.names
            newest = ACTION.order_by(actions.c.id.desc()).limit(few)
            open_ones = newest.where(actions.c.state == ActionState.UNRESOLVED.value)
            return Glimpse(
                unresolved=await fetch_actions(connection, names, open_ones),
                latest=await fetch_actions(connection, names, newest),
                changes=await self._changes(connection, few),
                fired=await _fired(connection, now - _DAY),
            )

        return await self._db.read("glimpse", work)

    async def spendings(self, now: float) -> dict[str, Spent]:
        """By panel, what left the account in the last 24 hours, or since it is known."""
        amount = cast(balances.c.amount, Float)
        before = func.lag(amount).over(partition_by=balances.c.panel, order_by=balances.c.id)
        first = func.min(balances.c.at).over(partition_by=balances.c.panel)
        rows = (
            select(
                balances.c.panel,
                balances.c.at,
                (before - amount).label("less"),
                first.label("since"),
            )
            .where(
                balances.c.panel.in_(list(self._db.panels.names)),
                balances.c.at >= now - _BEFORE,
            )
            .subquery()
        )
        is_spent = (rows.c.less > 0) & (rows.c.at >= now - _DAY) & (rows.c.at <= now)
        statement = select(
            rows.c.panel, func.sum(case((is_spent, rows.c.less), else_=0.0)), func.min(rows.c.since)
        ).group_by(rows.c.panel)

        async def work(connection: AsyncConnection) -> dict[str, Spent]:
            found = (await connection.execute(statement)).all()
            return {
                self._db.panels.names[panel]: Spent(spent, min(_DAY, now - since))
                for panel, spent, since in found
            }

        return await self._db.read("spendings", work)

    async def price_list(
        self, panel: str, words: str, *, limit: int, skip: int
    ) -> tuple[list[Priced], int]:
        """The entries that have every word in their id, name or category; and how many there are.

        Those that are still listed come first, by id.
        """
        told = func.lower(services.c.id + " " + services.c.name + " " + services.c.category)
        statement = select(
            *_FIELDS,
            services.c.gone_at,
            services.c.refill_disabled_text,
            func.count().over().label("of"),
        ).where(services.c.panel == self._panel(panel))
        for word in words.lower().split()[:8]:
            statement = statement.where(told.contains(word, autoescape=True))
        ordered = statement.order_by(
            services.c.gone_at.is_not(None), func.length(services.c.id), services.c.id
        )

        async def work(connection: AsyncConnection) -> tuple[list[Priced], int]:
            rows = (await connection.execute(ordered.limit(limit).offset(skip))).all()
            found = [
                Priced(
                    Service(**dict(zip(Service.__struct_fields__, row, strict=False))), *row[-3:-1]
                )
                for row in rows
            ]
            return found, rows[0][-1] if rows else 0

        return await self._db.read("price_list", work)

    async def service_names(self, panel: str, ids: Sequence[str]) -> dict[str, str]:
        """The names of those services that the panel lists or listed."""
        statement = select(services.c.id, services.c.name).where(
            services.c.panel == self._panel(panel), services.c.id.in_(list(ids))
        )

        async def work(connection: AsyncConnection) -> dict[str, str]:
            return {row.id: row.name for row in await connection.execute(statement)}

        return await self._db.read("service_names", work)

    async def _changes(self, connection: AsyncConnection, few: int) -> list[Named]:
        """Changes of prices, and services that came or went."""
        wanted = ("rate", "new", "gone", "back", "min", "max", "refill", "cancel")
        found = service_changes.c
        statement = (
            select(service_changes, services.c.name)
            .outerjoin(
                services, (services.c.panel == found.panel) & (services.c.id == found.service)
            )
            .where(or_(*(found.field == name for name in wanted)))
            .order_by(found.id.desc())
            .limit(few)
        )
        names = self._db.panels.names
        return [
            Named(
                ServiceChange(
                    panel=names[row["panel"]],
                    **{name: row[name] for name in ("service", "field", "old", "new", "at")},
                ),
                row["name"] or "",
            )
            for row in (await connection.execute(statement)).mappings()
        ]


async def _fired(connection: AsyncConnection, since: float) -> dict[str, Fired]:
    would = cast(firings.c.dry_run, Integer)
    statement = (
        select(firings.c.rule, func.sum(1 - would), func.sum(would), func.max(firings.c.at))
        .where(firings.c.at >= since)
        .group_by(firings.c.rule)
    )
    rows = await connection.execute(statement)
    return {rule: Fired(int(did), int(dry), at) for rule, did, dry, at in rows}

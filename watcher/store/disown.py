"""Sets a copy of the database right: what was done since it was made is not in it.

Planned actions may have been sent since, and rules may have fired: both count as having happened,
since not acting can be made good by a person and acting twice can't.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.model import ActionState, RuleAction
from watcher.store import claims
from watcher.store.intents import Intents
from watcher.store.schema import APPLICATION_ID, NOT_CLOSED, RESTORED, firings, order_states, orders

_ANSWER = "restored from a backup: what became of it since is not on record"


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that may have fired since the copy was made; `panels` None: at any of them."""

    rule: str
    action: RuleAction
    panels: Collection[str] | None


class Disowned(msgspec.Struct, frozen=True, kw_only=True):
    """What was set right: how many actions are unresolved now, and how many orders are watched.

    `claims` is the count from which it goes on, above all that was counted before.
    """

    unresolved: int
    orders: int
    claims: int


class Disown(Intents):
    """The tables `actions` and `firings`, in a copy that is older than reality."""

    async def disown(self, holds: Sequence[Hold], *, seen: int, now: float) -> Disowned:
        """Make every action that is not settled unresolved, and every rule have fired just now.

        In the same transaction the mark of a backup goes, and the count of claims passes `seen`.
        """

        async def work(connection: AsyncConnection) -> Disowned:
            unresolved = 0
            for state in (ActionState.PLANNED, ActionState.SENDING):
                move = state, ActionState.UNRESOLVED
                unresolved += len(await self._move(connection, None, *move, {"answer": _ANSWER}))
            for hold in holds:
                await self._note_firing(connection, hold, now)
            watched = select(func.count()).select_from(order_states).where(NOT_CLOSED)
            count = (await connection.execute(watched)).scalar_one()
            await connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
            await claims.reach(connection, seen)
            passed = await claims.count(connection)
            return Disowned(unresolved=unresolved, orders=count, claims=passed)

        return await self._db.write("disown", work)

    async def _note_firing(self, connection: AsyncConnection, hold: Hold, now: float) -> None:
        """One firing of the rule for each watched order that it may have acted on."""
        values = {
            "rule": literal(hold.rule),
            "action": literal(hold.action.value),
            "at": literal(now),
            "dry_run": literal(False),
            "detail": literal(RESTORED),
        }
        columns: list[Any] = list(values.values())
        rows = (
            select(*columns, orders.c.key)
            .join(order_states, order_states.c.key == orders.c.key)
            .where(NOT_CLOSED)
        )
        if hold.panels is not None:
            rows = rows.where(orders.c.panel.in_([self._panel(name) for name in hold.panels]))
        await connection.execute(insert(firings).from_select([*values, "key"], rows))

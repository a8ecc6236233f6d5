"""Marks as done everything that may have happened since a copy of the database was made.

Planned actions may have been sent since, and rules may have fired. Both count as done: a person can
repair a missing action, but not a repeated one.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, literal, select

from watcher.model import ActionState, RuleAction
from watcher.store import claims
from watcher.store.action_rows import move_actions
from watcher.store.database import Database
from watcher.store.panels import PanelNames
from watcher.store.schema import NOT_CLOSED, RESTORED, firings, order_states, orders
from watcher.store.sqlite import mark_as_ours

_ANSWER = "restored from a backup: what became of it since is not on record"


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that may have fired since the copy was made; `panels` None means all panels."""

    rule: str
    action: RuleAction
    panels: Collection[str] | None


class Disowned(msgspec.Struct, frozen=True, kw_only=True):
    """The result: how many actions are unresolved now, and how many orders are watched.

    `claims` is the new start of the count, above all that was counted before.
    """

    unresolved: int
    orders: int
    claims: int


async def disown_database(
    database: Database, holds: Sequence[Hold], *, seen: int, now: float
) -> Disowned:
    """Mark every unsettled action as unresolved, and record that every rule fired just now.

    One transaction also removes the backup mark and raises the count of claims above `seen`.
    """

    def work(connection: Connection) -> Disowned:
        unresolved = 0
        for state in (ActionState.PLANNED, ActionState.SENDING):
            move = state, ActionState.UNRESOLVED
            moved = move_actions(connection, database.panels.names, move, None, answer=_ANSWER)
            unresolved += len(moved)
        for hold in holds:
            _note_firing(connection, database.panels, hold, now)
        watched = select(func.count()).select_from(order_states).where(NOT_CLOSED)
        count = connection.execute(watched).scalar_one()
        mark_as_ours(connection)
        claims.reach(connection, seen)
        claims.reach(connection, claims.known(connection))
        passed = claims.count(connection)
        return Disowned(unresolved=unresolved, orders=count, claims=passed)

    return await database.write("disown", work)


def _note_firing(connection: Connection, panels: PanelNames, hold: Hold, now: float) -> None:
    """Write one firing of the rule for each watched order that it may have acted on."""
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
        known = [panels.ids[name] for name in hold.panels if name in panels.ids]
        rows = rows.where(orders.c.panel.in_(known))
    connection.execute(insert(firings).from_select([*values, "key"], rows))

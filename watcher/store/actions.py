"""Reading the intent log, and adding plans to it."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.model import UNSETTLED, Action, ActionPlan, ActionState, Kind, Phase
from watcher.store.panels import PanelNames
from watcher.store.part import Part
from watcher.store.schema import actions, order_states, orders

ACTION = select(actions)
UNSETTLED_STATE = actions.c.state.in_([state.value for state in UNSETTLED])


class Actions(Part):
    """The table `actions`, read."""

    async def action(self, action_id: int) -> Action | None:
        """The action, None where there is none."""
        found = await self._fetch("action", ACTION.where(actions.c.id == action_id))
        return found[0] if found else None

    async def actions_by_id(self, ids: Sequence[int]) -> list[Action]:
        """Those of the actions that there are; a thousand ids at the most."""
        return await self._fetch("actions", ACTION.where(actions.c.id.in_(ids)))

    async def actions(
        self,
        *,
        state: ActionState | None = None,
        panel: str | None = None,
        order: str | None = None,
        kind: Kind | None = None,
        limit: int = 100,
        after: int | None = None,
    ) -> tuple[list[Action], int | None]:
        """A page of actions, newest first, and the `after` of the next page, None on the last."""
        statement = ACTION.order_by(actions.c.id.desc()).limit(limit + 1)
        if state is not None:
            statement = statement.where(actions.c.state == state.value)
        if panel is not None:
            statement = statement.where(actions.c.panel == self._panel(panel))
        if order is not None:
            statement = statement.where(actions.c.order_id == order)
        if kind is not None:
            statement = statement.where(actions.c.kind == kind.value)
        if after is not None:
            statement = statement.where(actions.c.id < after)
        found = await self._fetch("actions", statement)
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    async def placers(self, panel: str, ids: Sequence[str]) -> list[tuple[str, str]]:
        """Return of those of the orders that were placed with an idempotency key: id and key.

        A thousand ids at the most.
        """
        statement = select(actions.c.order_id, actions.c.idempotency_key).where(
            actions.c.panel == self._panel(panel),
            actions.c.order_id.in_(ids),
            actions.c.kind == Kind.SUBMIT.value,
            actions.c.idempotency_key.is_not(None),
        )

        async def fetch(connection: AsyncConnection) -> list[tuple[str, str]]:
            return [(order, key) for order, key in await connection.execute(statement)]

        return await self._db.read("placers", fetch)

    async def planned(
        self, panel: str, *, after: int = 0, limit: int = 100
    ) -> list[tuple[int, Kind]]:
        """Return what waits to be sent to the panel, oldest first: ids from `after` on, and kinds.

        `claim` returns the whole actions.
        """
        statement = (
            select(actions.c.id, actions.c.kind)
            .where(*self._are_planned(panel), actions.c.id > after)
            .order_by(actions.c.id)
            .limit(limit)
        )

        async def fetch(connection: AsyncConnection) -> list[tuple[int, Kind]]:
            return [(number, Kind(kind)) for number, kind in await connection.execute(statement)]

        return await self._db.read("planned", fetch)

    async def count_planned(self, panel: str) -> dict[Kind, int]:
        """Return how many actions of each kind wait to be sent to the panel."""
        statement = (
            select(actions.c.kind, func.count())
            .where(*self._are_planned(panel))
            .group_by(actions.c.kind)
        )

        async def fetch(connection: AsyncConnection) -> dict[Kind, int]:
            return {Kind(kind): count for kind, count in await connection.execute(statement)}

        return await self._db.read("planned", fetch)

    def _are_planned(self, panel: str) -> tuple[ColumnElement[bool], ...]:
        return actions.c.state == ActionState.PLANNED.value, actions.c.panel == self._panel(panel)

    async def unsettled(self) -> list[Action]:
        """Every action that is planned, being sent or unresolved, oldest first."""
        return await self._fetch("unsettled", ACTION.where(UNSETTLED_STATE).order_by(actions.c.id))

    async def last_accepted(self) -> dict[tuple[Kind, str, str], float]:
        """When a refill or cancel was last accepted, for orders that are not closed.

        By kind, panel and order.
        """
        statement = (
            select(
                actions.c.kind, actions.c.panel, actions.c.order_id, func.max(actions.c.settled_at)
            )
            .join(
                orders,
                (orders.c.panel == actions.c.panel) & (orders.c.order_id == actions.c.order_id),
            )
            .join(order_states, order_states.c.key == orders.c.key)
            .where(
                actions.c.state == ActionState.ACCEPTED.value,
                actions.c.kind != Kind.SUBMIT.value,
                order_states.c.phase != Phase.CLOSED.value,
            )
            .group_by(actions.c.kind, actions.c.panel, actions.c.order_id)
        )

        async def fetch(connection: AsyncConnection) -> dict[tuple[Kind, str, str], float]:
            names = self._db.panels.names
            rows = await connection.execute(statement)
            return {(Kind(kind), names[panel], str(order)): at for kind, panel, order, at in rows}

        return await self._db.read("last_accepted", fetch)

    async def _fetch(self, operation: str, statement: Select[*tuple[Any, ...]]) -> list[Action]:
        async def fetch(connection: AsyncConnection) -> list[Action]:
            return await fetch_actions(connection, self._db.panels.names, statement)

        return await self._db.read(operation, fetch)


async def fetch_actions(
    connection: AsyncConnection, panels: Mapping[int, str], statement: Select[*tuple[Any, ...]]
) -> list[Action]:
    """The actions that a statement made of `ACTION` finds."""
    rows = (await connection.execute(statement)).mappings()
    return [to_action(row, panels) for row in rows]


def to_action(row: Mapping[Any, Any], panels: Mapping[int, str]) -> Action:
    """The action in a row of the table."""
    return Action(
        id=row["id"],
        kind=Kind(row["kind"]),
        panel=panels[row["panel"]],
        order=row["order_id"],
        state=ActionState(row["state"]),
        rule=row["rule"],
        reason=row["reason"],
        params=None if row["params"] is None else msgspec.json.decode(row["params"]),
        idempotency_key=row["idempotency_key"],
        planned_at=float(row["planned_at"]),
        sent_at=_time(row["sent_at"]),
        settled_at=_time(row["settled_at"]),
        result=row["result"],
        answer=row["answer"],
    )


def _time(value: float | None) -> float | None:
    """RETURNING gives a whole number of seconds as an integer."""
    return None if value is None else float(value)


async def add_plans(
    connection: AsyncConnection, panels: PanelNames, plans: Sequence[ActionPlan], now: float
) -> list[Action]:
    """Write the plans as actions, but for those that conflict with an unsettled one."""
    if not plans:
        return []
    rows = [_plan_row(plan, panels.ids[plan.panel], now) for plan in plans]
    statement = insert(actions).on_conflict_do_nothing().returning(*actions.c)
    added = (await connection.execute(statement, rows)).mappings()
    return sorted((to_action(row, panels.names) for row in added), key=lambda action: action.id)


def _plan_row(plan: ActionPlan, panel: int, now: float) -> dict[str, Any]:
    return {
        "kind": plan.kind.value,
        "panel": panel,
        "order_id": plan.order,
        "state": ActionState.PLANNED.value,
        "rule": plan.rule,
        "reason": plan.reason,
        "params": None if plan.params is None else msgspec.json.encode(plan.params).decode(),
        "idempotency_key": plan.idempotency_key,
        "planned_at": now,
    }

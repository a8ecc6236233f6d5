"""The intent log: every submission, refill and cancel, from the plan to its outcome.

An action is committed as `sending` before it is sent. Every change of state is a compare-and-set
along the table of moves. So no action is sent twice.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select, update

from watcher.errors import Conflict, LifecycleError, NotFound
from watcher.model import Action, ActionPlan, ActionState, Kind, Outcome, Phase
from watcher.store import claims
from watcher.store.action_rows import (
    ACTION,
    UNSETTLED_STATE,
    Settled,
    action_with_key,
    actions_by_id,
    add_plans,
    fetch_actions,
    hindrance,
    last_like,
    leave_to_people,
    move_actions,
    moved_row,
    next_key,
    stands,
)
from watcher.store.base import StorePart
from watcher.store.consequences import note_refills, track_placed
from watcher.store.schema import actions, order_states, orders
from watcher.store.transitions import check_resolvable, resolved, sorted_out

_LEFT = update(actions).where(actions.c.id == bindparam("_id"), actions.c.state == bindparam("_of"))
Past = Callable[[float, float], float]  # (recorded time, now) -> the time to assume


class Actions(StorePart):
    """The table `actions`."""

    async def get(self, action_id: int) -> Action | None:
        """Return the action, or None if there is none."""
        found = await self._fetch("action", ACTION.where(actions.c.id == action_id))
        return found[0] if found else None

    async def by_id(self, ids: Sequence[int]) -> list[Action]:
        """Return the actions with these ids that exist; at most a thousand ids."""
        return await self._fetch("actions", ACTION.where(actions.c.id.in_(ids)))

    async def page(
        self,
        *,
        state: ActionState | None = None,
        panel: str | None = None,
        panels: Collection[str] | None = None,
        order: str | None = None,
        kind: Kind | None = None,
        limit: int = 100,
        after: int | None = None,
    ) -> tuple[list[Action], int | None]:
        """Return a page of actions, newest first, and the next page's `after` (None: last)."""
        within = ACTION.where(*self._within(actions.c.panel, panels))
        statement = within.order_by(actions.c.id.desc()).limit(limit + 1)
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
        """Return (order id, key) of those orders that were placed with an idempotency key.

        At most a thousand ids.
        """
        statement = select(actions.c.order_id, actions.c.idempotency_key).where(
            actions.c.panel == self._panel(panel),
            actions.c.order_id.in_(ids),
            actions.c.kind == Kind.SUBMIT.value,
            actions.c.idempotency_key.is_not(None),
        )
        return await self._read("placers", statement, lambda rows: [(id_, k) for id_, k in rows])

    async def planned(
        self, panel: str, *, after: int = 0, limit: int = 100
    ) -> list[tuple[int, Kind]]:
        """Return (id, kind) of planned actions of the panel, oldest first, above `after`.

        `claim` returns the whole actions.
        """
        statement = (
            select(actions.c.id, actions.c.kind)
            .where(*self._are_planned(panel), actions.c.id > after)
            .order_by(actions.c.id)
            .limit(limit)
        )

        return await self._read(
            "planned", statement, lambda rows: [(number, Kind(kind)) for number, kind in rows]
        )

    async def count_planned(self, panel: str) -> dict[Kind, int]:
        """Return how many actions of each kind are planned for the panel."""
        statement = (
            select(actions.c.kind, func.count())
            .where(*self._are_planned(panel))
            .group_by(actions.c.kind)
        )

        return await self._read(
            "planned", statement, lambda rows: {Kind(kind): count for kind, count in rows}
        )

    def _are_planned(self, panel: str) -> tuple[ColumnElement[bool], ...]:
        return actions.c.state == ActionState.PLANNED.value, actions.c.panel == self._panel(panel)

    async def unsettled(self, panels: Collection[str] | None = None) -> list[Action]:
        """Return every action that is planned, being sent or unresolved, oldest first.

        Of these panels only, None are all.
        """
        within = self._within(actions.c.panel, panels)
        statement = ACTION.where(UNSETTLED_STATE, *within).order_by(actions.c.id)
        return await self._fetch("unsettled", statement)

    async def last_accepted(
        self, panels: Collection[str] | None = None
    ) -> dict[tuple[Kind, str, str], float]:
        """Return when a refill or cancel was last accepted, for orders that are not closed.

        The keys are (kind, panel, order id); of these panels only, None are all.
        """
        what = actions.c.kind, actions.c.panel, actions.c.order_id
        of_order = (orders.c.panel == actions.c.panel) & (orders.c.order_id == actions.c.order_id)
        statement = (
            select(*what, func.max(actions.c.settled_at))
            .join(orders, of_order)
            .join(order_states, order_states.c.key == orders.c.key)
            .where(
                actions.c.state == ActionState.ACCEPTED.value,
                actions.c.kind != Kind.SUBMIT.value,
                order_states.c.phase != Phase.CLOSED.value,
                *self._within(actions.c.panel, panels),
            )
            .group_by(*what)
        )
        names = self._db.panels.names
        return await self._read(
            "last_accepted",
            statement,
            lambda rows: {
                (Kind(kind), names[panel], str(order)): at for kind, panel, order, at in rows
            },
        )

    async def plan(self, plan: ActionPlan, *, now: float) -> Action:
        """Write the plan; raise a Conflict that names the unsettled action if there is one.

        If the idempotency key was already used for an equal request, return that earlier action.
        """
        await self._db.know_panels({plan.panel})

        def work(connection: Connection) -> Action:
            earlier = action_with_key(connection, self._db.panels, plan)
            if earlier is not None:
                return earlier
            added = add_plans(connection, self._db.panels, [plan], now)
            if not added:
                raise Conflict(hindrance(connection, self._db.panels, plan))
            return added[0]

        return await self._db.write("plan", work)

    async def plan_once(
        self, plan: ActionPlan, *, since: float, now: float, past: Past = min
    ) -> tuple[Action, bool]:
        """Write the plan, unless a similar action was planned after `since` or is unsettled.

        Similar actions share the plan's idempotency key. Returns the action and whether it is new.
        A refused action never blocks a new one.
        """
        await self._db.know_panels({plan.panel})

        def work(connection: Connection) -> tuple[Action, bool]:
            last = last_like(connection, self._db.panels, plan)
            if last is not None and stands(last, since, past(last.planned_at, now)):
                return last, False
            numbered = msgspec.structs.replace(plan, idempotency_key=next_key(plan, last))
            (added,) = add_plans(connection, self._db.panels, [numbered], now)
            return added, True

        return await self._db.write("plan", work)

    async def claim(self, ids: Sequence[int], *, now: float) -> list[Action]:
        """Mark those of the actions that are planned as being sent.

        The mark is committed before this returns. Only the returned actions may be sent.
        """
        move = ActionState.PLANNED, ActionState.SENDING

        def work(connection: Connection) -> tuple[list[Action], int]:
            claimed = move_actions(connection, self._db.panels.names, move, ids, sent_at=now)
            return claimed, claims.count(connection) if claimed else 0

        claimed, count = await self._db.write("claim", work)
        if claimed:
            self._db.note_claims(count)
        return claimed

    async def withdraw(self, ids: Sequence[int], answer: str, *, now: float) -> list[Action]:
        """Withdraw those of the actions that are still planned; `answer` says why."""
        move = ActionState.PLANNED, ActionState.REJECTED
        settled = {"settled_at": now, "answer": answer, "labels": None}
        return await self._move("withdraw", move, ids, **settled)

    async def settle(self, outcomes: Sequence[Outcome], *, now: float) -> Settled:
        """Write the outcomes of sent actions and their consequences.

        An outcome that is already on record changes nothing. If an outcome doesn't fit its action
        (the action is not being sent, or an accepted submission has no order id), raise
        LifecycleError after all others are committed.
        """
        ids = [outcome.action.id for outcome in outcomes]

        def work(connection: Connection) -> tuple[Settled, list[str]]:
            found = actions_by_id(connection, self._db.panels.names, ids)
            moves, wrong = sorted_out(found, outcomes, now)
            return self._apply(connection, moves, now), wrong

        settled, wrong = await self._db.write("settle", work)
        if wrong:
            raise LifecycleError("; ".join(wrong))
        return settled

    async def resolve(
        self, action_id: int, state: ActionState, *, result: str | None, now: float
    ) -> Settled:
        """Write the outcome of an unresolved action, as a person found it, and its consequences."""

        def work(connection: Connection) -> Settled:
            action = actions_by_id(connection, self._db.panels.names, [action_id]).get(action_id)
            if action is None:
                raise NotFound(f"there is no action {action_id}")
            check_resolvable(action, state, result)
            after = resolved(action, state, result, now)
            return self._apply(connection, [(action, after)], now)

        return await self._db.write("resolve", work)

    async def recover(self, panels: Collection[str] | None = None) -> int:
        """Mark actions left in sending by the panels' last leader as unresolved; return how many.

        None are all panels.
        """
        left = await self._db.write(
            "recover", lambda c: leave_to_people(c, self._db.panels, panels)
        )
        return len(left)

    async def _move(
        self,
        operation: str,
        move: tuple[ActionState, ActionState],
        ids: Sequence[int],
        **values: Any,
    ) -> list[Action]:
        names = self._db.panels.names
        return await self._db.write(
            operation, lambda c: move_actions(c, names, move, ids, **values)
        )

    def _apply(
        self, connection: Connection, moves: Sequence[tuple[Action, Action]], now: float
    ) -> Settled:
        """Compare-and-set each action from its old to its new form; write the consequences."""
        changed = [(before, after) for before, after in moves if after != before]
        if changed:
            rows = [moved_row(before, after) for before, after in changed]
            if connection.execute(_LEFT, rows).rowcount != len(rows):
                raise LifecycleError("an action changed while its outcome was written")
        accepted = [after for _, after in changed if after.state is ActionState.ACCEPTED]
        return Settled(
            actions=[after for _, after in moves],
            orders=track_placed(connection, self._db.panels, accepted, now),
            refills=note_refills(connection, self._db.panels, accepted, now),
        )

    async def _fetch(self, operation: str, statement: Select[*tuple[Any, ...]]) -> list[Action]:
        names = self._db.panels.names
        return await self._db.read(operation, lambda c: fetch_actions(c, names, statement))

"""The intent log: every submission, refill and cancel, from the plan to its outcome.

An action is committed as `sending` before it is sent, and every change of its state is
compare-and-set along the table of moves: so nothing is ever sent twice.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, update
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.errors import Conflict, LifecycleError, NotFound
from watcher.model import UNSETTLED, Action, ActionPlan, ActionState, Kind, Order, Outcome, Refill
from watcher.store import claims
from watcher.store.actions import ACTION, UNSETTLED_STATE, add_plans, fetch_actions, to_action
from watcher.store.base import StorePart, batched
from watcher.store.consequences import note_refills, track_placed
from watcher.store.purge import params_hash
from watcher.store.schema import actions
from watcher.store.transitions import check_move, check_resolvable, moved, sorted_out

_LEFT = update(actions).where(actions.c.id == bindparam("_id"), actions.c.state == bindparam("_of"))


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What is on record after outcomes were written.

    `actions` as they are now; `orders` that were placed and not tracked before; `refills`, the
    tasks that panels took on.
    """

    actions: list[Action]
    orders: list[Order]
    refills: list[Refill]


Past = Callable[[float, float], float]  # of a time on record and now: when that was


class Intents(StorePart):
    """The table `actions`, written."""

    async def plan(self, plan: ActionPlan, *, now: float) -> Action:
        """Write the plan; a Conflict names the unsettled action that stands in its way.

        An idempotency key that was used for the same gives the action that it was used for.
        """
        await self._db.know_panels({plan.panel})

        async def work(connection: AsyncConnection) -> Action:
            earlier = await self._with_key(connection, plan)
            if earlier is not None:
                return earlier
            added = await add_plans(connection, self._db.panels, [plan], now)
            if not added:
                raise Conflict(await self._hindrance(connection, plan))
            return added[0]

        return await self._db.write("plan", work)

    async def plan_once(
        self, plan: ActionPlan, *, since: float, now: float, past: Past = min
    ) -> tuple[Action, bool]:
        """Write the plan, unless its like was planned `since` then or is not settled.

        Its idempotency key is what it has in common with its like. Gives the action, and whether
        it is new. One that was refused stands in nobody's way.
        """
        await self._db.know_panels({plan.panel})

        async def work(connection: AsyncConnection) -> tuple[Action, bool]:
            last = await self._last_like(connection, plan)
            if last is not None and _stands(last, since, past(last.planned_at, now)):
                return last, False
            numbered = msgspec.structs.replace(plan, idempotency_key=_next_key(plan, last))
            (added,) = await add_plans(connection, self._db.panels, [numbered], now)
            return added, True

        return await self._db.write("plan", work)

    async def claim(self, ids: Sequence[int], *, now: float) -> list[Action]:
        """Mark those of the actions that are planned as being sent.

        That is committed before this returns: the returned ones, and no others, may be sent.
        """
        move = ActionState.PLANNED, ActionState.SENDING
        values = {"sent_at": now}

        async def work(connection: AsyncConnection) -> tuple[list[Action], int]:
            claimed = await self._move(connection, ids, *move, values)
            return claimed, await claims.count(connection) if claimed else 0

        claimed, count = await self._db.write("claim", work)
        if claimed:
            self._db.note_claims(count)
        return claimed

    async def withdraw(self, ids: Sequence[int], answer: str, *, now: float) -> list[Action]:
        """Give up those of the actions that are still planned; `answer` says why."""
        move = ActionState.PLANNED, ActionState.REJECTED
        values = {"settled_at": now, "answer": answer}
        return await self._db.write("withdraw", lambda c: self._move(c, ids, *move, values))

    async def settle(self, outcomes: Sequence[Outcome], *, now: float) -> Settled:
        """Write how the sending ended, and what follows from it.

        An outcome that was written before changes nothing. One that does not fit its action (not
        being sent, an accepted submission without an order id) is a LifecycleError, raised when
        all others are committed.
        """

        async def work(connection: AsyncConnection) -> tuple[Settled, list[str]]:
            found = await self._by_ids(connection, [outcome.action.id for outcome in outcomes])
            moves, wrong = sorted_out(found, outcomes, now)
            return await self._apply(connection, moves, now), wrong

        settled, wrong = await self._db.write("settle", work)
        if wrong:
            raise LifecycleError("; ".join(wrong))
        return settled

    async def resolve(
        self, action_id: int, state: ActionState, *, result: str | None, now: float
    ) -> Settled:
        """Write what became of an unresolved action, as a person found out, and what follows."""

        async def work(connection: AsyncConnection) -> Settled:
            action = (await self._by_ids(connection, [action_id])).get(action_id)
            if action is None:
                raise NotFound(f"there is no action {action_id}")
            check_resolvable(action, state, result)
            after = moved(action, state, result, action.answer, now)
            return await self._apply(connection, [(action, after)], now)

        return await self._db.write("resolve", work)

    async def recover(self) -> int:
        """At start: what was being sent when the last run ended is unresolved; how many."""
        move = ActionState.SENDING, ActionState.UNRESOLVED
        values = {"answer": "the watcher ended before the panel's answer was on record"}
        lost = await self._db.write("recover", lambda c: self._move(c, None, *move, values))
        return len(lost)

    async def _move(
        self,
        connection: AsyncConnection,
        ids: Sequence[int] | None,
        source: ActionState,
        target: ActionState,
        values: Mapping[str, object],
    ) -> list[Action]:
        """Those of the actions (None: of all) that were in `source`, moved to `target`."""
        check_move(source, target)
        statement = (
            update(actions)
            .where(actions.c.state == source.value)
            .values(state=target.value, **values)
            .returning(*actions.c)
        )
        parts = (
            [statement]
            if ids is None
            else [statement.where(actions.c.id.in_(some)) for some in batched(ids)]
        )
        names = self._db.panels.names
        after = [
            to_action(row, names)
            for part in parts
            for row in (await connection.execute(part)).mappings()
        ]
        return sorted(after, key=lambda action: action.id)

    async def _apply(
        self, connection: AsyncConnection, moves: Sequence[tuple[Action, Action]], now: float
    ) -> Settled:
        """Compare-and-set each action from its old to its new form, with what follows."""
        changed = [(before, after) for before, after in moves if after != before]
        if changed:
            rows = [_row(before, after) for before, after in changed]
            result = await connection.execute(_LEFT, rows)
            if result.rowcount != len(rows):
                raise LifecycleError("an action changed while its outcome was written")
        accepted = [after for _, after in changed if after.state is ActionState.ACCEPTED]
        return Settled(
            actions=[after for _, after in moves],
            orders=await track_placed(connection, self._db.panels, accepted, now),
            refills=await note_refills(connection, self._db.panels, accepted, now),
        )

    async def _by_ids(self, connection: AsyncConnection, ids: Sequence[int]) -> dict[int, Action]:
        names = self._db.panels.names
        return {
            action.id: action
            for some in batched(ids)
            for action in await fetch_actions(
                connection, names, ACTION.where(actions.c.id.in_(some))
            )
        }

    async def _with_key(self, connection: AsyncConnection, plan: ActionPlan) -> Action | None:
        """The action that the plan's idempotency key was used for before."""
        if plan.idempotency_key is None:
            return None
        statement = ACTION.where(actions.c.idempotency_key == plan.idempotency_key)
        row = (await connection.execute(statement)).mappings().first()
        if row is None:
            return None
        action = to_action(row, self._db.panels.names)
        # An accepted submission has an order, its plan had none.
        same_order = plan.kind is Kind.SUBMIT or action.order == plan.order
        same = (action.kind, action.panel) == (plan.kind, plan.panel)
        if same and same_order and _same_params(row, action, plan):
            return action
        raise Conflict(f"the idempotency key was used for something else: action {action.id}")

    async def _last_like(self, connection: AsyncConnection, plan: ActionPlan) -> Action | None:
        """The newest action with the plan's key and a number."""
        key = actions.c.idempotency_key
        statement = ACTION.where(
            key.between(f"{plan.idempotency_key}:", f"{plan.idempotency_key}:~")
        )
        found = await fetch_actions(
            connection, self._db.panels.names, statement.order_by(key.desc()).limit(1)
        )
        return found[0] if found else None

    async def _hindrance(self, connection: AsyncConnection, plan: ActionPlan) -> str:
        statement = ACTION.where(
            actions.c.panel == self._panel(plan.panel),
            actions.c.order_id == plan.order,
            actions.c.kind == plan.kind.value,
            UNSETTLED_STATE,
        )
        action = (await fetch_actions(connection, self._db.panels.names, statement))[0]
        return (
            f"a {plan.kind} of order {plan.order} at {plan.panel} is {action.state}:"
            f" action {action.id}"
        )


def _same_params(row: Mapping[Any, Any], action: Action, plan: ActionPlan) -> bool:
    """Large ones are cut down once the action is settled; a hash stays."""
    if row["params_hash"] is None:
        return action.params == plan.params
    return plan.params is not None and row["params_hash"] == params_hash(plan.params)


def _stands(action: Action, since: float, planned_at: float) -> bool:
    """Whether an action that was planned then stands for its like."""
    if action.state is ActionState.REJECTED:
        return False
    return action.state in UNSETTLED or planned_at > since


def _next_key(plan: ActionPlan, last: Action | None) -> str:
    number = int((last.idempotency_key or "").rpartition(":")[2]) + 1 if last else 1
    return f"{plan.idempotency_key}:{number:08}"


def _row(before: Action, after: Action) -> dict[str, Any]:
    check_move(before.state, after.state)
    return {
        "_id": before.id,
        "_of": before.state.value,
        "state": after.state.value,
        "order_id": after.order,
        "sent_at": after.sent_at,
        "settled_at": after.settled_at,
        "result": after.result,
        "answer": after.answer,
    }

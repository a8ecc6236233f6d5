"""Actions and their rows in the table `actions`."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, select, update

from watcher.errors import Conflict
from watcher.model import UNSETTLED, Action, ActionPlan, ActionState, Kind, Labels, Order, Refill
from watcher.store.base import batched, in_range
from watcher.store.dialect import insert_or_ignore
from watcher.store.panels import PanelNames
from watcher.store.schema import actions
from watcher.store.transitions import check_move

ACTION = select(actions)
UNSETTLED_STATE = actions.c.state.in_([state.value for state in UNSETTLED])


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """The records that outcomes led to.

    `actions` in their new state; `orders` that were placed and not tracked before; `refills`, the
    tasks that panels accepted.
    """

    actions: list[Action]
    orders: list[Order]
    refills: list[Refill]


def to_action(row: Mapping[Any, Any], panels: Mapping[int, str]) -> Action:
    """Return the action in a row of the table."""
    return Action(
        id=row["id"],
        kind=Kind(row["kind"]),
        panel=panels[row["panel"]],
        order=row["order_id"],
        state=ActionState(row["state"]),
        rule=row["rule"],
        reason=row["reason"],
        params=None if row["params"] is None else msgspec.json.decode(row["params"]),
        labels=None if row["labels"] is None else labels_of(row["labels"]),
        idempotency_key=row["idempotency_key"],
        planned_at=float(row["planned_at"]),
        sent_at=_time(row["sent_at"]),
        settled_at=_time(row["settled_at"]),
        result=row["result"],
        answer=row["answer"],
    )


def _time(value: float | None) -> float | None:
    """Return the time as a float, since RETURNING gives a whole number of seconds as an integer."""
    return None if value is None else float(value)


def labels_of(text: str) -> Labels:
    """Return the labels that an action keeps for its order."""
    return msgspec.json.decode(text, type=Labels)


def labels_text(labels: Labels | None) -> str | None:
    """Return the labels as the database has them."""
    return msgspec.json.encode(labels).decode() if labels and labels != Labels() else None


def fetch_actions(
    connection: Connection, panels: Mapping[int, str], statement: Select[*tuple[Any, ...]]
) -> list[Action]:
    """Return the actions that a statement made of `ACTION` finds."""
    return [to_action(row, panels) for row in connection.execute(statement).mappings()]


def actions_by_id(
    connection: Connection, panels: Mapping[int, str], ids: Sequence[int]
) -> dict[int, Action]:
    """Return the actions with these ids that exist, by id."""
    return {
        action.id: action
        for some in batched(ids)
        for action in fetch_actions(connection, panels, ACTION.where(actions.c.id.in_(some)))
    }


def add_plans(
    connection: Connection, panels: PanelNames, plans: Sequence[ActionPlan], now: float
) -> list[Action]:
    """Write the plans as actions, except those that conflict with an unsettled action."""
    if not plans:
        return []
    rows = [_plan_row(plan, panels.ids[plan.panel], now) for plan in plans]
    statement = insert_or_ignore(actions).returning(*actions.c)
    added = connection.execute(statement, rows).mappings()
    return _by_age(to_action(row, panels.names) for row in added)


def move_actions(
    connection: Connection,
    panels: Mapping[int, str],
    move: tuple[ActionState, ActionState],
    ids: Sequence[int] | None,
    *,
    within: Collection[ColumnElement[bool]] = (),
    **values: object,
) -> list[Action]:
    """Move the given actions (None: all that are `within`) from the first state to the second.

    Returns the moved actions in their new state. Skips actions in another state.
    """
    check_move(*move)
    source, target = move
    statement = (
        update(actions)
        .where(actions.c.state == source.value, *within)
        .values(state=target.value, **values)
        .returning(*actions.c)
    )
    parts = (
        [statement]
        if ids is None
        else [statement.where(actions.c.id.in_(some)) for some in batched(ids)]
    )
    return _by_age(
        to_action(row, panels) for part in parts for row in connection.execute(part).mappings()
    )


def leave_to_people(
    connection: Connection, panels: PanelNames, of: Collection[str] | None
) -> list[Action]:
    """Mark actions that the last leader of these panels was sending as unresolved; return them.

    None are all panels.
    """
    move = ActionState.SENDING, ActionState.UNRESOLVED
    answer = "watcher ended before the panel's answer was on record"
    within = [] if of is None else [actions.c.panel.in_([panels.ids.get(one, -1) for one in of])]
    return move_actions(connection, panels.names, move, None, within=within, answer=answer)


def moved_row(before: Action, after: Action) -> dict[str, Any]:
    """Return the values for the update of an action's row; LifecycleError if it can't move so."""
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
        # A settled action needs none: its order has them.
        "labels": labels_text(after.labels) if after.state in UNSETTLED else None,
    }


def params_hash(params: Mapping[str, str]) -> str:
    """Return the hash by which large parameters are recognised later."""
    return hashlib.sha256(msgspec.json.encode(params, order="sorted")).hexdigest()


def action_with_key(connection: Connection, panels: PanelNames, plan: ActionPlan) -> Action | None:
    """Return the action that already used the plan's idempotency key."""
    if plan.idempotency_key is None:
        return None
    statement = ACTION.where(actions.c.idempotency_key == plan.idempotency_key)
    row = connection.execute(statement).mappings().first()
    if row is None:
        return None
    action = to_action(row, panels.names)
    # An accepted submission has an order; its plan had none.
    same_order = plan.kind is Kind.SUBMIT or action.order == plan.order
    same = (action.kind, action.panel) == (plan.kind, plan.panel)
    if same and same_order and _same_params(row, action, plan):
        return action
    raise Conflict(f"the idempotency key was used for something else: action {action.id}")


def last_like(connection: Connection, panels: PanelNames, plan: ActionPlan) -> Action | None:
    """Return the newest action whose key is the plan's key plus a number."""
    key = actions.c.idempotency_key
    like = in_range(key, f"{plan.idempotency_key}:", f"{plan.idempotency_key}:~")
    statement = ACTION.where(like).order_by(key.desc()).limit(1)
    found = fetch_actions(connection, panels.names, statement)
    return found[0] if found else None


def stands(action: Action, since: float, planned_at: float) -> bool:
    """Return whether an action planned at that time still blocks another one like it."""
    if action.state is ActionState.REJECTED:
        return False
    return action.state in UNSETTLED or planned_at > since


def next_key(plan: ActionPlan, last: Action | None) -> str:
    """Return the plan's key with the next number after the last action's."""
    number = int((last.idempotency_key or "").rpartition(":")[2]) + 1 if last else 1
    return f"{plan.idempotency_key}:{number:08}"


def hindrance(connection: Connection, panels: PanelNames, plan: ActionPlan) -> str:
    """Return a text that names the unsettled action which conflicts with the plan."""
    statement = ACTION.where(
        actions.c.panel == panels.ids[plan.panel],
        actions.c.order_id == plan.order,
        actions.c.kind == plan.kind.value,
        UNSETTLED_STATE,
    )
    action = fetch_actions(connection, panels.names, statement)[0]
    return (
        f"a {plan.kind} of order {plan.order} at {plan.panel} is {action.state}: action {action.id}"
    )


def _same_params(row: Mapping[Any, Any], action: Action, plan: ActionPlan) -> bool:
    """Compare parameters; of large ones a settled action keeps only a hash."""
    if row["params_hash"] is None:
        return action.params == plan.params
    return plan.params is not None and row["params_hash"] == params_hash(plan.params)


def _by_age(found: Iterable[Action]) -> list[Action]:
    return sorted(found, key=lambda action: action.id)


def _plan_row(plan: ActionPlan, panel: int, now: float) -> dict[str, Any]:
    return {
        "kind": plan.kind.value,
        "panel": panel,
        "order_id": plan.order,
        "state": ActionState.PLANNED.value,
        "rule": plan.rule,
        "reason": plan.reason,
        "params": None if plan.params is None else msgspec.json.encode(plan.params).decode(),
        "labels": labels_text(plan.labels),
        "idempotency_key": plan.idempotency_key,
        "planned_at": now,
    }

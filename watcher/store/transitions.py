"""Checks the moves of actions between states against the table of moves."""

from collections.abc import Sequence

import msgspec

from watcher.errors import Conflict, LifecycleError, RequestError
from watcher.model import Action, ActionState, Kind, Outcome
from watcher.orders.lifecycle import ACTION_MOVES

_FINAL = frozenset({ActionState.ACCEPTED, ActionState.REJECTED})


def sorted_out(
    found: dict[int, Action], outcomes: Sequence[Outcome], now: float
) -> tuple[list[tuple[Action, Action]], list[str]]:
    """Return the moves to make, and the objections to the other outcomes."""
    moves: dict[int, tuple[Action, Action]] = {}
    wrong: list[str] = []
    for outcome in outcomes:
        action = found.get(outcome.action.id)
        if action is not None and _is_written(action, outcome):
            moves.setdefault(action.id, (action, action))
            continue
        objection = _objection(action, outcome)
        if objection is None and action is not None and action.id not in moves:
            args = outcome.state, outcome.result, outcome.answer
            moves[action.id] = action, moved(action, *args, now)
        else:
            wrong.append(f"action {outcome.action.id} {objection or 'has two outcomes'}")
    return list(moves.values()), wrong


def moved(
    action: Action, state: ActionState, result: str | None, answer: str | None, now: float
) -> Action:
    """Return the action as it is after the move."""
    accepted = state is ActionState.ACCEPTED
    return msgspec.structs.replace(
        action,
        state=state,
        order=result if accepted and action.kind is Kind.SUBMIT else action.order,
        sent_at=None if state is ActionState.PLANNED else action.sent_at,
        settled_at=now if state in _FINAL else None,
        result=result if accepted else None,
        answer=answer,
    )


def resolved(action: Action, state: ActionState, result: str | None, now: float) -> Action:
    """Return the action as it is once a person has settled it; its answer keeps the cause."""
    before = f"; before: {action.answer}" if action.answer else ""
    return moved(action, state, result, f"settled by hand{before}", now)


def check_resolvable(action: Action, state: ActionState, result: str | None) -> None:
    """Raise Conflict or RequestError, for the user, if the action can't be resolved this way."""
    if action.state is not ActionState.UNRESOLVED:
        raise Conflict(f"action {action.id} is {action.state}, not unresolved")
    if (action.state, state) not in ACTION_MOVES:
        raise Conflict(f"action {action.id} can be resolved as accepted or rejected, not {state}")
    if _lacks_order(action, state, result):
        raise RequestError("an accepted submission needs the order id that the panel gave it")


def check_move(source: ActionState, target: ActionState) -> None:
    """Raise LifecycleError if the table has no such move."""
    if (source, target) not in ACTION_MOVES:
        raise LifecycleError(f"an action that is {source} can't become {target}")


def _is_written(action: Action, outcome: Outcome) -> bool:
    if action.state is ActionState.ACCEPTED and action.result != outcome.result:
        return False
    return action.state is outcome.state


def _objection(action: Action | None, outcome: Outcome) -> str | None:
    if action is None:
        return "is not in the log"
    if action.state is not ActionState.SENDING:
        return f"is {action.state}, not being sent"
    if action.sent_at != outcome.action.sent_at:
        return "was sent again since this outcome"
    if (action.state, outcome.state) not in ACTION_MOVES:
        return f"can't become {outcome.state}"
    if _lacks_order(action, outcome.state, outcome.result):
        return "was accepted without an order id"
    return None


def _lacks_order(action: Action, state: ActionState, result: str | None) -> bool:
    return action.kind is Kind.SUBMIT and state is ActionState.ACCEPTED and not result

"""State machines of orders, refills and actions: two tables of transitions.

A transition that is not in its table is an error.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import astuple

from watcher.errors import LifecycleError
from watcher.model import (
    DEAD,
    DELIVERED,
    REFILL_FINAL,
    ActionState,
    Observation,
    Order,
    Origin,
    Phase,
    Refill,
    RefillStatus,
    Status,
    Transition,
)
from watcher.orders.fields import FIELDS, PERSONAL, PROGRESS, FieldSource, names_of

# (phase before, kind of status observed) -> phase after. A closed order is not asked about, so
# there is no observation of one. An unknown word is never taken for a final status.
PHASES: dict[tuple[Phase, str], Phase] = {
    (Phase.OPEN, "open"): Phase.OPEN,
    (Phase.OPEN, "unknown"): Phase.OPEN,
    (Phase.OPEN, "delivered"): Phase.GUARDED,
    (Phase.OPEN, "dead"): Phase.CLOSED,
    (Phase.GUARDED, "open"): Phase.OPEN,
    (Phase.GUARDED, "unknown"): Phase.GUARDED,
    (Phase.GUARDED, "delivered"): Phase.GUARDED,
    (Phase.GUARDED, "dead"): Phase.CLOSED,
}

# Every transition of an action. `sending -> planned` needs proof that nothing was done; there is no
# transition from `unresolved` back to `sending`.
ACTION_MOVES: frozenset[tuple[ActionState, ActionState]] = frozenset(
    {
        (ActionState.PLANNED, ActionState.SENDING),
        (ActionState.PLANNED, ActionState.REJECTED),  # withdrawn before it was sent
        # Only in a restored backup: the action may have been sent after the backup was made.
        (ActionState.PLANNED, ActionState.UNRESOLVED),
        (ActionState.SENDING, ActionState.ACCEPTED),
        (ActionState.SENDING, ActionState.REJECTED),
        (ActionState.SENDING, ActionState.UNRESOLVED),
        (ActionState.SENDING, ActionState.PLANNED),
        (ActionState.UNRESOLVED, ActionState.ACCEPTED),
        (ActionState.UNRESOLVED, ActionState.REJECTED),
    }
)

_SOON = 86400.0  # seconds from a submission to the first check
_NOT_CHANGES = frozenset(field.name for field in FIELDS if not field.in_history)
_TOLD = names_of(source=FieldSource.PANEL)


def kind_of(status: Status) -> str:
    """Return the kind of a status, the second key of PHASES."""
    if status in DELIVERED:
        return "delivered"
    if status in DEAD:
        return "dead"
    return "unknown" if status is Status.UNKNOWN else "open"


def observe(order: Order, seen: Observation, now: float) -> Transition | None:
    """Return the transition by an observation; None if it changes nothing.

    A value that the panel left out stays as it was: a missing charge is not 0.
    """
    said = {name: value for name in _TOLD if (value := getattr(seen, name)) is not None}
    is_told = order.phase is not Phase.CLOSED and order.problem is None
    if is_told and all(getattr(order, name) == value for name, value in said.items()):
        return None
    fields: dict[str, Any] = {"problem": None, **said}
    if seen.status is not order.status:
        fields |= _status_fields(order, seen.status, now)
    if _progressed(order, fields):
        fields["progressed_at"] = now
    fields["checked_at"] = now
    return _transition(order, fields, now)


def says_nothing_new(last: Observation, seen: Observation) -> bool:
    """Return whether the observation `seen` adds nothing to the `last` one."""
    if seen == last:  # most answers: compared at once
        return True
    pairs = zip(astuple(seen), astuple(last), strict=True)
    return not any(new is not None and new != old for new, old in pairs)


def set_aside(order: Order, problem: str, now: float) -> Transition | None:
    """Store why the panel gave no status: it refused the id, or left it out.

    `checked_at` stays unset: rules do not act on an order that its panel has never answered about.
    """
    return None if order.problem == problem else _transition(order, {"problem": problem}, now)


def count(order: Order, current: int, now: float) -> Transition | None:
    """Store the link's current count, measured elsewhere."""
    return None if order.count == current else _transition(order, {"count": current}, now)


def label(order: Order, values: Mapping[str, Any], now: float) -> Transition | None:
    """Store the caller's words on the order, by the fields' names; None if nothing changes."""
    is_new = any(getattr(order, name) != value for name, value in values.items())
    return _transition(order, dict(values), now) if is_new else None


def guard_ends_at(order: Order, guard_for: float) -> float | None:
    """Return when a guarded order closes; None if it is not guarded."""
    if order.phase is not Phase.GUARDED:
        return None
    # It finished no earlier than it was submitted. An order of long ago must not be refilled.
    since = order.submitted_at if order.finished_at is None else order.finished_at
    return since + guard_for


def close(order: Order, now: float) -> Transition:
    """Close a guarded order."""
    if order.phase is not Phase.GUARDED:
        raise LifecycleError(f"order {order.id} at {order.panel} is {order.phase}, not guarded")
    return _transition(order, {"phase": Phase.CLOSED}, now)


def observe_refill(refill: Refill, status: RefillStatus, text: str, now: float) -> Refill | None:
    """Return the refill task's next state; None if nothing changed."""
    is_told = status is not RefillStatus.UNKNOWN
    return _change_refill(
        refill,
        status=status,
        status_text=text,
        finished_at=now if status in REFILL_FINAL else None,
        silent_since=None if is_told else _silent_since(refill, now),
    )


def miss_refill(refill: Refill, refusal: str | None, now: float) -> Refill | None:
    """Return the task after an answer without its status; None if nothing changed.

    `refusal` is the panel's text, if any.
    """
    since = _silent_since(refill, now)
    if refusal is None:
        return _change_refill(refill, silent_since=since)
    return _change_refill(
        refill, status=RefillStatus.NOT_FOUND, status_text=refusal, silent_since=since
    )


def lose_refill(refill: Refill, now: float) -> Refill | None:
    """Return the task as lost: the panel has not reported its status for too long."""
    return _change_refill(refill, status=RefillStatus.LOST, finished_at=now)


def lost_at(refill: Refill, after: float, *, tells: bool, now: float) -> float | None:
    """Return when the task is given up; None while the panel reports its status.

    `tells`: whether the panel can report refill statuses at all.
    """
    since = refill.silent_since if tells else refill.requested_at
    return None if since is None else min(since, now) + after


def is_running(refill: Refill, *, tells: bool) -> bool:
    """Return whether the task may be running: another refill would be too early.

    A task that cannot be asked about, or that the panel does not know, counts as not running.
    """
    return tells and refill.status not in REFILL_FINAL | {RefillStatus.NOT_FOUND}


def _change_refill(refill: Refill, **fields: Any) -> Refill | None:
    if refill.status in REFILL_FINAL:
        raise LifecycleError(f"refill {refill.id} at {refill.panel} is already {refill.status}")
    after = msgspec.structs.replace(refill, **fields)
    return None if after == refill else after


def _silent_since(refill: Refill, now: float) -> float:
    """Return since when the panel has not reported the task; never later than now."""
    return now if refill.silent_since is None else min(refill.silent_since, now)


def _status_fields(order: Order, status: Status, now: float) -> dict[str, Any]:
    phase = PHASES.get((order.phase, kind_of(status)))
    if phase is None:
        raise LifecycleError(
            f"order {order.id} at {order.panel} is {order.phase}; it can't become {status}"
        )
    return {"status": status, "phase": phase, "finished_at": _finished_at(order, phase, now)}


def _finished_at(order: Order, phase: Phase, now: float) -> float | None:
    """Return when the order finished; None if it is open, or was final when first seen.

    An order that was tracked late may have been final for years: only one that was seen open
    finishes now. An unknown word proves nothing: it may mean a final status. An order whose first
    check comes soon after its submission was open between the two.
    """
    if phase is Phase.OPEN:
        return None
    if order.finished_at is not None:  # observed, or given by an imported list
        return order.finished_at
    if kind_of(order.status) == "open":
        return now
    is_watched = order.checked_at is not None or now - order.submitted_at <= _SOON
    return now if order.origin is Origin.WHOLE and is_watched else None


def _progressed(order: Order, fields: dict[str, Any]) -> bool:
    return any(
        name in fields and fields[name] != getattr(order, name) for name in ("status", *PROGRESS)
    )


def _transition(order: Order, fields: dict[str, Any], now: float) -> Transition:
    changes = {
        name: (None, None) if name in PERSONAL else (old, new)
        for name, new in fields.items()
        if (old := getattr(order, name)) != new and name not in _NOT_CHANGES
    }
    after = msgspec.structs.replace(order, **fields)
    return Transition(before=order, after=after, at=now, changes=changes)

"""Nothing that was once on record is ever gone: a moment of the database, and what came of it."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tests.support.audit import Rows
from watcher.model import ActionState
from watcher.orders.lifecycle import ACTION_MOVES

_HISTORY = "SELECT id, previous, key, at, changes FROM history WHERE id <= {} ORDER BY id"
_ACTIONS = "SELECT id, kind, panel, rule, params, idempotency_key, planned_at, state FROM actions"
_FIRINGS = "SELECT id, rule, key, at FROM firings WHERE id <= {} ORDER BY id"


class Moment(msgspec.Struct, frozen=True):
    """What was on record."""

    orders: frozenset[int]
    last_change: int
    history: int  # a checksum of all rows up to the last
    last_firing: int
    firings: int
    actions: dict[int, tuple[Any, ...]]
    refills: dict[int, str]


def remember(daemon: Rows) -> Moment:
    """What is on record now."""
    last_change = _last(daemon, "history")
    last_firing = _last(daemon, "firings")
    return Moment(
        orders=frozenset(key for (key,) in daemon.rows("SELECT key FROM order_states")),
        last_change=last_change,
        history=_checksum(daemon.rows(_HISTORY.format(last_change))),
        last_firing=last_firing,
        firings=_checksum(daemon.rows(_FIRINGS.format(last_firing))),
        actions={number: tuple(rest) for number, *rest in daemon.rows(_ACTIONS)},
        refills=dict(daemon.rows("SELECT key, status FROM refills")),
    )


def gone_since(before: Moment, daemon: Rows, settled: Iterable[int] = ()) -> list[str]:
    """What was on record before and is gone, or went a way that it can't go.

    `settled` are the unresolved actions that people have resolved.
    """
    now = remember(daemon)
    found = [f"order {key} is gone" for key in sorted(before.orders - now.orders)]
    found += [f"refill task {key} is gone" for key in sorted(before.refills.keys() - now.refills)]
    if _checksum(daemon.rows(_HISTORY.format(before.last_change))) != before.history:
        found.append(f"the history up to row {before.last_change} is not what it was")
    if _checksum(daemon.rows(_FIRINGS.format(before.last_firing))) != before.firings:
        found.append(f"the firings up to {before.last_firing} are not what they were")
    return [*found, *_actions_gone_wrong(before, now, frozenset(settled))]


def _actions_gone_wrong(before: Moment, now: Moment, settled: frozenset[int]) -> Iterator[str]:
    for number, (*fixed, state) in before.actions.items():
        if number not in now.actions:
            yield f"action {number} is gone"
            continue
        *still_fixed, new = now.actions[number]
        if fixed != still_fixed:
            yield f"action {number} was {fixed}, it is {still_fixed}"
        if not _can_become(ActionState(state), ActionState(new), number in settled):
            yield f"action {number} was {state}, it is {new}"


def _can_become(before: ActionState, after: ActionState, by_a_person: bool) -> bool:
    """Whether moves of the table lead from one to the other."""
    reached, seen = {before}, set[ActionState]()
    while reached - seen:
        state = (reached - seen).pop()
        seen.add(state)
        if state is not ActionState.UNRESOLVED or by_a_person:
            reached |= {target for source, target in ACTION_MOVES if source is state}
    return after in reached


def _last(daemon: Rows, table: str) -> int:
    return int(daemon.rows(f"SELECT coalesce(max(id), 0) FROM {table}")[0][0])


def _checksum(rows: Iterable[tuple[Any, ...]]) -> int:
    total = 0
    for row in rows:
        total = zlib.crc32(repr(row).encode(), total)
    return total

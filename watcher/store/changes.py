"""Writes changes of orders: their new states and their history."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import ClauseElement, Connection, func, select, update

from watcher.errors import LifecycleError
from watcher.model import Transition
from watcher.orders.fields import LABELS
from watcher.store import counting
from watcher.store.order_rows import STATE, WRITERS, retag_orders
from watcher.store.row_statement import RowStatement, Values, row_insert, types_of
from watcher.store.schema import event_targets, history, order_states, orders

_HISTORY = RowStatement.of(
    types_of(history, ("id",))
    | {"of": history.c.key.type}
    | types_of(history, ("key", "at", "changes")),
    lambda value: row_insert(
        history,
        {
            "id": value("id"),
            "previous": select(order_states.c.last_change)
            .where(order_states.c.key == value("of"))
            .scalar_subquery(),
            **{name: value(name) for name in ("key", "at", "changes")},
        },
    ),
)
_encode = msgspec.json.Encoder().encode


class Mismatch(LifecycleError):
    """An order is not in the state that its change starts from."""


def last_history_id(connection: Connection) -> int:
    """Return the newest row's id, even if that row was removed; the next ids follow it."""
    rows, read = select(func.max(history.c.id)), select(func.max(event_targets.c.cursor))
    ids = [connection.execute(statement).scalar() or 0 for statement in (rows, read)]
    return max(*ids, counting.value(connection, counting.REMOVED))


def write_changes(connection: Connection, transitions: Sequence[Transition], last_id: int) -> None:
    """Write each order's changed fields, and a history row with the next id for each transition.

    Compare-and-set on status and phase: raises Mismatch if an order is not in the expected state.
    """
    for wave in _waves(transitions):
        numbered = list(enumerate(wave, last_id + 1))
        last_id += len(wave)
        rows = [_history_row(number, transition) for number, transition in numbered]
        _HISTORY.run(connection, rows)
        for names, values in _rows_by_fields(numbered).items():
            if _update(names).run(connection, values) != len(values):
                raise Mismatch
        _write_labels(connection, wave)


def mismatch(connection: Connection, transitions: Sequence[Transition]) -> LifecycleError:
    """Return an error that names the order which is not in the expected state."""
    statement = select(order_states.c.status, order_states.c.phase)
    for transition in transitions:
        before = transition.before
        row = connection.execute(statement.where(order_states.c.key == before.key)).first()
        if row is None or tuple(row) != (before.status.value, before.phase.value):
            found = " and ".join(row) if row else "not tracked"
            return LifecycleError(
                f"order {before.id} at {before.panel} is {found}, not {before.status} and"
                f" {before.phase}: nothing of this part was written"
            )
    return LifecycleError("an order changed twice at once: nothing of this part was written")


def _waves(transitions: Iterable[Transition]) -> Iterator[list[Transition]]:
    """Split so that a part has each order once: statements are grouped by fields, not time."""
    wave: dict[int, Transition] = {}
    for transition in transitions:
        if transition.before.key in wave:
            yield list(wave.values())
            wave = {}
        wave[transition.before.key] = transition
    if wave:
        yield list(wave.values())


def _history_row(number: int, transition: Transition) -> tuple[Any, ...]:
    key = transition.before.key
    return number, key, key, transition.at, _encode(transition.changes).decode()


def _rows_by_fields(
    numbered: Iterable[tuple[int, Transition]],
) -> dict[tuple[str, ...], list[tuple[Any, ...]]]:
    """Group the parameters of `_update` by the set of fields that changed together."""
    rows: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    for number, transition in numbered:
        before, after, changes = transition.before, transition.after, transition.changes
        names = tuple(name for name in changes if name not in LABELS)
        values = [
            WRITERS[name](changes[name][1]) if name in WRITERS else changes[name][1]
            for name in names
        ]
        if after.progressed_at != before.progressed_at:
            names = (*names, "progressed_at")
            values.append(after.progressed_at)
        state = before.status.value, before.phase.value
        values += (transition.at, after.checked_at, number, before.key, *state)
        rows.setdefault(names, []).append(tuple(values))
    return rows


def _write_labels(connection: Connection, transitions: Iterable[Transition]) -> None:
    """Write what callers changed of their orders, to the fixed part."""
    for transition in transitions:
        names = sorted(LABELS.intersection(transition.changes))
        if not names:
            continue
        after = transition.after
        values = {name: getattr(after, name) for name in names}
        rows = {name: WRITERS[name](v) if name in WRITERS else v for name, v in values.items()}
        connection.execute(update(orders).where(orders.c.key == after.key).values(rows))
        if "tags" in values:
            retag_orders(connection, {after.key: after.tags})


@cache
def _update(names: tuple[str, ...]) -> RowStatement:
    misplaced = set(names).difference(STATE)
    if misplaced:
        raise LifecycleError(f"a change of {', '.join(sorted(misplaced))} has no place to go")
    written = (*names, "changed_at", "checked_at", "last_change")
    expected = ("key", "status", "phase")

    def build(value: Values) -> ClauseElement:
        columns = order_states.c
        new = ((columns[name], value(f"_new_{name}")) for name in written)
        are = (columns[name] == value(f"_{name}") for name in expected)
        return update(order_states).where(*are).ordered_values(*new)

    types = {f"_new_{name}": order_states.c[name].type for name in written}
    return RowStatement.of(types | {f"_{n}": order_states.c[n].type for n in expected}, build)

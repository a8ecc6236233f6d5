"""The oracle: what must hold between the panels' journals and the database, whatever happened.

Each check yields a sentence for each breach that it finds.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from tests.support.database import CURRENT, Error
from watcher.panels.protocol.refusals import Refusal
from watcher.simulator import SimulatedPanel
from watcher.simulator.journal import JournalEntry
from watcher.simulator.traits import Trait

KINDS = ("refill", "cancel")
SENT = ("sending", "accepted", "rejected", "unresolved")
# Fields of an order's state that its history tells from the beginning, with their first values.
TOLD = {
    "status": "unknown",
    "status_text": None,
    "charge": None,
    "currency": None,
    "start_count": None,
    "remains": None,
    "count": None,
    "phase": "open",
    "problem": None,
    "finished_at": None,
}
# Refusals of a whole request that have nothing to do with the orders in it.
_PROOFS = frozenset({Trait.RATE_LIMITED.value, Refusal.KEY.text, Refusal.REQUEST.text})
# These leave a refusal's words as they are, or in a list.
_HARMLESS_FAULTS = frozenset({"", Trait.RATE_LIMITED.value, Trait.WRONG_TYPES.value})

_ACTIONS = """
SELECT actions.kind, actions.state, actions.order_id FROM actions
JOIN panels ON panels.id = actions.panel WHERE panels.name = '{}'
"""


class Rows(Protocol):
    """Whoever can look into the database."""

    def rows(self, query: str) -> list[tuple[Any, ...]]: ...


def violations(
    daemon: Rows,
    panels: Mapping[str, SimulatedPanel],
    tracked: Mapping[str, Collection[int]],
    keys: Mapping[str, tuple[str, str]] | None = None,
) -> list[str]:
    """Every breach of the invariants, in words; none is what is wanted.

    `keys` are the submissions: the idempotency key with its panel and its link, which no other has.
    """
    try:
        return list(_breaches(daemon, panels, tracked, keys or {}))
    except Error as error:
        return [f"database: {error}"]


def _breaches(
    daemon: Rows,
    panels: Mapping[str, SimulatedPanel],
    tracked: Mapping[str, Collection[int]],
    keys: Mapping[str, tuple[str, str]],
) -> Iterator[str]:
    yield from _damage(daemon)
    for name, panel in panels.items():
        yield from _lost_orders(daemon, name, tracked.get(name, ()))
        yield from _sent_too_often(daemon, name, panel)
        yield from _unknown_to_the_panel(daemon, name, panel)
    yield from _submitted_twice(daemon, panels, keys)
    yield from _planned_without_a_firing(daemon)
    yield from _refills_without_a_task(daemon)
    yield from _broken_histories(daemon)
    yield from _broken_chains(daemon)


def left_sending(daemon: Rows) -> list[str]:
    """After a start nothing is being sent: what was is unresolved."""
    query = "SELECT id, kind, order_id FROM actions WHERE state = 'sending'"
    return [
        f"action {number} ({kind} of {order}) is `sending`, and nothing sends it"
        for number, kind, order in daemon.rows(query)
    ]


def fired_too_often(
    daemon: Rows,
    limits: Mapping[str, tuple[float, int | None]],
    set_back: Sequence[float] = (),
) -> list[str]:
    """By rule: its `every` and its `attempts`, against its firings in the order of their ids.

    A firing that lies in the future counts as of when the clock was `set_back`: these are the times
    that it showed then.
    """
    found = []
    last: dict[tuple[str, int], float] = {}
    count: Counter[tuple[str, int]] = Counter()
    for rule, order, at in daemon.rows("SELECT rule, key, at FROM firings ORDER BY id"):
        every, attempts = limits[rule]
        key = rule, order
        count[key] += 1
        if attempts is not None and count[key] > attempts:
            found.append(f"order {order}: {rule} fired {count[key]} times, {attempts} is the limit")
        since = last.get(key, at - every)
        if at < since:
            since = max((back for back in set_back if back <= at), default=since)
        if at < since + every:
            found.append(f"order {order}: {rule} fired again after {at - since:.0f} s")
        last[key] = at
    return found


def may_have_acted(entry: JournalEntry) -> bool:
    """Whether who sent this request can't know that nothing came of it."""
    if entry.carried_out:
        return True
    if entry.http == 429:  # proof enough, whatever the body is like
        return False
    batch_refused = entry.ids > 1 and entry.outcome not in ("answered", "arrived")
    proven = entry.outcome in _PROOFS or batch_refused
    return not proven or entry.http == 0 or entry.fault not in _HARMLESS_FAULTS


def _lost_orders(daemon: Rows, panel: str, tracked: Collection[int]) -> Iterator[str]:
    rows = daemon.rows(
        "SELECT order_id FROM orders JOIN order_states USING (key)"
        f" JOIN panels ON panels.id = orders.panel WHERE panels.name = '{panel}'"
    )
    for order in sorted({str(order) for order in tracked} - {row[0] for row in rows}):
        yield f"{panel}: order {order} is lost"


def _sent_too_often(daemon: Rows, name: str, panel: SimulatedPanel) -> Iterator[str]:
    """What arrived, unless it was refused for sure, is at most what the log says was sent."""
    logged = Counter(
        (kind, order) for kind, state, order in daemon.rows(_ACTIONS.format(name)) if state in SENT
    )
    for kind in KINDS:
        arrived: Counter[str] = Counter()
        for entry in panel.journal.requests(kind):
            if may_have_acted(entry):
                arrived.update(ids_of(entry))
        for order, times in arrived.items():
            on_record = logged[kind, order]
            if times > on_record:
                yield f"{name}: {kind} of {order} arrived {times} times, {on_record} on record"


def _unknown_to_the_panel(daemon: Rows, name: str, panel: SimulatedPanel) -> Iterator[str]:
    accepted = Counter(
        (kind, int(order))
        for kind, state, order in daemon.rows(_ACTIONS.format(name))
        if state == "accepted" and kind in KINDS
    )
    done = {kind: panel.journal.carried_out(kind) for kind in KINDS}
    for (kind, order), times in accepted.items():
        if times > done[kind][order]:
            yield f"{name}: {kind} of {order} is accepted, the panel knows nothing of it"


def _submitted_twice(
    daemon: Rows, panels: Mapping[str, SimulatedPanel], keys: Mapping[str, tuple[str, str]]
) -> Iterator[str]:
    logged = {
        key: (state, order)
        for key, state, order in daemon.rows(
            "SELECT idempotency_key, state, order_id FROM actions WHERE kind = 'submit'"
        )
    }
    arrived: Counter[str] = Counter()
    placed: dict[str, list[int]] = defaultdict(list)
    for panel in panels.values():
        for entry in panel.journal.requests("add"):
            link = entry.parameters.get("link", "")
            arrived[link] += may_have_acted(entry)
            placed[link] += entry.carried_out
    for key, (_, link) in keys.items():
        state, order = logged.get(key, ("", None))
        if len(placed[link]) > 1:
            yield f"submission {key} was carried out {len(placed[link])} times"
        if arrived[link] > (state in SENT):
            known = state or "not on record"
            yield f"submission {key} arrived {arrived[link]} times, it is {known}"
        if state == "accepted" and order not in map(str, placed[link]):
            yield f"submission {key} is accepted as {order}, the panel placed {placed[link]}"
        if state == "rejected" and placed[link]:
            yield f"submission {key} is rejected, the panel placed {placed[link]}"


def _planned_without_a_firing(daemon: Rows) -> Iterator[str]:
    """A rule's actions on an order are as many as its firings: none is planned twice for one."""
    query = """
SELECT rule, key, sum(planned), sum(fired) FROM (
    SELECT actions.rule AS rule, orders.key AS key, 1 AS planned, 0 AS fired FROM actions
    JOIN orders ON orders.panel = actions.panel AND orders.order_id = actions.order_id
    WHERE actions.rule IS NOT NULL
    UNION ALL
    SELECT rule, key, 0, 1 FROM firings WHERE NOT dry_run AND action <> 'notify'
) AS told GROUP BY rule, key HAVING sum(planned) <> sum(fired)
"""
    for rule, order, planned, fired in daemon.rows(query):
        yield f"order {order}: {rule} fired {fired} times and planned {planned} actions"


def _refills_without_a_task(daemon: Rows) -> Iterator[str]:
    """A refill that was accepted under an id is followed as a task, and counted at its order."""
    query = """
SELECT actions.id, actions.result FROM actions LEFT JOIN refills
ON refills.panel = actions.panel AND refills.refill_id = actions.result
WHERE kind = 'refill' AND state = 'accepted' AND result IS NOT NULL AND refills.key IS NULL
"""
    for action, refill in daemon.rows(query):
        yield f"action {action}: refill {refill} was accepted, nothing follows it"
    query = """
SELECT orders.order_id, order_states.refills, count(actions.id) FROM orders
JOIN order_states USING (key) LEFT JOIN actions ON actions.panel = orders.panel
AND actions.order_id = orders.order_id AND actions.kind = 'refill' AND actions.state = 'accepted'
GROUP BY orders.key, orders.order_id, order_states.refills
HAVING order_states.refills <> count(actions.id)
"""
    for order, counted, accepted in daemon.rows(query):
        yield f"order {order}: {counted} refills are counted, {accepted} were accepted"


def _broken_histories(daemon: Rows) -> Iterator[str]:
    """Each change starts from where the one before ended, and the last is the order's state."""
    last: dict[int, dict[str, Any]] = defaultdict(lambda: dict(TOLD))
    for key, changes in daemon.rows("SELECT key, changes FROM history ORDER BY id"):
        for field, (old, new) in json.loads(changes).items():
            before = last[key].get(field)
            if before != old:
                yield f"order {key}: {field} went to {before}, the next change is from {old}"
            last[key][field] = new
    for key, *state in daemon.rows(f"SELECT key, {', '.join(TOLD)} FROM order_states"):
        for field, value in zip(TOLD, state, strict=True):
            if last[key][field] != value:
                yield f"order {key}: its {field} is {value}, its history ends at {last[key][field]}"


def _broken_chains(daemon: Rows) -> Iterator[str]:
    """Each row of an order's history names the one before it, and the order names the last."""
    newest: dict[int, int] = {}
    for number, previous, key in daemon.rows("SELECT id, previous, key FROM history ORDER BY id"):
        if previous != newest.get(key):
            yield f"order {key}: history row {number} follows {previous}, not {newest.get(key)}"
        newest[key] = number
    for key, last in daemon.rows("SELECT key, last_change FROM order_states"):
        if last != newest.get(key):
            yield f"order {key}: its last change is {last}, its history ends at {newest.get(key)}"


def _damage(daemon: Rows) -> Iterator[str]:
    """What a file's own check finds; a server refuses a row that refers to nothing."""
    if CURRENT.engine == "postgresql":
        return
    integrity = daemon.rows("PRAGMA integrity_check")
    if integrity != [("ok",)]:
        yield f"database: {integrity}"
    for table, *_ in daemon.rows("PRAGMA foreign_key_check"):
        yield f"database: a row of {table} refers to nothing"


def acted(panels: Mapping[str, SimulatedPanel]) -> Counter[tuple[str, str, str]]:
    """How often each order may have been acted on, by panel, kind and order."""
    return Counter(
        (name, kind, order)
        for name, panel in panels.items()
        for kind in KINDS
        for entry in panel.journal.requests(kind)
        if may_have_acted(entry)
        for order in ids_of(entry)
    )


def ids_of(entry: JournalEntry) -> list[str]:
    """The orders, or refills, that a request named."""
    for name in ("orders", "refills", "order", "refill"):
        if name in entry.parameters:
            return [text for text in entry.parameters[name].replace(" ", "").split(",") if text]
    return []

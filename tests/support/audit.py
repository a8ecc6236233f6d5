"""What must hold between the panels' journals and the database, whatever happened before."""

import json
from collections import Counter
from collections.abc import Iterator

from tests.support.process import DaemonProcess
from watcher.simulator import SimulatedPanel

_ACTIONS = """
SELECT actions.kind, actions.state, actions.order_id, count(*) FROM actions
JOIN panels ON panels.id = actions.panel WHERE panels.name = '{}'
GROUP BY 1, 2, 3
"""


def violations(
    daemon: DaemonProcess, panels: dict[str, SimulatedPanel], tracked: dict[str, set[int]]
) -> list[str]:
    """Every breach of the invariants, in words; none is what is wanted."""
    found = []
    for name, panel in panels.items():
        found += _lost_orders(daemon, name, tracked[name])
        found += _double_or_unrecorded(daemon, name, panel)
    found += _broken_histories(daemon)
    integrity = daemon.rows("PRAGMA integrity_check")
    if integrity != [("ok",)]:
        found.append(f"database: {integrity}")
    return found


def _lost_orders(daemon: DaemonProcess, panel: str, tracked: set[int]) -> Iterator[str]:
    rows = daemon.rows(
        "SELECT order_id FROM orders JOIN order_states USING (key)"
        f" JOIN panels ON panels.id = orders.panel WHERE panels.name = '{panel}'"
    )
    for order in tracked - {int(row[0]) for row in rows}:
        yield f"{panel}: order {order} is lost"


def _double_or_unrecorded(daemon: DaemonProcess, name: str, panel: SimulatedPanel) -> Iterator[str]:
    """What arrived at the panel is at most what the log says was sent."""
    for kind in ("refill", "cancel"):
        sent: Counter[int] = Counter()
        for logged_kind, state, order, count in daemon.rows(_ACTIONS.format(name)):
            if logged_kind == kind and state in ("sending", "accepted", "rejected", "unresolved"):
                sent[int(order)] += count
        for order, arrived in panel.journal.sent(kind).items():
            if arrived > sent[order]:
                yield f"{name}: {kind} of {order} arrived {arrived} times, {sent[order]} on record"
        accepted = Counter(
            {
                int(order): count
                for logged_kind, state, order, count in daemon.rows(_ACTIONS.format(name))
                if logged_kind == kind and state == "accepted"
            }
        )
        for order, count in accepted.items():
            if count > panel.journal.carried_out(kind)[order]:
                yield f"{name}: {kind} of {order} is accepted, the panel knows nothing of it"


def _broken_histories(daemon: DaemonProcess) -> Iterator[str]:
    """Each change starts from where the one before ended, and the last is the order's state."""
    last: dict[tuple[int, str], object] = {}
    for key, changes in daemon.rows("SELECT key, changes FROM history ORDER BY id"):
        for field, (old, new) in json.loads(changes).items():
            before = last.get((key, field), old)
            if before != old:
                yield f"order {key}: {field} went to {before}, the next change is from {old}"
            last[key, field] = new
    for key, status, remains in daemon.rows("SELECT key, status, remains FROM order_states"):
        if last.get((key, "status"), "unknown") != status:
            yield f"order {key}: its status is {status}, its history ends otherwise"
        if last.get((key, "remains")) != remains:
            yield f"order {key}: its remains is {remains}, its history ends otherwise"

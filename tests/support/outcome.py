"""What must be true once nothing has been wrong for a while."""

from collections.abc import Iterator
from itertools import chain

from prometheus_client import generate_latest

from tests.support.audit import Rows, ids_of
from watcher.app import Daemon
from watcher.simulator import SimulatedPanel
from watcher.simulator.orders import FINAL

_UNRESOLVED = """
SELECT panels.name, kind, count(*) FROM actions JOIN panels ON panels.id = actions.panel
WHERE state = 'unresolved' GROUP BY 1, 2
"""


def unreported(daemon: Daemon, database: Rows) -> Iterator[str]:
    """Unresolved actions that the metric does not tell of."""
    text = generate_latest(daemon.metrics.registry).decode()
    for panel, kind, count in database.rows(_UNRESOLVED):
        series = f'watcher_actions_unresolved{{action="{kind}",panel="{panel}"}} {float(count)}'
        other = f'watcher_actions_unresolved{{panel="{panel}",action="{kind}"}} {float(count)}'
        if series not in text and other not in text:
            yield f"{panel}: {count} unresolved {kind}s, which the metric does not tell"


def wrong_at_the_end(
    database: Rows, name: str, panel: SimulatedPanel, late: float
) -> Iterator[str]:
    """`late`: the seconds after which whatever happened at the panel has to be known."""
    return chain(_starved(database, name, panel, late), _untrue(database, name, panel, late))


def _starved(database: Rows, name: str, panel: SimulatedPanel, late: float) -> Iterator[str]:
    asked: dict[str, float] = {}
    for entry in panel.journal.requests("status"):
        asked.update(dict.fromkeys(ids_of(entry), entry.time))
    for order, _ in _watched(database, name, panel, "open"):
        waited = panel.now() - asked.get(str(order), float("-inf"))
        if waited > late:
            yield f"{name}: open order {order} was last asked about {waited:.0f} s ago"


def _untrue(database: Rows, name: str, panel: SimulatedPanel, late: float) -> Iterator[str]:
    """What ended at the panel some time ago has ended here, unless by a word that nobody knows."""
    then = panel.now() - late
    for order, status in _watched(database, name, panel, "open"):
        if status == "unknown":
            continue
        if panel.world.knows(order, then) and panel.world.status(order, then).status in FINAL:
            yield f"{name}: order {order} ended long ago, here it is {status}"
    rows = database.rows(
        "SELECT refill_id, status FROM refills JOIN panels ON panels.id = refills.panel"
        f" WHERE panels.name = '{name}' AND finished_at IS NULL"
    )
    for refill, status in rows:
        if panel.world.knows_refill(int(refill)) and panel.world.refill_status(
            int(refill), then
        ) not in ("Pending", "In progress"):
            yield f"{name}: refill {refill} ended long ago, here it is {status}"


def _watched(
    database: Rows, name: str, panel: SimulatedPanel, phase: str
) -> Iterator[tuple[int, str]]:
    rows = database.rows(
        "SELECT order_id, status FROM orders JOIN order_states USING (key)"
        f" JOIN panels ON panels.id = orders.panel WHERE panels.name = '{name}'"
        f" AND phase = '{phase}'"
    )
    for order, status in rows:
        if panel.world.knows(int(order), panel.now()):
            yield int(order), status

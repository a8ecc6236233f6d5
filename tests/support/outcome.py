"""What must be true once nothing has been wrong for two rounds of checks."""

from collections.abc import Iterator

from tests.support.audit import Rows, ids_of
from tests.support.series import text
from watcher.app import Daemon
from watcher.simulator import SimulatedPanel, Trait
from watcher.simulator.sim_orders import CANCELED, PENDING, PROCESSING, OrderRow

SLACK = 120.0  # seconds that a check of a refill may come late

_UNRESOLVED = """
SELECT panels.name, kind, count(*) FROM actions JOIN panels ON panels.id = actions.panel
WHERE state = 'unresolved' GROUP BY 1, 2
"""
_ORDERS = """
SELECT order_id, phase, status, remains FROM orders JOIN order_states USING (key)
JOIN panels ON panels.id = orders.panel WHERE panels.name = '{}'
"""
_FOLLOWED = """
SELECT refill_id, status FROM refills JOIN panels ON panels.id = refills.panel
WHERE panels.name = '{}' AND finished_at IS NULL
"""
# What else a panel's words may mean to us; "Expired" is said of subscriptions that are over.
_MEANS: dict[Trait, dict[str, set[str]]] = {
    Trait.STATUS_SYNONYMS: {PROCESSING: {"in_progress"}, CANCELED: {"refunded", "failed"}},
    Trait.STATUS_SUBSCRIPTION: {PENDING: {"in_progress"}, CANCELED: {"completed"}},
}
# Of panels with one of these, `remains` is not what the world has.
_OTHER_REMAINS = frozenset(
    {
        Trait.NULL_REMAINS,
        Trait.EMPTY_REMAINS,
        Trait.NEGATIVE_REMAINS,
        Trait.REMAINS_ABOVE_QUANTITY,
        Trait.PARTIAL_WITHOUT_REMAINS,
    }
)


def unreported(daemon: Daemon, database: Rows) -> Iterator[str]:
    """Unresolved actions that the metric does not tell of."""
    told = text(daemon.metrics)
    for panel, kind, count in database.rows(_UNRESOLVED):
        series = f'watcher_actions_unresolved{{action="{kind}",panel="{panel}"}} {float(count)}'
        other = f'watcher_actions_unresolved{{panel="{panel}",action="{kind}"}} {float(count)}'
        if series not in told and other not in told:
            yield f"{panel}: {count} unresolved {kind}s, which the metric does not tell"


def other_orders(
    database: Rows, name: str, panel: SimulatedPanel, since: float, blur: float = 0.0
) -> Iterator[str]:
    """Orders that were not asked about since then, or are not what the panel said of them last.

    Times are the world's. `blur` is how long after a request its answer may have been made.
    """
    yield from not_asked(database, name, panel, since)
    asked = _last_asked(panel)
    tells_remains = not any(panel.switches.is_on(trait) for trait in _OTHER_REMAINS)
    words = [means for trait, means in _MEANS.items() if panel.switches.is_on(trait)]
    for order, phase, *state in database.rows(_ORDERS.format(name)):
        at = asked.get(order)
        # Not those that the panel never had, nor those with a word that nobody knows.
        if at is not None and panel.world.knows(int(order), at) and state[0] != "unknown":
            truths = [panel.world.status(int(order), at + late) for late in (0.0, blur)]
            told = tells_remains and phase == "open" and not blur
            if not any(_fits(state, truth, told, words) for truth in truths):
                yield f"{name}: order {order} is {state} here, the panel said {truths[0]}"


def not_asked(database: Rows, name: str, panel: SimulatedPanel, since: float) -> list[str]:
    """Open orders that were there by then, and were not asked about since."""
    asked = _last_asked(panel)
    return [
        f"{name}: open order {order} was last asked about at {asked.get(order)}, not since {since}"
        for order, phase, *_ in database.rows(_ORDERS.format(name))
        if phase == "open"
        and panel.world.knows(int(order), since)
        and asked.get(order, float("-inf")) < since
    ]


def _fits(
    state: list[object], truth: object, tells_remains: bool, words: list[dict[str, set[str]]]
) -> bool:
    status, remains = state
    if not isinstance(truth, OrderRow):  # a subscription: its words are other ones
        return True
    means = {truth.status.lower().replace(" ", "_")}
    means.update(*(said.get(truth.status, ()) for said in words))
    return status in means and (not tells_remains or truth.remains == remains)


def late_refills(
    database: Rows, name: str, panel: SimulatedPanel, within: float, each: float = 0.0
) -> Iterator[str]:
    """Refills that ended at the panel longer than `within` ago, and run on here.

    `each` is the seconds of the panel's pace that asking about one takes, where each has a request
    of its own, and checks of orders go in between.
    """
    followed = database.rows(_FOLLOWED.format(name))
    wait = within + SLACK + 2 * each * len(followed)
    for refill, status in followed:
        if panel.world.knows_refill(int(refill)):
            truth = panel.world.refill_status(int(refill), panel.now() - wait)
            if truth not in ("Pending", "In progress"):
                yield f"{name}: refill {refill} ended long ago, here it is {status}"


def _last_asked(panel: SimulatedPanel) -> dict[str, float]:
    asked: dict[str, float] = {}
    for entry in panel.journal.requests("status"):
        asked.update(dict.fromkeys(ids_of(entry), entry.time))
    return asked

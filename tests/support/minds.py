"""What a daemon has in mind against what it has on record: they must say the same.

Holds while nothing is under way and the database can be written.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from tests.support.audit import Rows
from watcher.app import Daemon
from watcher.model import Kind

_SAME = "status status_text currency start_count remains count phase finished_at problem refills"
_ORDERS = f"""
SELECT panels.name, orders.order_id, {", ".join(f"order_states.{name}" for name in _SAME.split())}
FROM orders JOIN order_states USING (key)
JOIN panels ON panels.id = orders.panel WHERE phase <> 'closed'
"""
_UNSETTLED = """
SELECT panels.name, actions.id, kind, state, order_id FROM actions
JOIN panels ON panels.id = actions.panel WHERE state IN ('planned', 'sending', 'unresolved')
"""
_OPEN_REFILLS = """
SELECT panels.name, refill_id, order_id, status
FROM refills JOIN panels ON panels.id = refills.panel
WHERE status IN ('pending', 'in_progress', 'unknown', 'not_found')
"""
_CANCELS = """
SELECT DISTINCT panels.name, actions.order_id FROM actions
JOIN panels ON panels.id = actions.panel
JOIN orders ON orders.panel = actions.panel AND orders.order_id = actions.order_id
JOIN order_states USING (key)
WHERE kind = 'cancel' AND state = 'accepted' AND phase <> 'closed'
"""


def differences(daemon: Daemon, database: Rows) -> list[str]:
    """Every difference, in words."""
    return [
        *_watchlist(daemon, database),
        *_counts(daemon),
        *_queues(daemon, database),
        *_unsettled(daemon, database),
        *_refills(daemon, database),
        *_cancels(daemon, database),
    ]


def _watchlist(daemon: Daemon, database: Rows) -> Iterator[str]:
    stored = {
        (panel, order): dict(zip(_SAME.split(), state, strict=True))
        for panel, order, *state in database.rows(_ORDERS)
        if panel in daemon.panel_workers
    }
    in_watchlist = {(order.panel, order.id): order for order in daemon.watchlist.orders()}
    if daemon.core.registry.loaded.is_set():
        yield from _missing("the watchlist lacks order", stored.keys() - in_watchlist.keys())
    yield from _missing("the database does not watch order", in_watchlist.keys() - stored.keys())
    for key in stored.keys() & in_watchlist.keys():
        for field in _SAME.split():
            on_record, in_mind = stored[key][field], getattr(in_watchlist[key], field)
            if on_record != in_mind:
                yield f"order {key}: {field} is {on_record} on record, {in_mind} in the watchlist"


def _counts(daemon: Daemon) -> Iterator[str]:
    real = Counter((order.panel, order.status) for order in daemon.watchlist.orders())
    told = {key: count for key, count in daemon.watchlist.counts.items() if count}
    if told != real:
        yield f"the watchlist counts {told}, it holds {dict(real)}"


def _queues(daemon: Daemon, database: Rows) -> Iterator[str]:
    planned: dict[str, Counter[str]] = defaultdict(Counter)
    for panel, _, kind, state, _ in database.rows(_UNSETTLED):
        planned[panel][kind] += state == "planned"
    if daemon.core.outcomes._waiting:
        yield f"{len(daemon.core.outcomes._waiting)} outcomes are not on record"
    for name, workers in daemon.panel_workers.items():
        counted = {kind.value: workers.sender.pending(kind) for kind in Kind}
        knows = workers.sender._is_counted and name not in daemon.core.mailboxes._planned
        if knows and any(counted[kind] != planned[name][kind] for kind in counted):
            yield f"{name}: planned are {dict(planned[name])}, counted are {counted}"


def _unsettled(daemon: Daemon, database: Rows) -> Iterator[str]:
    open_actions: dict[tuple[str, str], set[Kind]] = defaultdict(set)
    unresolved = {}
    for panel, number, kind, state, order in database.rows(_UNSETTLED):
        if state == "unresolved":
            unresolved[number] = (panel, Kind(kind))
        if order is not None:
            open_actions[panel, order].add(Kind(kind))
    if daemon.rule_engine.unresolved != unresolved:
        yield f"unresolved are {unresolved}, the rule engine knows {daemon.rule_engine.unresolved}"
    known = {key: set(kinds) for key, kinds in daemon.rule_engine._open_actions.items()}
    for key in known.keys() | open_actions.keys():
        if known.get(key, set()) != open_actions.get(key, set()):
            told, real = known.get(key), open_actions.get(key)
            yield f"order {key}: open are {real}, the rule engine knows {told}"


def _refills(daemon: Daemon, database: Rows) -> Iterator[str]:
    rows = [row for row in database.rows(_OPEN_REFILLS) if row[0] in daemon.panel_workers]
    is_open = {(panel, refill): order for panel, refill, order, _ in rows}
    followed = {
        (name, refill): task.order
        for name, workers in daemon.panel_workers.items()
        for refill, task in workers.refills._refills.items()
    }
    left = [refill for some in daemon.core.mailboxes._refills.values() for refill in some]
    followed |= {(refill.panel, refill.id): refill.order for refill in left}
    yield from _missing("nothing follows refill", is_open.keys() - followed.keys())
    yield from _missing("followed though over is refill", followed.keys() - is_open.keys())
    for panel, refill, order, status in rows:
        tells = daemon.panel_workers[panel].gateway.client.limit("refill_status") > 0
        runs = tells and status != "not_found"
        if runs != (refill in daemon.rule_engine._refills_running.get((panel, order), ())):
            yield f"{panel}: refill {refill} of {order} is {status}: the rule engine differs"


def _cancels(daemon: Daemon, database: Rows) -> Iterator[str]:
    accepted = {(panel, order) for panel, order in database.rows(_CANCELS)}
    unknown = accepted - daemon.rule_engine._cancels_accepted
    yield from _missing("the rule engine does not know of the accepted cancel of", unknown)


def _missing(words: str, keys: Collection[Any]) -> Iterator[str]:
    for key in sorted(keys):
        yield f"{words} {key}"

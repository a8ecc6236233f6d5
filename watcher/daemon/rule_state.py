"""Loads the rules' state from the database: at a start, and when this node gets panels."""

from collections.abc import Collection

from watcher.model import Kind
from watcher.rules.brake import BRAKE_WINDOW
from watcher.rules.engine import RuleEngine
from watcher.store import Store


async def load_rule_state(
    store: Store, rule_engine: RuleEngine, now: float, panels: Collection[str] | None = None
) -> None:
    """Load stored firings, actions, balances and prices of the panels into the rule engine.

    None are all panels, also those that are not configured now.
    """
    rule_engine.remember_past(await store.firings.counts(panels))
    rule_engine.remember(await store.firings.since(now - BRAKE_WINDOW, panels), now)
    for action in await store.actions.unsettled(panels):
        rule_engine.note_action(action)
    for kind, panel, order in await store.actions.last_accepted(panels):
        if kind is Kind.CANCEL:
            rule_engine.note_cancel(panel, order)
    for panel, (_, balance) in (await store.balances.latest()).items():
        if panels is None or panel in panels:
            rule_engine.balances[panel] = balance
    for stored in await store.services.all(panels):
        rule_engine.know_service(stored.panel, stored.service, stored.refill_disabled_text)

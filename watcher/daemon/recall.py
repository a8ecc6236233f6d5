"""Reads what the rules must know of the past, at a start."""

from watcher.model import Kind
from watcher.rules.brake import BRAKE_WINDOW
from watcher.rules.engine import RuleEngine
from watcher.store import Store


async def recall(store: Store, rule_engine: RuleEngine, now: float) -> None:
    """Load stored firings, actions, balances and prices into the rule engine."""
    rule_engine.remember_past(await store.firings.counts())
    rule_engine.remember(await store.firings.since(now - BRAKE_WINDOW), now)
    for action in await store.actions.unsettled():
        rule_engine.note_action(action)
    for kind, panel, order in await store.actions.last_accepted():
        if kind is Kind.CANCEL:
            rule_engine.note_cancel(panel, order)
    for panel, (_, balance) in (await store.balances.latest()).items():
        rule_engine.balances[panel] = balance
    for stored in await store.services.all():
        rule_engine.know_service(stored.panel, stored.service, stored.refill_disabled_text)

"""Reads at a start what the rules must know of the past."""

from watcher.brake import BRAKE_WINDOW
from watcher.judge import Judge
from watcher.model import Kind
from watcher.store import Store


async def recall(store: Store, judge: Judge, now: float) -> None:
    """Give the judge the firings, actions, balances and prices that are on record."""
    judge.remember_past(await store.firing_counts())
    judge.remember(await store.firings_since(now - BRAKE_WINDOW), now)
    for action in await store.unsettled():
        judge.note_action(action)
    for kind, panel, order in await store.last_accepted():
        if kind is Kind.CANCEL:
            judge.note_cancel(panel, order)
    for panel, (_, balance) in (await store.latest_balances()).items():
        judge.balances[panel] = balance
    for stored in await store.all_services():
        judge.know_service(stored.panel, stored.service, stored.refill_disabled_text)

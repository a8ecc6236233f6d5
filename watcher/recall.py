"""What the rules must know of the time before a start."""

from watcher.brake import BRAKE_WINDOW
from watcher.judge import Judge
from watcher.model import Kind
from watcher.store import Store


async def recall(store: Store, judge: Judge, now: float) -> None:
    """Tell the judge what the database remembers."""
    judge.remember_past(await store.firings.counts())
    judge.remember(await store.firings.since(now - BRAKE_WINDOW), now)
    for action in await store.actions.unsettled():
        judge.note_action(action)
    for kind, panel, order in await store.actions.last_accepted():
        if kind is Kind.CANCEL:
            judge.note_cancel(panel, order)
    for panel, (_, balance) in (await store.balances.latest()).items():
        judge.balances[panel] = balance
    for stored in await store.services.all():
        judge.know_service(stored.panel, stored.service, stored.refill_disabled_text)

"""What all that changes orders, actions and refills works with."""

import msgspec

from watcher.book import Book
from watcher.clocks import Clock
from watcher.config import ActiveConfig
from watcher.judge import Judge
from watcher.locks import PanelLocks
from watcher.mailboxes import Mailboxes
from watcher.metrics import Metrics
from watcher.schedule import Schedule
from watcher.store import Store
from watcher.turns import Turns


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """One of each: none of them knows who uses it."""

    store: Store
    book: Book
    judge: Judge
    metrics: Metrics
    config: ActiveConfig
    schedule: Schedule
    mailboxes: Mailboxes
    clock: Clock
    locks: PanelLocks = msgspec.field(default_factory=PanelLocks)
    turns: Turns = msgspec.field(default_factory=Turns)

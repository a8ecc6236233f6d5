"""What everything that changes orders, actions and refills works with."""

import msgspec

from watcher.common.clock import Clock
from watcher.common.pauses import ManualPause, Paused
from watcher.common.round_robin import RoundRobin
from watcher.config import ActiveConfig
from watcher.daemon.leadership import Leadership
from watcher.daemon.locks import PanelLocks
from watcher.daemon.mailboxes import Mailboxes
from watcher.daemon.scheduler import Scheduler
from watcher.metrics import Metrics
from watcher.orders.watchlist import Watchlist
from watcher.rules.engine import RuleEngine
from watcher.store import Store


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """One object of each kind; none of them knows its users."""

    store: Store
    watchlist: Watchlist
    rule_engine: RuleEngine
    metrics: Metrics
    config: ActiveConfig
    schedule: Scheduler
    mailboxes: Mailboxes
    clock: Clock
    leadership: Leadership
    pauses: dict[tuple[Paused, str], ManualPause] = {}  # only `Pauses` changes it
    locks: PanelLocks = msgspec.field(default_factory=PanelLocks)
    round_robin: RoundRobin = msgspec.field(default_factory=RoundRobin)

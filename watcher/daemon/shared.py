"""The objects that everything which changes orders, actions and refills shares."""

import msgspec

from watcher.common.clock import Clock
from watcher.common.pauses import ManualPause, Paused
from watcher.common.round_robin import RoundRobin
from watcher.config import ActiveConfig
from watcher.daemon.leadership import Leadership
from watcher.daemon.locks import PanelLocks
from watcher.daemon.mailboxes import Mailboxes
from watcher.daemon.task_runner import TaskRunner
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
    schedule: TaskRunner
    mailboxes: Mailboxes
    clock: Clock
    leadership: Leadership
    pauses: dict[tuple[Paused, str], ManualPause] = {}  # only `Pauses` changes it
    locks: PanelLocks = msgspec.field(default_factory=PanelLocks)
    round_robin: RoundRobin = msgspec.field(default_factory=RoundRobin)

    def check_led(self, panel: str) -> None:
        """Raise NotLed unless this node leads the panel and has opened it.

        Of a panel that is not configured any more, any node may settle what is left.
        """
        if self.config.panel(panel) is not None:
            self.leadership.check_leads(panel, is_open=panel in self.watchlist)

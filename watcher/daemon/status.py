"""The daemon's state at a glance, for the metrics, the API and the page.

What takes a walk through all orders is counted now and then, not at every scrape.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from watcher.daemon.panel_workers import PanelWorkers
from watcher.metrics.state import DaemonState, PanelState, RuleState
from watcher.model import Kind, Phase, Status
from watcher.orders.panel_counts import PanelCounts, count
from watcher.orders.watchlist import Watchlist
from watcher.rules.engine import RuleEngine
from watcher.store import Store

log = structlog.get_logger()

CENSUS_EVERY = 10.0
_SHARE = 50.0  # but never more than a fiftieth of the time is spent on it


class DaemonStatus:
    """Gathers what the others know."""

    def __init__(
        self,
        *,
        store: Store,
        watchlist: Watchlist,
        rule_engine: RuleEngine,
        panel_workers: Mapping[str, PanelWorkers],
        clock: Callable[[], float],
        revision: str,
    ) -> None:
        self._store = store
        self._watchlist = watchlist
        self._rule_engine = rule_engine
        self._panel_workers = panel_workers
        self._clock = clock
        self._revision = revision
        self._panel_counts: dict[str, PanelCounts] = {}
        self._sizes = (0, 0)
        self._short: set[str] = set()  # panels whose budget is too small for `check_within`
        self.reload_ok = True
        self.reload_at = 0.0
        self.backup_at = 0.0
        self.integrity_ok = True
        self.files_problem: str | None = None  # a file of the database that was removed or replaced
        self.queued: Callable[[], Mapping[str, int]] = dict  # messages that wait, by target
        self.behind: Callable[[], Mapping[str, int]] = dict  # events that wait, by target

    async def run_once(self, now: float) -> float:
        """Count slice by slice, letting others run in between; returns when to come again."""
        began, spent = self._clock(), 0.0
        panel_counts: dict[str, PanelCounts] = {}
        for name, workers in list(self._panel_workers.items()):
            stalled_after = workers.config.settings.stalled_after
            for so_far in count(self._watchlist.panel(name).poll_queue, now, stalled_after):
                panel_counts[name] = so_far
                spent += self._clock() - began
                await asyncio.sleep(0)
                began = self._clock()
        self._panel_counts = panel_counts
        self._tell_short()
        self._sizes = self._store.sizes()
        return now + max(CENSUS_EVERY, _SHARE * spent)

    def _tell_short(self) -> None:
        """Log where the budget stops, or begins again, to suffice for `check_within`."""
        for name in self._panel_workers:
            poll_queue = self._watchlist.panel(name).poll_queue
            cap = poll_queue.cap(Phase.OPEN)
            is_short = cap > poll_queue.within
            if is_short and name not in self._short:
                log.warning("panel.budget_short", panel=name, check_within=round(cap))
            elif not is_short and name in self._short:
                log.info("panel.budget_suffices", panel=name)
            (self._short.add if is_short else self._short.discard)(name)

    def panel_counts(self, panel: str) -> PanelCounts:
        """The panel's counts, some seconds old."""
        return self._panel_counts.get(panel, PanelCounts())

    def orders(self) -> int:
        """All that are watched."""
        return sum(self._watchlist.counts.values())

    def state(self) -> DaemonState:
        """What a scrape tells."""
        return DaemonState(
            revision=self._revision,
            reload_ok=self.reload_ok,
            reload_at=self.reload_at,
            backup_at=self.backup_at,
            integrity_ok=self.integrity_ok,
            files_ok=self.files_problem is None,
            db_bytes=self._sizes[0],
            wal_bytes=self._sizes[1],
            queued={"log": 0, **self.queued()},
            behind=dict(self.behind()),
            panels=self.panels(),
            rules=[
                RuleState(
                    rule.name,
                    self._rule_engine.evaluations[rule.name],
                    self._rule_engine.firings[rule.name],
                    self._rule_engine.failures[rule.name],
                )
                for rule in self._rule_engine.rules
            ],
        )

    def panels(self) -> list[PanelState]:
        """Every panel's state."""
        unresolved = Counter(self._rule_engine.unresolved.values())
        return [self._panel(workers, unresolved) for workers in self._panel_workers.values()]

    def panel(self, workers: PanelWorkers) -> PanelState:
        """One panel's state."""
        return self._panel(workers, Counter(self._rule_engine.unresolved.values()))

    def _panel(self, workers: PanelWorkers, unresolved: Counter[tuple[str, Kind]]) -> PanelState:
        name, line, settings = workers.name, workers.gateway, workers.config.settings
        panel_counts = self.panel_counts(name)
        balance = self._rule_engine.balances.get(name)
        threshold = settings.low_balance
        return PanelState(
            name=name,
            up=line.health.is_up and line.last_success > 0,
            health=line.health.state,
            faults=line.health.faults,
            problem=line.problem,
            last_success=line.last_success,
            poll_interval=60.0 / line.pace.rate.per_minute,
            backoff_until=line.paused_until(self._clock()) or 0.0,
            due=panel_counts.due,
            oldest_due=panel_counts.oldest_due or 0.0,
            oldest_open=panel_counts.oldest_open or 0.0,
            stalled=panel_counts.stalled,
            statuses={status: self._watchlist.counts[name, status] for status in Status},
            pending={kind: workers.sender.pending(kind) for kind in Kind},
            unresolved={kind: unresolved[name, kind] for kind in Kind},
            balance=None if balance is None else float(balance.amount),
            currency="" if balance is None else balance.currency,
            threshold=None if threshold is None else float(threshold),
            balance_at=workers.account_sync.balance_at,
        )

"""The daemon's state at a moment, for the metrics, the API and the page, and what needs a person.

Counting reads all orders: it is done at intervals, not at every scrape.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import msgspec
import structlog

from watcher.common.pauses import Paused
from watcher.daemon.attention import is_low, listed
from watcher.daemon.attention_items import Attention
from watcher.daemon.attention_kinds import MEANINGS, OF_A_CLUSTER, Issue
from watcher.daemon.backups import Backups
from watcher.daemon.cluster_status import TOLD_EVERY, ClusterStatus, gauges_of
from watcher.daemon.health import DaemonHealth
from watcher.daemon.panel_states import panel_state
from watcher.daemon.panel_workers import PanelWorkers
from watcher.daemon.shared import Shared
from watcher.errors import StoreError
from watcher.metrics.cluster_gauges import ClusterState
from watcher.metrics.gauges import DaemonState, Gauge, PanelState, ReceiverState, RuleState
from watcher.model import Kind
from watcher.orders.panel_counts import PanelCounts, count
from watcher.rules.rule import Rule
from watcher.store import Spent

log = structlog.get_logger()

CENSUS_EVERY = 10.0
_SHARE = 50.0  # at most a fiftieth of the time is spent on counting
_SIZES_FOR = 60.0  # seconds between two looks at the database's size
_SPENT_FOR = 300.0  # seconds between two readings of the spending

Unresolved = Counter[tuple[str, Kind]]


class Receiver(Protocol):
    """A target of [[notify]] or [[events]]."""

    def state(self) -> ReceiverState:
        """Return how much waits for it, and whether the last attempt failed."""
        ...


class DaemonStatus:
    """Collects figures from their owners. `notify_workers` and `feeds` are by target."""

    def __init__(
        self,
        *,
        shared: Shared,
        panel_workers: Mapping[str, PanelWorkers],
        backups: Backups,
        health: DaemonHealth,
        notify_workers: Mapping[str, Receiver],
        feeds: Mapping[str, Receiver],
        revision: str,
    ) -> None:
        self._store, self._watchlist = shared.store, shared.watchlist
        self._rule_engine, self._config = shared.rule_engine, shared.config
        self._leadership, self._cluster = shared.leadership, ClusterStatus(shared)
        self._panel_workers = panel_workers
        self._backups = backups
        self._health = health
        self._notify_workers = notify_workers
        self._feeds = feeds
        self._clock, self._pauses = shared.clock, shared.pauses
        self._revision = revision
        self._started_at = shared.clock()
        self._panel_counts: dict[str, PanelCounts] = {}
        self._sizes, self._sized_at = (0, 0), 0.0
        self._archived_at: float | None = None
        self._short: set[str] = set()  # panels with too small a budget for `check_within`
        self._dead: Mapping[str, int] = {}  # target -> events that were given up
        self._spent: Mapping[str, Spent] = {}
        self._spent_at = 0.0
        self._low: dict[str, float] = {}  # low balances when `_spent` was read
        self._since: dict[str, float] = {}  # item's key -> since when it has been listed

    async def run_once(self, now: float) -> float:
        """Count slice by slice, so that other tasks run in between; return when to run next."""
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
        with suppress(StoreError):  # the old figures are better than none
            if not 0.0 <= now - self._sized_at < _SIZES_FOR:
                self._archived_at = await self._store.maintenance.wal_archived_at()
                self._sizes, self._sized_at = await self._store.maintenance.sizes(), now
            await self.read_spending(now)
            self._dead = await self._store.events.count_dead() if self._feeds else {}
        self._log_short()
        return now + max(CENSUS_EVERY, _SHARE * spent)

    async def read_spending(self, now: float) -> None:
        """Read each account's spending: every 5 minutes, or when a low balance has changed."""
        low = dict(self._low_balances())
        is_fresh = self._spent_at > 0.0 and 0.0 <= now - self._spent_at < _SPENT_FOR
        if not self._rule_engine.balances or (is_fresh and low.items() <= self._low.items()):
            return
        self._spent = await self._store.balances.spendings(now)
        self._low, self._spent_at = low, now

    def _low_balances(self) -> Iterator[tuple[str, float]]:
        """Yield the panels whose balance is below `low_balance`, with the balance."""
        for name, balance in self._rule_engine.balances.items():
            workers, amount = self._panel_workers.get(name), float(balance.amount)
            limit = workers.config.settings.low_balance if workers else None
            if is_low(amount, None if limit is None else float(limit)):
                yield name, amount

    def _log_short(self) -> None:
        """Log when the budget becomes, or is no longer, too small for `check_within`."""
        state = self._state()
        short = {item.panel for item in self._listed(state) if item.kind is Issue.BUDGET_SHORT}
        for panel in state.panels:
            name, is_short = panel.name, panel.name in short
            if is_short and name not in self._short:
                log.warning(
                    "panel.budget_short", panel=name, check_within=round(panel.longest_wait)
                )
            elif not is_short and name in self._short:
                log.info("panel.budget_suffices", panel=name)
            (self._short.add if is_short else self._short.discard)(name)

    def panel_counts(self, panel: str) -> PanelCounts:
        """Return the panel's counts, some seconds old."""
        return self._panel_counts.get(panel, PanelCounts())

    def orders(self) -> int:
        """Return how many orders are watched."""
        return sum(self._watchlist.counts.values())

    def attention(self) -> list[Attention]:
        """Return what needs a person now, the most urgent first."""
        return self._listed(self._state())

    def state(self) -> DaemonState:
        """Return the daemon's state with all gauges, for a scrape: of the panels that it leads."""
        state = self._state()
        own = [item for item in self._listed(state) if self._is_own(item)]
        gauges = [*self._gauges(own), *(gauges_of(state.cluster) if state.cluster else ())]
        return msgspec.structs.replace(state, panels=self._own_panels(), gauges=gauges)

    def panels(self) -> list[PanelState]:
        """Return every panel's state; of those that other nodes lead, it is some seconds old."""
        own = self._own_panels()
        return self._cluster.panels(own) if self._leadership.is_clustered else own

    async def exchange(self, now: float) -> float:
        """Exchange the panels' states with the other nodes; return when to do so next."""
        await self._cluster.exchange(self._own_panels(), now)
        return now + TOLD_EVERY

    def _own_panels(self) -> list[PanelState]:
        unresolved = Counter(self._rule_engine.unresolved.values())
        return [self._panel(workers, unresolved) for workers in self._panel_workers.values()]

    def panel(self, workers: PanelWorkers) -> PanelState:
        """Return one panel's state."""
        return self._panel(workers, Counter(self._rule_engine.unresolved.values()))

    def cluster(self) -> ClusterState | None:
        """Return the cluster's state, None without one."""
        return self._cluster.state()

    def rules(self) -> list[RuleState]:
        """Return every rule's state, in the configuration's order."""
        now = self._clock()
        return [self._rule(rule, now) for rule in self._rule_engine.rules]

    def _gauges(self, items: Iterable[Attention]) -> Sequence[Gauge]:
        """Return the gauges that are defined only here; a new one is one more entry."""
        now = self._clock()
        paused = {thing for thing, pause in [*self._pauses.items()] if pause.holds(now)}
        counts: dict[tuple[str, ...], float] = {
            (kind.value, meaning.severity.value, ""): 0
            for kind, meaning in MEANINGS.items()
            if self._leadership.is_clustered or kind not in OF_A_CLUSTER
        }
        snoozed: Counter[tuple[str, ...]] = Counter()
        for item in items:
            labels = (item.kind.value, item.severity.value, item.panel or "")
            if item.snooze is not None:
                snoozed[labels] += 1
            else:
                counts[labels] = counts.get(labels, 0) + 1
        panels: dict[tuple[str, ...], float] = {
            (name, what.value): float((what, name) in paused)
            for name in self._panel_workers
            for what in (Paused.READS, Paused.ACTIONS)
        }
        rules: dict[tuple[str, ...], float] = {
            (r.name,): float((Paused.RULE, r.name) in paused) for r in self._rule_engine.rules
        }
        return (
            Gauge(
                "attention",
                "Things that need a person; 0 without a panel where there are none.",
                ("kind", "severity", "panel"),
                counts,
            ),
            Gauge(
                "attention_snoozed",
                "Things that need a person and that somebody has snoozed.",
                ("kind", "severity", "panel"),
                snoozed,
            ),
            Gauge(
                "panel_paused",
                "1 while somebody has paused the panel's reads, or its actions.",
                ("panel", "what"),
                panels,
            ),
            Gauge(
                "db_wal_archived_timestamp_seconds",
                "Unix time when the server last archived its write-ahead log; 0 before the first.",
                (),
                {} if self._archived_at is None else {(): self._archived_at},
            ),
            Gauge("rule_paused", "1 while somebody has paused the rule.", ("rule",), rules),
        )

    def _is_own(self, item: Attention) -> bool:
        """Return whether the item is counted in this node's metrics."""
        is_about_all = item.panel is None or item.kind in OF_A_CLUSTER
        return is_about_all or self._leadership.leads(item.panel or "")

    def _listed(self, state: DaemonState) -> list[Attention]:
        limits = self._config.current.attention
        items = listed(state, limits, self._clock(), self._since)
        self._since = {item.key: item.since for item in items}
        return items

    def _state(self) -> DaemonState:
        now, rule_engine = self._clock(), self._rule_engine
        return DaemonState(
            revision=self._revision,
            engine=self._store.maintenance.engine,
            started_at=rule_engine.time_correction.past(self._started_at, now),
            reload_problems=self._config.problems,
            reload_at=self._config.accepted_at,
            backup_at=self._backups.made_at,
            backup_every=self._backups.every if self._backups.is_needed else math.inf,
            backup_problem=self._backups.problem,
            integrity_ok=self._health.integrity_ok,
            files_problem=self._health.files_problem,
            db_failed_at=self._health.db_failed_at,
            db_bytes=self._sizes[0],
            wal_bytes=self._sizes[1],
            notifiers=[notify_worker.state() for notify_worker in self._notify_workers.values()],
            receivers=[self._receiver(feed.state()) for feed in self._feeds.values()],
            panels=self.panels(),
            rules=self.rules(),
            cluster=self.cluster(),
            pauses=[pause for pause in [*self._pauses.values()] if pause.holds(now)],
        )

    def _receiver(self, state: ReceiverState) -> ReceiverState:
        return msgspec.structs.replace(state, dead=self._dead.get(state.name, 0))

    def _rule(self, rule: Rule, now: float) -> RuleState:
        rule_engine = self._rule_engine
        held = {panel: rule_engine.held_until(rule, panel) for panel in self._panel_workers}
        held |= dict(self._cluster.held(rule.name))
        return RuleState(
            rule.name,
            rule_engine.evaluations[rule.name],
            rule_engine.firings[rule.name],
            rule_engine.failures[rule.name],
            per_hour=rule.per_hour,
            held={panel: until for panel, until in held.items() if until and until > now},
            switched_off=rule_engine.switched_off.get(rule.name),
        )

    def _panel(self, workers: PanelWorkers, unresolved: Unresolved) -> PanelState:
        name, now, rule_engine = workers.name, self._clock(), self._rule_engine
        held = {rule.name: rule_engine.held_until(rule, name) for rule in rule_engine.rules}
        return panel_state(
            workers,
            now=now,
            counts=self.panel_counts(name),
            unresolved=unresolved,
            balance=rule_engine.balances.get(name),
            spent=self._spent.get(name),
            held={rule: until for rule, until in held.items() if until and until > now},
        )

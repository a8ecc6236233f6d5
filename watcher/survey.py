"""The daemon's state at a moment, for the metrics, the API and the page, and what needs a person.

Counting takes a walk through all orders: it is done now and then, not at every scrape.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import msgspec
import structlog

from watcher.attention import Attention, is_low, listed
from watcher.attention_kinds import MEANINGS, Issue
from watcher.backups import Backups
from watcher.book import Book
from watcher.config import ActiveConfig
from watcher.errors import StoreError
from watcher.health import Health
from watcher.judge import Judge
from watcher.metrics.state import DaemonState, Gauge, PanelState, ReceiverState, RuleState
from watcher.model import Kind, Phase, Status
from watcher.rules import Rule
from watcher.shelf import Census
from watcher.station import Station
from watcher.store import Spent, Store

log = structlog.get_logger()

CENSUS_EVERY = 10.0
_SHARE = 50.0  # but never more than a fiftieth of the time is spent on it
_SPENT_FOR = 300.0  # seconds for which what was spent is not counted anew

Unresolved = Counter[tuple[str, Kind]]


class Receiver(Protocol):
    """A target of [[notify]] or [[events]]."""

    def state(self) -> ReceiverState:
        """Return how much waits for it, and whether the last attempt failed."""
        ...


class Survey:
    """Reads its figures from the owners of each fact. `couriers` and `feeds` are by target."""

    def __init__(
        self,
        *,
        store: Store,
        book: Book,
        judge: Judge,
        stations: Mapping[str, Station],
        active: ActiveConfig,
        backups: Backups,
        health: Health,
        couriers: Mapping[str, Receiver],
        feeds: Mapping[str, Receiver],
        clock: Callable[[], float],
        revision: str,
    ) -> None:
        self._store = store
        self._book = book
        self._judge = judge
        self._stations = stations
        self._active = active
        self._backups = backups
        self._health = health
        self._couriers = couriers
        self._feeds = feeds
        self._clock = clock
        self._revision = revision
        self._started_at = clock()
        self._census: dict[str, Census] = {}
        self._sizes = (0, 0)
        self._short: set[str] = set()  # panels whose budget is too small for `check_within`
        self._dead: Mapping[str, int] = {}  # events that were given up, by target
        self._spent: Mapping[str, Spent] = {}
        self._spent_at = 0.0
        self._low: dict[str, float] = {}  # balances that were low when `_spent` was read
        self._since: dict[str, float] = {}  # since when each item of attention has been listed

    async def run_once(self, now: float) -> float:
        """Count slice by slice and let others run in between; returns when to run next."""
        began, spent = self._clock(), 0.0
        census: dict[str, Census] = {}
        for name, station in list(self._stations.items()):
            stalled_after = station.config.settings.stalled_after
            for so_far in self._book.census(name, now, stalled_after):
                census[name] = so_far
                spent += self._clock() - began
                await asyncio.sleep(0)
                began = self._clock()
        self._census = census
        self._sizes = self._store.sizes()
        with suppress(StoreError):  # the old figures are better than none
            await self.read_spending(now)
            self._dead = await self._store.count_dead_events() if self._feeds else {}
        self._tell_short()
        return now + max(CENSUS_EVERY, _SHARE * spent)

    async def read_spending(self, now: float) -> None:
        """Read what left each account: every 5 minutes, or when a low balance has changed."""
        low = {p.name: p.balance or 0.0 for p in self.panels() if is_low(p)}
        is_fresh = self._spent and 0.0 <= now - self._spent_at < _SPENT_FOR
        if is_fresh and low.items() <= self._low.items():
            return
        if self._judge.balances:
            self._spent = await self._store.aside.read(lambda look: look.spendings(now))
        self._low, self._spent_at = low, now

    def _tell_short(self) -> None:
        """Log when the budget stops or begins to suffice for `check_within`."""
        short = {item.panel for item in self.attention() if item.kind is Issue.BUDGET_SHORT}
        for panel in self.panels():
            name, is_short = panel.name, panel.name in short
            if is_short and name not in self._short:
                log.warning(
                    "panel.budget_short", panel=name, check_within=round(panel.longest_wait)
                )
            elif not is_short and name in self._short:
                log.info("panel.budget_suffices", panel=name)
            (self._short.add if is_short else self._short.discard)(name)

    def census(self, panel: str) -> Census:
        """Return the panel's counts, some seconds old."""
        return self._census.get(panel, Census())

    def orders(self) -> int:
        """Return how many orders are watched."""
        return sum(self._book.counts.values())

    def attention(self) -> list[Attention]:
        """Return what needs a person now, the most urgent first."""
        return self._listed(self._state())

    def state(self) -> DaemonState:
        """Return the daemon's state with all gauges, for a scrape."""
        state = self._state()
        return msgspec.structs.replace(state, gauges=self._gauges(self._listed(state)))

    def panels(self) -> list[PanelState]:
        """Return every panel's state."""
        unresolved = Counter(self._judge.unresolved.values())
        return [self._panel(station, unresolved) for station in self._stations.values()]

    def panel(self, station: Station) -> PanelState:
        """Return one panel's state."""
        return self._panel(station, Counter(self._judge.unresolved.values()))

    def rules(self) -> list[RuleState]:
        """Return every rule's state, in the configuration's order."""
        now = self._clock()
        return [self._rule(rule, now) for rule in self._judge.rules]

    def _gauges(self, items: Iterable[Attention]) -> Sequence[Gauge]:
        """Return the gauges that are defined here alone; a new one is one more entry."""
        counts: dict[tuple[str, ...], float] = {
            (kind.value, meaning.severity.value, ""): 0 for kind, meaning in MEANINGS.items()
        }
        for item in items:
            labels = (item.kind.value, item.severity.value, item.panel or "")
            counts[labels] = counts.get(labels, 0) + 1
        return (
            Gauge(
                "attention",
                "Things that need a person; 0 without a panel where there are none.",
                ("kind", "severity", "panel"),
                counts,
            ),
        )

    def _listed(self, state: DaemonState) -> list[Attention]:
        limits = self._active.config.attention
        items = listed(state, limits, self._clock(), self._since)
        self._since = {item.key: item.since for item in items}
        return items

    def _state(self) -> DaemonState:
        now, judge = self._clock(), self._judge
        return DaemonState(
            revision=self._revision,
            started_at=judge.hindsight.past(self._started_at, now),
            reload_problems=self._active.problems,
            reload_at=self._active.accepted_at,
            backup_at=self._backups.made_at,
            backup_every=self._backups.every,
            backup_problem=self._backups.problem,
            integrity_ok=self._health.integrity_ok,
            files_problem=self._health.files_problem,
            db_failed_at=self._health.db_failed_at,
            db_bytes=self._sizes[0],
            wal_bytes=self._sizes[1],
            notifiers=[courier.state() for courier in self._couriers.values()],
            receivers=[self._receiver(feed.state()) for feed in self._feeds.values()],
            panels=self.panels(),
            rules=self.rules(),
        )

    def _receiver(self, state: ReceiverState) -> ReceiverState:
        return msgspec.structs.replace(state, dead=self._dead.get(state.name, 0))

    def _rule(self, rule: Rule, now: float) -> RuleState:
        judge = self._judge
        held = {panel: judge.held_until(rule, panel) for panel in self._stations}
        return RuleState(
            rule.name,
            judge.evaluations[rule.name],
            judge.firings[rule.name],
            judge.failures[rule.name],
            per_hour=rule.per_hour,
            held={panel: until for panel, until in held.items() if until and until > now},
            switched_off=judge.switched_off.get(rule.name),
        )

    def _panel(self, station: Station, unresolved: Unresolved) -> PanelState:
        name, line, settings = station.name, station.line, station.config.settings
        census, agenda = self.census(name), self._book.agenda(name)
        balance, spent = self._judge.balances.get(name), self._spent.get(name)
        amount = None if balance is None else float(balance.amount)
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
            due=census.due,
            oldest_due=census.oldest_due or 0.0,
            oldest_open=census.oldest_open or 0.0,
            stalled=census.stalled,
            check_within=settings.check_within,
            longest_wait=agenda.cap(Phase.OPEN) if agenda else 0.0,
            statuses={status: self._book.counts[name, status] for status in Status},
            pending={kind: station.worker.pending(kind) for kind in Kind},
            unresolved={kind: unresolved[name, kind] for kind in Kind},
            balance=amount,
            currency="" if balance is None else balance.currency,
            threshold=None if threshold is None else float(threshold),
            balance_at=station.upkeep.balance_at,
            balance_every=settings.balance_every if station.config.profile.can("balance") else None,
            spent=spent.amount if spent else None,
            lasts=spent.lasts(amount) if spent and amount is not None else None,
        )

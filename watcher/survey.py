"""The daemon's state at a glance, for the metrics, the API and the page.

What takes a walk through all orders is counted now and then, not at every scrape.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from watcher.backups import Backups
from watcher.book import Book
from watcher.clocks import Clock
from watcher.judge import Judge
from watcher.metrics.state import DaemonState, PanelState, RuleState
from watcher.model import Kind, Phase, Status
from watcher.shelf import Census
from watcher.station import Station
from watcher.store import Store

log = structlog.get_logger()

CENSUS_EVERY = 10.0
_SHARE = 50.0  # but never more than a fiftieth of the time is spent on it


class Survey:
    """Gathers what the others know."""

    def __init__(
        self,
        *,
        store: Store,
        book: Book,
        judge: Judge,
        stations: Mapping[str, Station],
        backups: Backups,
        clock: Clock,
        revision: str,
    ) -> None:
        self._store = store
        self._book = book
        self._judge = judge
        self._stations = stations
        self._backups = backups
        self._clock = clock
        self._revision = revision
        self._census: dict[str, Census] = {}
        self._sizes = (0, 0)
        self._short: set[str] = set()  # panels whose budget is too small for `check_within`
        self.reload_ok = True
        self.reload_at = 0.0
        self.integrity_ok = True
        self.files_problem: str | None = None  # a file of the database that was removed or replaced
        self.queued: Callable[[], Mapping[str, int]] = dict  # messages that wait, by target
        self.behind: Callable[[], Mapping[str, int]] = dict  # events that wait, by target

    @property
    def backup_at(self) -> float:
        """When the last backup was made, 0 where none is known."""
        return self._backups.made_at

    async def run_once(self, now: float) -> float:
        """Count slice by slice, letting others run in between; returns when to come again."""
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
        self._tell_short()
        self._sizes = self._store.sizes()
        return now + max(CENSUS_EVERY, _SHARE * spent)

    def _tell_short(self) -> None:
        """Log where the budget stops, or begins again, to suffice for `check_within`."""
        for name in self._stations:
            agenda = self._book.agenda(name)
            cap = agenda.cap(Phase.OPEN) if agenda else 0.0
            is_short = agenda is not None and cap > agenda.within
            if is_short and name not in self._short:
                log.warning("panel.budget_short", panel=name, check_within=round(cap))
            elif not is_short and name in self._short:
                log.info("panel.budget_suffices", panel=name)
            (self._short.add if is_short else self._short.discard)(name)

    def census(self, panel: str) -> Census:
        """The panel's counts, some seconds old."""
        return self._census.get(panel, Census())

    def orders(self) -> int:
        """All that are watched."""
        return sum(self._book.counts.values())

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
                    self._judge.evaluations[rule.name],
                    self._judge.firings[rule.name],
                    self._judge.failures[rule.name],
                )
                for rule in self._judge.rules
            ],
        )

    def panels(self) -> list[PanelState]:
        """Every panel's state."""
        unresolved = Counter(self._judge.unresolved.values())
        return [self._panel(station, unresolved) for station in self._stations.values()]

    def panel(self, station: Station) -> PanelState:
        """One panel's state."""
        return self._panel(station, Counter(self._judge.unresolved.values()))

    def _panel(self, station: Station, unresolved: Counter[tuple[str, Kind]]) -> PanelState:
        name, line, settings = station.name, station.line, station.config.settings
        census = self.census(name)
        balance = self._judge.balances.get(name)
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
            statuses={status: self._book.counts[name, status] for status in Status},
            pending={kind: station.worker.pending(kind) for kind in Kind},
            unresolved={kind: unresolved[name, kind] for kind in Kind},
            balance=None if balance is None else float(balance.amount),
            currency="" if balance is None else balance.currency,
            threshold=None if threshold is None else float(threshold),
            balance_at=station.upkeep.balance_at,
        )

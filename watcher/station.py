"""The workers of one panel, and what builds them."""

from functools import partial
from random import Random

import msgspec

from watcher.actions import ActionWorker
from watcher.book import Book
from watcher.cadence import Agenda
from watcher.config import PanelConfig
from watcher.ledger import Ledger
from watcher.metrics import REQUESTS
from watcher.model import Kind
from watcher.outcomes import Outcomes
from watcher.panels.breaker import Breaker
from watcher.panels.client import PanelClient
from watcher.panels.health import SERVICES
from watcher.panels.limits import Pace
from watcher.panels.line import Line
from watcher.panels.rate import Rate, start_of
from watcher.panels.unread import UnreadValues
from watcher.poller import Poller
from watcher.records import Records
from watcher.refills import RefillWatcher
from watcher.reviews import Reviews
from watcher.schedule import Schedule, Task
from watcher.shared import Shared
from watcher.upkeep import Upkeep


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """One panel's workers."""

    config: PanelConfig
    line: Line
    poller: Poller
    worker: ActionWorker
    refills: RefillWatcher
    upkeep: Upkeep
    book: Book
    schedule: Schedule

    @property
    def name(self) -> str:
        return self.config.name

    def agenda(self, now: float) -> Agenda:
        """Return an empty queue of checks, by the panel's limits and the configuration."""
        settings = self.config.settings
        return Agenda(
            Records(self.name),
            now,
            within=settings.check_within,
            ids_per_minute=settings.requests_per_minute * max(1, self.line.client.limit("status")),
            idle_every=settings.idle_every,
        )

    def tasks(self) -> dict[str, Task]:
        """Return the tasks to schedule for the panel, by name."""
        can = self.config.profile.can
        tasks: dict[str, Task] = {
            f"poll:{self.name}": self.poller.run_once,
            f"actions:{self.name}": self.worker.run_once,
            # Where the panel does not tell of refills, tasks are given up in time.
            f"refills:{self.name}": self.refills.run_once,
            f"rate:{self.name}": self.upkeep.rate,
            f"probe:{self.name}": self.upkeep.probe,
        }
        if can("balance"):
            tasks[f"balance:{self.name}"] = self.upkeep.balance
        if can("services"):
            tasks[f"services:{self.name}"] = self.upkeep.services
        return tasks

    def retry(self) -> None:
        """Ask the panel at once, whatever it has failed at or refused; end every pause."""
        self.upkeep.retry()
        self._ask_all()

    def recovered(self) -> None:
        """Ask about every order that waits: the panel no longer refuses everything."""
        self._ask_all()

    def _ask_all(self) -> None:
        self.poller.begin_anew()
        self.worker.begin_anew()
        self.book.recall(self.name, self.line.clock())
        unread = {fault.call for fault in self.line.health.faults}
        for task in self.tasks():
            # The price list is large, and panels limit how often it is read.
            if not task.startswith(f"{SERVICES}:") or SERVICES in unread:
                self.schedule.wake(task)


class Workshop(msgspec.Struct, frozen=True, kw_only=True):
    """Builds stations, from what all of them share."""

    shared: Shared
    ledger: Ledger
    reviews: Reviews
    outcomes: Outcomes

    async def build(self, panel: PanelConfig) -> Station:
        """Return a station that is ready to work; nothing is asked of the panel yet."""
        line = await self._line(panel)
        settings = panel.settings
        station = Station(
            config=panel,
            line=line,
            book=self.shared.book,
            schedule=self.shared.schedule,
            poller=Poller(
                line=line,
                book=self.shared.book,
                ledger=self.ledger,
                metrics=self.shared.metrics,
                turns=self.shared.turns,
                schedule=self.shared.schedule,
            ),
            worker=ActionWorker(
                line=line,
                store=self.shared.store,
                outcomes=self.outcomes,
                mailboxes=self.shared.mailboxes,
            ),
            refills=RefillWatcher(
                line=line,
                store=self.shared.store,
                book=self.shared.book,
                judge=self.shared.judge,
                reviews=self.reviews,
                mailboxes=self.shared.mailboxes,
                gives_up_after=settings.refill_gives_up_after,
            ),
            upkeep=Upkeep(
                line=line,
                store=self.shared.store,
                book=self.shared.book,
                judge=self.shared.judge,
                reviews=self.reviews,
                balance_every=settings.balance_every,
                services_every=settings.services_every,
            ),
        )
        line.on_probe = partial(self.shared.schedule.wake, f"probe:{panel.name}")
        line.on_recovered = station.recovered
        return station

    async def _line(self, panel: PanelConfig) -> Line:
        name, settings = panel.name, panel.settings
        unread = UnreadValues(
            name, lambda action, field: self.shared.metrics.unread.labels(name, action, field).inc()
        )

        def note_unread(action: str, field: str, value: str) -> None:
            unread.note(action, field, value)
            line.health.unread(action, field, value, self.shared.clock())

        client = PanelClient(
            name=name,
            url=panel.url,
            key=panel.key.reveal(),
            dialect=panel.request,
            profile=panel.profile,
            timeout=settings.timeout,
            on_request=lambda action, seconds, reason: self.shared.metrics.count_request(
                name, action, seconds, reason
            ),
            on_unread=note_unread,
            turns=self.shared.turns,
        )
        await client.open()
        requests = [request for request in REQUESTS if client.limit(request)]
        self.shared.metrics.prepare(name, requests, [k for k in Kind if _CAPABILITY[k] in requests])
        most = settings.requests_per_minute
        remembered = await self.shared.store.rate(name)
        start = start_of(
            most, stated=panel.states_rate, remembered=remembered, now=self.shared.clock()
        )
        breaker = Breaker(Random(name).random)  # panels differ, runs don't
        line = Line(name, client, Pace(Rate(most, start)), breaker, self.shared.clock)
        return line


_CAPABILITY = {Kind.SUBMIT: "add", Kind.REFILL: "refill", Kind.CANCEL: "cancel"}

"""Builds what watches the orders, from below: nothing gets hold of what is built after it."""

from watcher.book import Book
from watcher.checkpoints import Checkpoints
from watcher.clocks import Clock
from watcher.config import ActiveConfig
from watcher.fleet import Fleet
from watcher.intake import Intake
from watcher.judge import Judge
from watcher.ledger import Ledger
from watcher.locks import PanelLocks
from watcher.mailboxes import Mailboxes
from watcher.metrics import Metrics
from watcher.outcomes import Outcomes
from watcher.reviews import Reviews
from watcher.schedule import Schedule, Task
from watcher.station import Station, Workshop
from watcher.stopping import Stop
from watcher.store import Store
from watcher.turns import Turns


class Core:
    """All that changes orders, actions and refills."""

    def __init__(
        self,
        *,
        store: Store,
        book: Book,
        judge: Judge,
        metrics: Metrics,
        config: ActiveConfig,
        schedule: Schedule,
        stations: dict[str, Station],
        stop: Stop,
        clock: Clock,
    ) -> None:
        turns = Turns()
        self.locks = PanelLocks()
        self.mailboxes = Mailboxes(schedule)
        self.ledger = Ledger(
            store=store,
            book=book,
            judge=judge,
            metrics=metrics,
            config=config,
            locks=self.locks,
            mailboxes=self.mailboxes,
            schedule=schedule,
            turns=turns,
        )
        self.reviews = Reviews(book=book, ledger=self.ledger, schedule=schedule)
        self.outcomes = Outcomes(
            store=store,
            book=book,
            judge=judge,
            metrics=metrics,
            config=config,
            locks=self.locks,
            mailboxes=self.mailboxes,
            reviews=self.reviews,
            clock=clock,
        )
        self.intake = Intake(
            store=store,
            book=book,
            judge=judge,
            config=config,
            locks=self.locks,
            ledger=self.ledger,
            reviews=self.reviews,
            outcomes=self.outcomes,
            mailboxes=self.mailboxes,
            clock=clock,
        )
        workshop = Workshop(
            store=store,
            book=book,
            judge=judge,
            ledger=self.ledger,
            reviews=self.reviews,
            outcomes=self.outcomes,
            mailboxes=self.mailboxes,
            metrics=metrics,
            schedule=schedule,
            clock=clock,
            turns=turns,
        )
        self.fleet = Fleet(
            store=store,
            book=book,
            judge=judge,
            config=config,
            locks=self.locks,
            mailboxes=self.mailboxes,
            reviews=self.reviews,
            metrics=metrics,
            schedule=schedule,
            workshop=workshop,
            clock=clock,
            stations=stations,
            stop=stop,
        )
        self.checkpoints = Checkpoints(
            store=store, book=book, loaded=self.fleet.loaded, clock=clock
        )

    def tasks(self) -> dict[str, Task]:
        """Return the tasks to schedule that are not one panel's, by name."""
        return {
            "look": self.reviews.look,
            "outcomes": self.outcomes.run_once,
            "learnt": self.checkpoints.save_learnt,
            "asked": self.checkpoints.save_asked,
        }

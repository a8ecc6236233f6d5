"""Builds what watches the orders, from below: nothing gets hold of what is built after it."""

from collections.abc import Mapping

import structlog

from watcher.checkpoints import Checkpoints
from watcher.fleet import Fleet
from watcher.intake import Intake
from watcher.ledger import Ledger
from watcher.outcomes import Outcomes
from watcher.recall import recall
from watcher.reviews import Reviews
from watcher.schedule import Task
from watcher.shared import Shared
from watcher.station import Station, Workshop
from watcher.stopping import Stop

log = structlog.get_logger()


class Core:
    """All that changes orders, actions and refills."""

    def __init__(self, shared: Shared, stations: dict[str, Station], stop: Stop) -> None:
        self._shared = shared
        self.locks, self.mailboxes = shared.locks, shared.mailboxes
        self.ledger = Ledger(shared)
        self.reviews = Reviews(shared, self.ledger)
        self.outcomes = Outcomes(shared, self.reviews)
        self.intake = Intake(shared, self.ledger, self.reviews, self.outcomes)
        workshop = Workshop(
            shared=shared, ledger=self.ledger, reviews=self.reviews, outcomes=self.outcomes
        )
        self.fleet = Fleet(shared, self.reviews, workshop, stations, stop)
        self.checkpoints = Checkpoints(shared, self.fleet.loaded)

    async def begin(self, now: float, when_loaded: Mapping[str, Task]) -> None:
        """Take up what is on record, and schedule the tasks; some only when all is loaded."""
        shared = self._shared
        unresolved = await shared.store.recover()
        if unresolved:
            log.warning("actions.unresolved", count=unresolved, cause="the last run ended early")
        await recall(shared.store, shared.judge, now)
        await self.fleet.begin(when_loaded)
        shared.schedule.add("look", self.reviews.look)
        shared.schedule.add("outcomes", self.outcomes.run_once)
        shared.schedule.add("learnt", self.checkpoints.save_learnt)
        shared.schedule.add("asked", self.checkpoints.save_asked)

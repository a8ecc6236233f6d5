"""Builds what watches the orders, bottom up: no part knows of parts built after it."""

from collections.abc import Collection, Mapping

import structlog

from watcher.daemon.action_outcomes import OutcomeWriter
from watcher.daemon.checkpoints import Checkpoints
from watcher.daemon.commands import OrderCommands
from watcher.daemon.panel_registry import PanelRegistry
from watcher.daemon.panel_workers import PanelWorkers, PanelWorkersFactory
from watcher.daemon.pauses import Pauses
from watcher.daemon.recorder import ChangeRecorder
from watcher.daemon.reviews import Reviews
from watcher.daemon.rule_state import load_rule_state
from watcher.daemon.shared import Shared
from watcher.daemon.stopping import Stop
from watcher.daemon.task_runner import Task
from watcher.errors import StoreBusy

log = structlog.get_logger()


class Core:
    """Everything that changes orders, actions and refills."""

    def __init__(self, shared: Shared, panel_workers: dict[str, PanelWorkers], stop: Stop) -> None:
        self.shared = shared
        self.locks, self.mailboxes = shared.locks, shared.mailboxes
        self.recorder = ChangeRecorder(shared)
        self.reviews = Reviews(shared, self.recorder)
        self.outcomes = OutcomeWriter(shared, self.reviews)
        self.commands = OrderCommands(shared, self.recorder, self.reviews, self.outcomes)
        self.pauses = Pauses(shared, self.reviews, panel_workers)
        factory = PanelWorkersFactory(
            shared=shared, recorder=self.recorder, reviews=self.reviews, outcomes=self.outcomes
        )
        self.registry = PanelRegistry(shared, self.reviews, factory, panel_workers, stop)
        self.checkpoints = Checkpoints(shared, self.registry.loaded)

    async def begin(self, now: float, when_loaded: Mapping[str, Task]) -> None:
        """Load the state and schedule the tasks; those in `when_loaded` start after all orders."""
        shared = self.shared
        await shared.store.feed.begin()
        await self.pauses.load(now)
        if not shared.leadership.is_clustered:
            await self._take_up(None, now)
        await self.registry.begin(when_loaded)
        shared.schedule.add("look", self.reviews.review_due)
        shared.schedule.add("outcomes", self.outcomes.run_once)
        shared.schedule.add("learnt", self.checkpoints.save_learnt)
        shared.schedule.add("asked", self.checkpoints.save_asked)

    async def lead(self, panels: Collection[str]) -> None:
        """Open panels that this node leads from now on."""
        for panel in panels:
            self.shared.rule_engine.forget_panel(panel)
        await self._take_up(panels, self.shared.clock())
        await self.registry.open(panels)

    async def let_go(self, panels: Collection[str]) -> None:
        """Close panels that another node is to lead, once what is under way has ended."""
        await self.registry.let_go(panels, self._save)
        for panel in panels:
            self.shared.rule_engine.forget_panel(panel)

    async def _take_up(self, panels: Collection[str] | None, now: float) -> None:
        """Read the state that the panels' last leader saved; None are all panels."""
        shared = self.shared
        unresolved = await shared.store.actions.recover(panels)
        if unresolved:
            log.warning("actions.unresolved", count=unresolved, cause="the last run ended early")
        await load_rule_state(shared.store, shared.rule_engine, now, panels)

    async def _save(self, panel: str) -> None:
        """Save what memory knows of the panel. Raises StoreError if anything can't be saved."""
        if not self.outcomes.is_settled:
            raise StoreBusy("outcomes of actions are not recorded yet")
        await self.registry.panel_workers[panel].account_sync.rate(self.shared.clock())
        await self.checkpoints.save_panel(panel)

"""All that works for one panel: its line, and the tasks that use it."""

import msgspec

from watcher.actions import ActionWorker
from watcher.config import PanelConfig
from watcher.panels.line import Line
from watcher.poller import Poller
from watcher.refills import RefillWatcher
from watcher.schedule import Task
from watcher.upkeep import Upkeep


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """One panel's workers."""

    config: PanelConfig
    line: Line
    poller: Poller
    worker: ActionWorker
    refills: RefillWatcher
    upkeep: Upkeep

    @property
    def name(self) -> str:
        return self.config.name

    def tasks(self) -> dict[str, Task]:
        """What the schedule runs for the panel, by name."""
        can = self.config.profile.can
        tasks: dict[str, Task] = {
            f"poll:{self.name}": self.poller.run_once,
            f"actions:{self.name}": self.worker.run_once,
        }
        if can("refill_status"):
            tasks[f"refills:{self.name}"] = self.refills.run_once
        if can("balance"):
            tasks[f"balance:{self.name}"] = self.upkeep.balance
        if can("services"):
            tasks[f"services:{self.name}"] = self.upkeep.services
        return tasks

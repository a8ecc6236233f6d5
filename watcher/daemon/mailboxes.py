"""Committed changes that wait for a panel's workers. Adding something wakes the worker."""

from collections import defaultdict
from collections.abc import Iterable

from watcher.daemon.task_runner import TaskRunner
from watcher.model import Action, Refill


class Mailboxes:
    """One mailbox a panel: whether actions were planned, and refills that the panel accepted."""

    def __init__(self, schedule: TaskRunner) -> None:
        self._schedule = schedule
        self._planned: set[str] = set()
        self._refills: defaultdict[str, list[Refill]] = defaultdict(list)

    def wake_pollers(self, panels: Iterable[str]) -> None:
        """Wake the pollers of these panels: there are orders to check."""
        for panel in panels:
            self._schedule.wake(f"poll:{panel}")

    def note_planned(self, actions: Iterable[Action]) -> None:
        """Note that the planned actions of these panels have changed in the database."""
        for panel in {action.panel for action in actions}:
            self._planned.add(panel)
            self._schedule.wake(f"actions:{panel}")

    def take_planned(self, panel: str) -> bool:
        """Return whether planned actions have changed since the last call."""
        is_changed = panel in self._planned
        self._planned.discard(panel)
        return is_changed

    def add_refill(self, refill: Refill) -> None:
        """Add a refill that the panel accepted, for the refill poller."""
        self._refills[refill.panel].append(refill)
        self._schedule.wake(f"refills:{refill.panel}")

    def take_refills(self, panel: str) -> list[Refill]:
        """Remove and return the refills in the panel's mailbox."""
        return self._refills.pop(panel, [])

"""Refill tasks of a simulated panel."""

import msgspec

from watcher.panels.protocol.refusals import Refusal, RefusedAnswer
from watcher.simulator.catalog import SimService
from watcher.simulator.fate import DAY, Fate
from watcher.simulator.sim_orders import COMPLETED, IN_PROGRESS, PARTIAL, PENDING

REJECTED = "Rejected"
REST = DAY


class SimRefill(msgspec.Struct, frozen=True, gc=False):
    """A refill task."""

    order: int
    asked: float
    ends: float
    granted: bool

    def status(self, now: float) -> str:
        if now >= self.ends:
            return COMPLETED if self.granted else REJECTED
        return PENDING if now < self.asked + (self.ends - self.asked) / 3 else IN_PROGRESS


class SimRefills:
    """All refill tasks, by their id and by their order."""

    def __init__(self) -> None:
        self._tasks: dict[int, SimRefill] = {}
        self._of_order: dict[int, list[SimRefill]] = {}

    def create(self, order: int, fate: Fate, now: float) -> int:
        """Add a task; return its id."""
        task = SimRefill(order, now, now + fate.refill_takes, fate.refill_granted)
        number = len(self._tasks) + 1
        self._tasks[number] = task
        self._of_order.setdefault(order, []).append(task)
        return number

    def __contains__(self, refill: int) -> bool:
        return refill in self._tasks

    def status(self, refill: int, now: float) -> str:
        task = self._tasks.get(refill)
        if task is None:
            raise RefusedAnswer(Refusal.REFILL_UNKNOWN)
        return task.status(now)

    def check(self, order: int, service: SimService, status: str, ended: float, now: float) -> None:
        """Raise Refused if the order can't be refilled now."""
        if not service.refill:
            raise RefusedAnswer(Refusal.REFILL_DISABLED)
        if status != COMPLETED and not (service.refills_partial and status == PARTIAL):
            raise RefusedAnswer(Refusal.NOT_COMPLETED)
        if now > ended + service.refill_days * DAY:
            raise RefusedAnswer(Refusal.REFILL_OVER)
        self._check_last(order, now)

    def _check_last(self, order: int, now: float) -> None:
        last = self._of_order.get(order, [])[-1:]
        if last and now < last[0].ends:
            raise RefusedAnswer(Refusal.REFILL_RUNNING)
        if last and now < last[0].asked + REST:
            raise RefusedAnswer(Refusal.REFILL_RECENT)

    def restored_at(self, order: int, now: float) -> float | None:
        """Return when the order's count was last restored."""
        ends = [t.ends for t in self._of_order.get(order, ()) if t.granted and t.ends <= now]
        return max(ends, default=None)

"""Queue of one target's changed orders, with a retry lane for each order that failed: pure.

Changes are numbered as they are recorded. `cursor` is the last one that was read: each up to it has
arrived, is not for this target, or waits in its order's lane. A change that does not arrive delays
only later changes of its own order.
"""

from collections.abc import Container, Iterable

import msgspec

from watcher.alerts import ChangeKind, RetryLane
from watcher.events.retries import TRIES, pause
from watcher.orders.fields import PROGRESS

AT_ONCE = 10  # orders whose changes are sent at the same time
_DOWN_AFTER = 5  # orders that fail in a row, after which the target counts as down
_MOST_LANES = 1000  # waiting orders, after which no further changes are read


def kind_of(fields: Container[str]) -> ChangeKind:
    """Return the kind of a change of these fields."""
    if "status" in fields:
        return ChangeKind.STATUS
    if any(name in fields for name in PROGRESS):
        return ChangeKind.PROGRESS
    return ChangeKind.OTHER


class RetryLanes:
    """What is still to be sent to one target. `changed` are the lanes that are not saved yet."""

    def __init__(self, cursor: int, held: Iterable[RetryLane] = ()) -> None:
        self.cursor = cursor
        self.held = {lane.key: lane for lane in held}
        self.changed: set[int] = set()
        self.paused_until = 0.0
        self.error: str | None = None
        self._failing: set[int] = set()  # orders that failed since something arrived
        self._pauses = 0

    @property
    def is_down(self) -> bool:
        """Whether the target accepts nothing."""
        return self._pauses > 0

    def room(self, now: float) -> int:
        """Return how many orders may be sent now: none in a pause, and one to try after it."""
        if now < self.paused_until:
            return 0
        return 1 if self.is_down else AT_ONCE

    def may_read(self) -> bool:
        """Return whether to read further changes."""
        return len(self.held) < _MOST_LANES

    def due(self, now: float) -> list[RetryLane]:
        """Return the lanes to try now, the longest due first."""
        due = [lane for lane in self.held.values() if lane.next_at <= now]
        return sorted(due, key=lambda lane: lane.next_at)

    def next_at(self) -> float | None:
        """Return when a lane is due next."""
        soonest = min((lane.next_at for lane in self.held.values()), default=None)
        return None if soonest is None else max(soonest, self.paused_until)

    def arrived(self, now: float) -> None:
        """Note a success: if the target was down, all lanes are due."""
        if self.is_down:
            self.hurry(now)
        self._failing.clear()
        self.error = None

    def hurry(self, now: float) -> None:
        """Make all lanes due: the target may be back."""
        for lane in list(self.held.values()):
            self._put(msgspec.structs.replace(lane, next_at=min(lane.next_at, now)))
        self._failing.clear()
        self._pauses = 0
        self.paused_until = 0.0

    def failed(
        self, key: int, change: int, error: str, now: float, *, wait: float | None = None
    ) -> bool:
        """Note a failure; returns whether the change is given up.

        `wait` is the shortest pause that the target asks for, in seconds. While the target is down,
        failures don't count against single changes.
        """
        self.error = error
        before = self.held.get(key)
        attempts = before.attempts if before and before.first == change else 0
        self._failing.add(key)
        if wait is not None or len(self._failing) >= _DOWN_AFTER:
            if now >= self.paused_until:  # concurrent failures count once
                self._pauses += 1
            until = now + max(wait or 0.0, pause(self._pauses))
            self.paused_until = max(self.paused_until, until)
        else:
            attempts += 1
        if attempts >= TRIES:
            self._put(RetryLane(key, change + 1, next_at=now))
            return True
        self._put(RetryLane(key, change, attempts, now + pause(attempts), error))
        return False

    def hold(self, key: int, first: int, now: float) -> None:
        """Send the order's changes from this one on (again)."""
        before = self.held.get(key)
        if before is None or first < before.first:
            self._put(RetryLane(key, first, next_at=now))

    def go_on(self, key: int, first: int | None, now: float) -> None:
        """Note that the lane's changes before this one have arrived; None: all of them."""
        if first is None:
            self.held.pop(key, None)
            self.changed.add(key)
        else:
            self._put(RetryLane(key, first, next_at=now))

    def unsaved(self) -> dict[int, RetryLane | None]:
        """Return the lanes that changed since they were saved; None for those that ended."""
        return {key: self.held.get(key) for key in self.changed}

    def rewind(self, cursor: int) -> None:
        """Read again from there; drop lanes that begin later, which are read again."""
        self.cursor = min(self.cursor, cursor)
        for lane in list(self.held.values()):
            if lane.first > self.cursor:
                self.go_on(lane.key, None, 0.0)

    def _put(self, lane: RetryLane) -> None:
        self.held[lane.key] = lane
        self.changed.add(lane.key)

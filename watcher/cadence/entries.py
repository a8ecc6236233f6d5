"""A watched order, as the book and a panel's agenda hold it. A million live: it is small."""

from enum import IntEnum

import msgspec

from watcher.cadence.stages import status_class
from watcher.model import Order


class State(IntEnum):
    """Where an entry stands."""

    OUT = 0  # not, or no longer, in the agenda
    ASKED = 1
    RESTING = 2
    WAITING = 3  # for its key's turn
    APPOINTED = 4


class Entry(msgspec.Struct, gc=False):
    """A watched order and its place in the schedule.

    `look` is the second at which rules look at it again.
    """

    order: Order
    key: float = 0.0  # virtual time; real time while it has an appointment
    checked_at: float | None = None  # since the daemon started
    started: float | None = None  # seen in progress since
    look: int | None = None
    failures: int = 0  # refusals of this id in a row
    state: State = State.OUT
    alone: bool = False  # it made a whole batch fail: it is asked about by itself

    @property
    def is_new(self) -> bool:
        """Whether its panel has never told of it."""
        return self.checked_at is None and self.order.checked_at is None

    def note_answer(self, before: Order, now: float) -> None:
        """It was `before` when it was asked about last; what it is now was learnt at `now`."""
        if status_class(self.order.status) != 1:
            self.started = None
        elif status_class(before.status) != 1 and not self.is_new:
            self.started = now if self.checked_at is None else (now + self.checked_at) / 2

"""A watched order's place in its panel's poll queue."""

from enum import IntEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from watcher.model import Order
from watcher.orders.columns.table import NONE, OrderTable
from watcher.orders.schedule.stages import Stage

Slots = NDArray[np.intp]
Floats = NDArray[np.float64]


class EntryState(IntEnum):
    """State of an order in its panel's poll queue."""

    OUT = 0  # not, or no longer, in the queue
    ASKED = 1
    RESTING = 2  # within MIN_GAP of its last check
    WAITING = 3  # for its virtual deadline
    APPOINTED = 4  # due at a real time


class Entry:
    """A live view of one order's row.

    Once the order is no longer watched, it shows the next order in its slot.
    """

    __slots__ = ("_records", "slot")

    def __init__(self, records: OrderTable, slot: int) -> None:
        self._records = records
        self.slot = slot

    @property
    def order(self) -> Order:
        return self._records.order(self.slot)

    @property
    def state(self) -> EntryState:
        return EntryState(self._records.state[self.slot])

    @property
    def turn(self) -> float:
        """The order's virtual deadline; a real time while its state is APPOINTED."""
        return self._records.turn[self.slot]

    @property
    def checked_at(self) -> float | None:
        """When the order was asked about last, None if not known."""
        return _time(self._records.checked_at[self.slot])

    @property
    def started(self) -> float | None:
        """Since when the order was seen in progress."""
        return _time(self._records.started[self.slot])

    @property
    def look(self) -> int | None:
        """The second at which rules review the order again."""
        second = self._records.look[self.slot]
        return None if second == NONE else second

    @property
    def failures(self) -> int:
        """The number of refusals of this id in a row."""
        return self._records.failures[self.slot]

    @property
    def alone(self) -> bool:
        """Whether the order made a whole batch fail, so that it is asked about alone."""
        return bool(self._records.alone[self.slot])

    @property
    def is_new(self) -> bool:
        """Whether the panel has never answered about the order."""
        return self._records.is_new(self.slot)


class OrderGlimpse(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An order before an answer, with its schedule at that time."""

    order: Order
    asked: float | None  # when its panel answered about it last, None if not known
    started: float | None  # seen in progress since
    failures: int
    alone: bool
    stage: Stage  # when it was asked about last, and its T in minutes
    minutes: float
    age: float  # minutes in the stage then


def _time(at: float) -> float | None:
    return None if at != at else at

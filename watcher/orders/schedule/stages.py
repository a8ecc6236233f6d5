"""Stages of an order: classes of orders whose next change is predicted alike."""

from enum import IntEnum

from watcher.model import FINAL, Status

# An order counts as stopped after so long without movement: seconds, and usual gaps of two units.
STILL = 300.0
STILL_GAPS = 4.0


class Stage(IntEnum):
    """The progress of an order, by its panel's last answer."""

    PENDING = 0
    STARTING = 1  # in progress, nothing delivered yet, or not known
    MOVING = 2
    STOPPED = 3  # delivered some, and does not move
    ENDING = 4  # nothing remains; the final status is still to come
    GUARDED = 5
    REFILL = 6  # a refill task


# What is learnt beside the stages: minutes in progress a root of the quantity, and minutes without
# movement before each one.
DURATION, MOVEMENT = len(Stage), len(Stage) + 1
COLUMNS = (*(stage.name.lower() for stage in Stage), "duration", "movement")

IS_PENDING = frozenset({Status.PENDING, Status.UNKNOWN})
IS_CONSTANT = frozenset({Stage.MOVING, Stage.GUARDED})  # the hazard does not fall with age


def status_class(status: Status) -> int:
    """Return 0 pending, 1 in progress or 2 final; the model counts changes between these."""
    if status in FINAL:
        return 2
    return 0 if status in IS_PENDING else 1

"""Service statistics: the numbers of a hazard model, a row for each service.

Vectorised code reads the tables, scalar code a service's row.
"""

from math import sqrt
from typing import Any

import numpy as np

from watcher.orders.schedule.entries import Floats, Slots
from watcher.orders.schedule.stages import COLUMNS, DURATION, IS_CONSTANT, Stage

SMOOTHING = 3.0  # pseudo-events that a service without history borrows from its panel
LEAST = 1 / 60  # minutes: a stage is not shorter than a second
SPREAD = 1.0  # standard deviation of the logarithm of a stage's duration
FEWEST = 5.0  # durations from which a spread is known
NARROW = (0.3, 0.6)  # spread up to which durations count as alike, and from which as different
# The same by column. How long a quantity takes is counted of completed orders only.
WIDEST = np.array([np.inf if at == DURATION else NARROW[1] for at in range(len(COLUMNS))])
OUTLIERS = (3.0, 0.5)  # spreads and logarithm from the mean at which durations are clipped
USUAL_QUANTITY = 1000  # if the quantity is not known
HAS_AGE = np.array([at < len(Stage) and at not in IS_CONSTANT for at in range(len(COLUMNS))])
HAS_SPREAD = HAS_AGE | (np.arange(len(COLUMNS)) == DURATION)


class ServiceRecord:
    """The numbers of one service by column: its row of each of the tables."""

    def __init__(self, tables: "ServiceTables", row: int) -> None:
        self._tables, self.row = tables, row
        self.ends: dict[str, float] = {}

    def __getattr__(self, name: str) -> Floats:
        """Return a view of the row."""
        numbers: Floats = getattr(self._tables, name)[self.row]
        return numbers

    def clipped(self, column: int, duration: float) -> float:
        """Return the logarithm of a duration, not further from the mean than outliers may be.

        A few orders that are stuck do not hide that the others keep to their time.
        """
        count = self.changes[column]
        if count < FEWEST:
            return duration
        mean, spreads, least = self.logs[column] / count, *OUTLIERS
        far = max(spreads * self.spread[column], least)
        return float(min(max(duration, mean - far), mean + far))

    def minutes_in_progress(self, quantity: int | None) -> float:
        """Return how long an order of this quantity is usually in progress."""
        return float(self.lasts[DURATION]) * sqrt(quantity or USUAL_QUANTITY)


class ServiceTables:
    """A row for each service, a column for each stage, and for DURATION and MOVEMENT.

    `lasts` is the typical duration of the stage in minutes, `spread` the standard deviation of its
    logarithm; `is_narrow`: the durations hardly differ. `trust` (0 to 1) says how much it is worth
    as evidence that no order changes. Of movements, `exposure` has the minutes without one.
    """

    def __init__(self, rows: int) -> None:
        self.changes, self.exposure, self.logs, self.squares = np.zeros((4, rows, len(COLUMNS)))
        self.lasts, self.spread, self.trust = np.zeros((3, rows, len(COLUMNS)))
        self.is_narrow = np.zeros((rows, len(COLUMNS)), dtype=bool)
        self.touched = np.zeros(rows, dtype=bool)  # since it was last written

    @property
    def facts(self) -> tuple[Floats, ...]:
        """What is counted, and is forgotten."""
        return self.changes, self.exposure, self.logs, self.squares

    def deviations(self, rows: slice) -> Floats:
        """Return the sums of squared deviations of the durations' logarithms from their means."""
        count = np.maximum(self.changes[rows], LEAST)
        deviations: Floats = self.squares[rows] - self.logs[rows] ** 2 / count
        return deviations.clip(0.0)

    def make_room(self) -> None:
        """Make room for twice as many services."""
        for name, table in vars(self).items():
            setattr(self, name, np.concatenate([table, np.zeros_like(table)]))


def exposure_of(stages: Slots, minutes: Floats, gap: Floats) -> Floats:
    """Return the exposure of `gap` minutes without a change, at the start of which T is given."""
    share = gap / minutes
    exposure: Floats = np.where(HAS_AGE[stages], np.log1p(share), share)
    return exposure


def smoothed(total: Any, count: Any, usual: Any) -> Any:
    """Return the mean of so many values, smoothed by pseudo-events of the usual one."""
    return (total + SMOOTHING * usual) / (count + SMOOTHING)


def wide(changes: float, logs: float) -> float:
    """Return the squares of durations whose spread was not stored: it is as usual."""
    return logs**2 / max(changes, LEAST) + changes * SPREAD**2

"""Service statistics: the numbers of a hazard model, a row for each service.

Vectorised code reads the tables, scalar code a service's row.
"""

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watcher.orders.schedule.stages import Stage

SMOOTHING = 3.0  # pseudo-events that a service without history borrows from its panel
LEAST = 1 / 60  # minutes: a stage is not shorter than a second
SPREAD = 1.0  # standard deviation of the logarithm of a stage's duration
FEWEST = 5.0  # durations from which a spread is known
NARROW = (0.3, 0.6)  # spread up to which durations count as alike, and from which as different
OUTLIERS = (3.0, 0.5)  # spreads and logarithm from the mean at which durations are clipped
USUAL_QUANTITY = 1000  # if the quantity is not known
COMPLETIONS, LOGS, A_ROOT = range(3)  # columns of `ServiceTables.finished`
MOVES, RESTED, RESTS = range(3)  # columns of `ServiceTables.moved`


class ServiceRecord:
    """The numbers of one service by stage: a view of its row in the tables."""

    __slots__ = (
        *("changes", "exposure", "logs", "squares", "lasts", "spread"),
        *("finished", "moved", "ends", "row"),
    )

    def __init__(self, row: int) -> None:
        self.row = row
        self.ends: dict[str, float] = {}

    def see(self, tables: "ServiceTables") -> None:
        """Use the row of these tables from now on."""
        row = self.row
        self.changes = _numbers(tables.changes[row])
        self.exposure = _numbers(tables.exposure[row])
        self.logs = _numbers(tables.logs[row])
        self.squares = _numbers(tables.squares[row])
        self.lasts = _numbers(tables.lasts[row])
        self.spread = _numbers(tables.spread[row])
        self.finished = _numbers(tables.finished[row])
        self.moved = _numbers(tables.moved[row])

    @property
    def completions(self) -> float:
        """The number of completed orders whose time in progress is known."""
        return self.finished[COMPLETIONS]

    def clipped(self, stage: Stage, duration: float) -> float:
        """Return the logarithm of a duration, not further from the mean than outliers may be.

        A few orders that are stuck do not hide that the others keep to their time.
        """
        count = self.changes[stage]
        if count < FEWEST:
            return duration
        mean, spreads, least = self.logs[stage] / count, *OUTLIERS
        far = max(spreads * self.spread[stage], least)
        return min(max(duration, mean - far), mean + far)

    def minutes_in_progress(self, quantity: int | None) -> float:
        """Return how long an order of this quantity is usually in progress."""
        return self.finished[A_ROOT] * sqrt(quantity or USUAL_QUANTITY)


class ServiceTables:
    """A row for each service, a column for each stage.

    `lasts` is the typical duration of the stage in minutes, `spread` the standard deviation of its
    logarithm; `is_narrow`: the durations hardly differ. `trust` (0 to 1) says how much it is worth
    as evidence that no order changes. `finished` and `moved` have other columns: completed orders,
    the sum of their ln(minutes in progress / sqrt(quantity)), and its typical value, without the
    logarithm; movements, the minutes without one before each, and their typical number.
    """

    def __init__(self, rows: int) -> None:
        self.changes, self.exposure, self.logs, self.squares = np.zeros((4, rows, len(Stage)))
        self.lasts, self.spread, self.trust = np.zeros((3, rows, len(Stage)))
        self.is_narrow = np.zeros((rows, len(Stage)), dtype=bool)
        self.finished, self.moved = np.zeros((2, rows, 3))
        self.touched = np.zeros(rows, dtype=bool)  # since it was last written

    @property
    def facts(self) -> tuple[NDArray[np.float64], ...]:
        """What is counted a stage, and is forgotten."""
        return self.changes, self.exposure, self.logs, self.squares

    def deviations(self, rows: slice) -> NDArray[np.float64]:
        """Return the sums of squared deviations of the durations' logarithms from their means."""
        count = np.maximum(self.changes[rows], LEAST)
        deviations: NDArray[np.float64] = self.squares[rows] - self.logs[rows] ** 2 / count
        return deviations.clip(0.0)

    def longer(self) -> "ServiceTables":
        """Return a copy with room for twice as many services."""
        more = ServiceTables(2 * len(self.touched))
        for name, table in vars(self).items():
            getattr(more, name)[: len(table)] = table
        return more


def smoothed(total: Any, count: Any, usual: Any) -> Any:
    """Return the mean of so many values, smoothed by pseudo-events of the usual one."""
    return (total + SMOOTHING * usual) / (count + SMOOTHING)


def wide(changes: float, logs: float) -> float:
    """Return the squares of durations whose spread was not stored: it is as usual."""
    return logs**2 / max(changes, LEAST) + changes * SPREAD**2


def _numbers(row: NDArray[np.float64]) -> "memoryview[float]":
    """Return a view of the row whose elements are plain floats, quick to read one by one."""
    return row.data.cast("B").cast("d")

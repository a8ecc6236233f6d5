"""Service statistics: the numbers of a hazard model, a row for each service.

Vectorised code reads the tables, scalar code a service's row.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from watcher.orders.schedule.stages import Stage

USUAL_QUANTITY = 1000  # if the quantity is not known
COMPLETIONS, LOGS, A_ROOT = range(3)  # columns of `Tables.finished`


class ServiceRecord:
    """The numbers of one service by stage: a view of its row in the tables."""

    __slots__ = ("changes", "ends", "exposure", "finished", "lasts", "logs", "row")

    def __init__(self, row: int) -> None:
        self.row = row
        self.ends: dict[str, float] = {}

    def see(self, tables: "ServiceTables") -> None:
        """Use the row of these tables from now on."""
        row = self.row
        self.changes = _numbers(tables.changes[row])
        self.exposure = _numbers(tables.exposure[row])
        self.logs = _numbers(tables.logs[row])
        self.lasts = _numbers(tables.lasts[row])
        self.finished = _numbers(tables.finished[row])

    @property
    def completions(self) -> float:
        """The number of completed orders whose time in progress is known."""
        return self.finished[COMPLETIONS]

    def minutes_in_progress(self, quantity: int | None) -> float:
        """Return how long an order of this quantity is usually in progress."""
        return self.finished[A_ROOT] * sqrt(quantity or USUAL_QUANTITY)


class ServiceTables:
    """A row for each service, a column for each stage. `lasts`: typical minutes of the stage.

    `finished` has other columns: completed orders, the sum of their
    ln(minutes in progress / sqrt(quantity)), and its typical value, without the logarithm.
    """

    def __init__(self, rows: int) -> None:
        self.changes, self.exposure, self.logs, self.lasts = np.zeros((4, rows, len(Stage)))
        self.finished = np.zeros((rows, 3))
        self.touched = np.zeros(rows, dtype=bool)  # since it was last written

    def longer(self) -> "ServiceTables":
        """Return a copy with room for twice as many services."""
        more = ServiceTables(2 * len(self.touched))
        for name, table in vars(self).items():
            getattr(more, name)[: len(table)] = table
        return more


def _numbers(row: NDArray[np.float64]) -> "memoryview[float]":
    """Return a view of the row whose elements are plain floats, quick to read one by one."""
    return row.data.cast("B").cast("d")

"""What is stored of a hazard model."""

from math import exp, log

import msgspec

HALF_LIFE = 5 * 1440.0  # minutes


class ModelRow(msgspec.Struct, frozen=True):
    """A stored number of the model; `what` is a stage, "duration", "movement" or an end."""

    service: str
    what: str
    changes: float
    exposure: float = 0.0
    logs: float = 0.0
    squares: float = 0.0


def faded(row: ModelRow, seconds: float) -> ModelRow:
    """Return the row after so many seconds of decay."""
    keep = kept(seconds)
    numbers = (row.changes, row.exposure, row.logs, row.squares)
    return ModelRow(row.service, row.what, *(keep * number for number in numbers))


def kept(seconds: float) -> float:
    """Return the share of a number that is kept after so many seconds."""
    return exp(-log(2.0) * max(0.0, seconds) / 60.0 / HALF_LIFE)

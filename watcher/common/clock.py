"""The type of clocks."""

from typing import Protocol


class Clock(Protocol):
    """Returns the time in Unix seconds, as `time.time` does."""

    def __call__(self) -> float: ...

"""Where the time comes from."""

from typing import Protocol


class Clock(Protocol):
    """Returns the time in Unix seconds, as `time.time` does."""

    def __call__(self) -> float: ...

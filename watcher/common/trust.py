"""The right to act, which a node of a cluster can lose at any moment."""

from typing import Protocol


class Trust(Protocol):
    """Says whether this process may still act on what it knows."""

    def is_trusted(self) -> bool:
        """Return whether this process may act now."""
        ...


class AlwaysTrusted:
    """The trust of a daemon without a cluster."""

    def is_trusted(self) -> bool:
        return True


ALWAYS = AlwaysTrusted()

"""The right to act, which a node of a cluster can lose at any moment."""

from typing import Protocol


class Trust(Protocol):
    """Tells whether what this process knows still holds."""

    def is_trusted(self) -> bool:
        """Return whether this process may act now."""
        ...


class Always:
    """The trust of a process that nobody can take over from."""

    def is_trusted(self) -> bool:
        return True


ALWAYS = Always()

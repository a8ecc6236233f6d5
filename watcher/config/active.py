"""The configuration in force, and how the last reload ended."""

from collections.abc import Sequence

from watcher.config.sections import Config


class ActiveConfig:
    """Holds the configuration; a reload replaces it whole or leaves it as it is."""

    def __init__(self, config: Config, now: float) -> None:
        self.config = config
        self.accepted_at = now
        self.problems: Sequence[str] = ()  # why the last reload was refused

    def accepted(self, now: float) -> None:
        """Note that the configuration on disk is the one in force."""
        self.accepted_at, self.problems = now, ()

    def refused(self, problems: Sequence[str]) -> None:
        """Note why the configuration on disk is not in force."""
        self.problems = problems

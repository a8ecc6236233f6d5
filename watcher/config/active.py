"""The configuration in force, and how the last reload ended."""

from collections.abc import Sequence

from watcher.config.sections import Config, PanelConfig


class ActiveConfig:
    """Holds the configuration in force; a reload replaces `current` as a whole, or not at all."""

    def __init__(self, config: Config, now: float) -> None:
        self.current = config
        self.accepted_at = now
        self.problems: Sequence[str] = ()  # why the last reload was refused

    def panel(self, name: str) -> PanelConfig | None:
        """Return the panel's configuration, None if no panel has that name."""
        return self.current.panels.get(name)

    def accepted(self, now: float) -> None:
        """Note that the configuration on disk is the one in force."""
        self.accepted_at, self.problems = now, ()

    def refused(self, problems: Sequence[str]) -> None:
        """Note why the configuration on disk is not in force."""
        self.problems = problems

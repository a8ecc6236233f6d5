"""The configuration in force, for all who must see a reload."""

from watcher.config.sections import Config, PanelConfig


class ActiveConfig:
    """Holds the configuration in force; a reload replaces `current`."""

    def __init__(self, config: Config) -> None:
        self.current = config

    def panel(self, name: str) -> PanelConfig | None:
        """Return the panel's configuration, None where no panel has that name."""
        return self.current.panels.get(name)

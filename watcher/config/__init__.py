"""The configuration: one TOML file into frozen objects, all problems found at once."""

from watcher.config.reader import load, parse
from watcher.config.secrets import Secrets
from watcher.config.sections import Config, Duration, PanelConfig, PanelSection, Secret

__all__ = [
    "Config",
    "Duration",
    "PanelConfig",
    "PanelSection",
    "Secret",
    "Secrets",
    "load",
    "parse",
]

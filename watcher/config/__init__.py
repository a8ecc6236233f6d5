"""The configuration: one TOML file into frozen objects, all problems found at once."""

from watcher.config.hosts import Hosts, authority
from watcher.config.place import Place, locate
from watcher.config.reader import load, parse
from watcher.config.secrets import Secrets
from watcher.config.sections import Config, Daemon, Duration, PanelConfig, PanelSection, Secret

__all__ = [
    "Config",
    "Daemon",
    "Duration",
    "Hosts",
    "PanelConfig",
    "PanelSection",
    "Place",
    "Secret",
    "Secrets",
    "authority",
    "load",
    "locate",
    "parse",
]

"""The configuration: one TOML file into frozen objects, all problems found at once."""

from watcher.config.active import ActiveConfig
from watcher.config.cluster import ClusterConfig
from watcher.config.difference import ReloadOutcome, check_reloadable, reloaded
from watcher.config.hosts import Hosts, authority
from watcher.config.reader import load, parse
from watcher.config.repair import RepairConfig, load_for_repair
from watcher.config.secrets import Secrets
from watcher.config.sections import (
    AccessKey,
    Config,
    DaemonSection,
    EventsTarget,
    NotifyTarget,
    PanelConfig,
    PanelSection,
    Shop,
    Thresholds,
)
from watcher.config.values import Duration, Right, Secret

__all__ = [
    "AccessKey",
    "ActiveConfig",
    "ClusterConfig",
    "Config",
    "DaemonSection",
    "Duration",
    "EventsTarget",
    "Hosts",
    "NotifyTarget",
    "PanelConfig",
    "PanelSection",
    "ReloadOutcome",
    "RepairConfig",
    "Right",
    "Secret",
    "Secrets",
    "Shop",
    "Thresholds",
    "authority",
    "check_reloadable",
    "load",
    "load_for_repair",
    "parse",
    "reloaded",
]

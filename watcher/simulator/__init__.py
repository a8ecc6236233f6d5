"""Simulated panels: HTTP servers that speak the panel API, for tests, the demo and clients."""

from watcher.simulator.catalog import PRICE_LIST, Service
from watcher.simulator.fate import Ending, Fate, Habits
from watcher.simulator.journal import Entry, Journal
from watcher.simulator.limits import LimitKind, Rate
from watcher.simulator.server import SimulatedPanel
from watcher.simulator.switches import Switch
from watcher.simulator.traits import Trait
from watcher.simulator.world import World

__all__ = [
    "PRICE_LIST",
    "Ending",
    "Entry",
    "Fate",
    "Habits",
    "Journal",
    "LimitKind",
    "Rate",
    "Service",
    "SimulatedPanel",
    "Switch",
    "Trait",
    "World",
]

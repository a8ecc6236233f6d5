"""Simulated panels: HTTP servers that speak the panel API, for tests, the demo and clients."""

from watcher.simulator.catalog import PRICE_LIST, SimService
from watcher.simulator.fate import Ending, Fate, Habits
from watcher.simulator.journal import Journal, JournalEntry
from watcher.simulator.request_limits import LimitKind, SimRate
from watcher.simulator.server import SimulatedPanel
from watcher.simulator.switches import Switch
from watcher.simulator.traits import Trait
from watcher.simulator.world import World

__all__ = [
    "PRICE_LIST",
    "Ending",
    "Fate",
    "Habits",
    "Journal",
    "JournalEntry",
    "LimitKind",
    "SimRate",
    "SimService",
    "SimulatedPanel",
    "Switch",
    "Trait",
    "World",
]

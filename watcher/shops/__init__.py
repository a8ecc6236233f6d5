"""The panel API that the watcher serves to shops."""

from watcher.shops.desk import ACTIONS, Desk

__all__ = ["ACTIONS", "Desk"]

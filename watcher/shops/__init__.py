"""What shops are answered that order through the watcher: the panel API, spoken by it."""

from watcher.shops.desk import ACTIONS, Desk

__all__ = ["ACTIONS", "Desk"]

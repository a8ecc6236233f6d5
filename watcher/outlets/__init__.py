"""Who is told outside: people by couriers, programs by feeds."""

from watcher.outlets.outlets import Outlets

__all__ = ["Outlets"]

"""Who is told outside: people by couriers, programs by feeds."""

from watcher.outlets.courier import Courier
from watcher.outlets.feed import Feed
from watcher.outlets.outlets import Outlets

__all__ = ["Courier", "Feed", "Outlets"]

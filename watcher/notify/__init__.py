"""Who is told outside: people by couriers, programs by feeds."""

from watcher.notify.receivers import Receivers

__all__ = ["Receivers"]

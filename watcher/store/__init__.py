"""What is on record: schema, migrations and queries. The only SQL."""

from watcher.store.intents import Settled
from watcher.store.services import ServiceChange, StoredService
from watcher.store.store import Store

__all__ = ["ServiceChange", "Settled", "Store", "StoredService"]

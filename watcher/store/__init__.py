"""The database: schema, migrations and queries. The only SQL."""

from watcher.store.action_rows import Settled
from watcher.store.archive import Retired, archive_name
from watcher.store.audit import AuditEntry
from watcher.store.backend import Member
from watcher.store.balances import Spent
from watcher.store.disown import Disowned, Hold
from watcher.store.events import DeadEvent
from watcher.store.feed import FeedPage
from watcher.store.files import beside, check_database
from watcher.store.history import OrderEvent
from watcher.store.move import Move, move
from watcher.store.outbox import Message
from watcher.store.postgres_backend import check_server
from watcher.store.restore import Restored, disown, restore
from watcher.store.services import ServiceChange, StoredService
from watcher.store.store import Store

__all__ = [
    "AuditEntry",
    "DeadEvent",
    "Disowned",
    "FeedPage",
    "Hold",
    "Member",
    "Message",
    "Move",
    "OrderEvent",
    "Restored",
    "Retired",
    "ServiceChange",
    "Settled",
    "Spent",
    "Store",
    "StoredService",
    "archive_name",
    "beside",
    "check_database",
    "check_server",
    "disown",
    "move",
    "restore",
]

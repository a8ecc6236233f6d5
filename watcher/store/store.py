"""The store: all records in one database, split into parts."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from watcher.common.postgres_url import DatabaseLocation
from watcher.store.actions import Actions
from watcher.store.archive import Archive
from watcher.store.audit import AuditLog
from watcher.store.backend import Member
from watcher.store.balances import Balances
from watcher.store.database import Database, Observer, ignore
from watcher.store.events import Events
from watcher.store.feed import Feed
from watcher.store.firings import Firings
from watcher.store.group_commits import GroupCommits
from watcher.store.history import History
from watcher.store.maintenance import Maintenance
from watcher.store.manual_pauses import ManualPauses
from watcher.store.nodes import Nodes
from watcher.store.orders import Orders
from watcher.store.outbox import Outbox
from watcher.store.panel_status import PanelStatuses
from watcher.store.personal import PersonalData
from watcher.store.purge import Purge
from watcher.store.recent import Recent
from watcher.store.refills import Refills
from watcher.store.schedule import ScheduleState
from watcher.store.search import Search
from watcher.store.service_search import ServiceSearch
from watcher.store.services import Services
from watcher.store.sessions import Sessions


class Store:
    """An open database. When a method of its parts returns, its writes are committed.

    Raises StoreError, or a subclass, if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self.orders = Orders(database)
        self.changes = GroupCommits(database)  # of orders, with firings and plans
        self.history = History(database)
        self.feed = Feed(database)
        self.actions = Actions(database)
        self.refills = Refills(database)
        self.firings = Firings(database)
        self.services = Services(database)
        self.service_search = ServiceSearch(database)
        self.balances = Balances(database)
        self.schedule = ScheduleState(database)
        self.outbox = Outbox(database)
        self.events = Events(database)
        self.recent = Recent(database)
        self.search = Search(database)
        self.sessions = Sessions(database)
        self.pauses = ManualPauses(database)
        self.panel_status = PanelStatuses(database)
        self.audit = AuditLog(database)
        self.archive = Archive(database)
        self.purge = Purge(database)
        self.personal_data = PersonalData(database)
        self.nodes = Nodes(database)
        self.maintenance = Maintenance(database)

    @classmethod
    async def open(
        cls,
        location: DatabaseLocation,
        *,
        now: float,
        observe: Observer = ignore,
        busy_timeout: float = 5.0,
        member: Member | None = None,
    ) -> Self:
        """Open the database; create or migrate it if needed.

        A `member` of a cluster shares it with other nodes, and may write only between
        `nodes.join` and the end of its lease. `observe` gets every operation: its name, its seconds
        (queueing included), and whether the database failed. A database that is older than what
        was sent raises StoreOlder.
        """
        opening = Database.open(
            location, now=now, observe=observe, busy_timeout=busy_timeout, member=member
        )
        return cls(await opening)

    @property
    def place(self) -> str:
        """Return what messages call the database: the file's path, or the URL."""
        return self._db.backend.place

    @property
    def path(self) -> Path:
        """Return the file's path; of a server's database, one in the state directory.

        The daemon's own files are beside it.
        """
        return self._db.backend.path

    async def know_panels(self, names: Iterable[str]) -> None:
        """Give each panel its number, before other nodes may meet its records."""
        await self._db.know_panels(set(names))

    async def close(self) -> None:
        """Finish running work, then close the database."""
        await self._db.close()

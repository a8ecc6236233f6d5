"""The store: all that is on record, in one SQLite file."""

from functools import cached_property
from pathlib import Path
from typing import Self

from watcher.store.actions import Actions
from watcher.store.archive import Archive
from watcher.store.balances import Balances
from watcher.store.check_times import CheckTimePages
from watcher.store.database import Database, Observer, ignore
from watcher.store.disown import Disown
from watcher.store.events import Events
from watcher.store.firings import Firings
from watcher.store.history import History
from watcher.store.maintenance import Maintenance
from watcher.store.orders import Orders
from watcher.store.outbox import Outbox
from watcher.store.purge import Purge
from watcher.store.rates import Rates
from watcher.store.read_pool import ReadPool
from watcher.store.recent import RecentEvents
from watcher.store.record import Recorder
from watcher.store.refills import Refills
from watcher.store.service_stats import ServiceStatsRows
from watcher.store.services import Services
from watcher.store.sessions import Sessions


class Store(
    Recorder,
    Orders,
    Disown,
    Actions,
    Refills,
    Firings,
    History,
    Services,
    Balances,
    Rates,
    ServiceStatsRows,
    CheckTimePages,
    Outbox,
    RecentEvents,
    Events,
    Archive,
    Sessions,
    Purge,
    Maintenance,
):
    """An open database. What a method of it returns from is committed.

    Raises StoreError, or one of its kinds, where the database can't do it.
    """

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        now: float,
        observe: Observer = ignore,
        busy_timeout: float = 5.0,
        disowning: bool = False,
    ) -> Self:
        """Open the database, made anew or brought up to date where need be.

        `observe` hears of every operation: its name, its seconds (queueing included), and
        whether the database failed it. A database that is older than what was sent raises
        StoreOlder, but for `disowning` it.
        """
        return cls(
            await Database.open(
                path, now=now, observe=observe, busy_timeout=busy_timeout, disowning=disowning
            )
        )

    @cached_property
    def aside(self) -> ReadPool:
        """Where people's pages are read."""
        return ReadPool(self._db.path, self._db.panels)

    @property
    def path(self) -> Path:
        """The database file, all links resolved."""
        return self._db.path

    async def close(self) -> None:
        """Finish what was begun, then let go of the file."""
        await self.aside.close()
        await self._db.close()

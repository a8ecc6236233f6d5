"""Writes learnt values from memory to the database, at intervals and at the daemon's end."""

import asyncio

import structlog

from watcher.daemon.shared import Shared
from watcher.errors import StoreError
from watcher.orders.columns.check_times import CheckTimes

log = structlog.get_logger()

LEARNT_EVERY = 600.0  # seconds between two writes of the hazard models
ASKED_EVERY = 60.0  # seconds between two writes of the times of checks


class Checkpoints:
    """Saves hazard models and the times of checks. `loaded` is set once all orders are read."""

    def __init__(self, shared: Shared, loaded: asyncio.Event) -> None:
        self._store, self._watchlist, self._clock = shared.store, shared.watchlist, shared.clock
        self._node = shared.leadership.name
        self._loaded = loaded
        self._saved = 0  # the newest time of a check that is saved

    async def save_learnt(self, now: float) -> float:
        """Decay the hazard models and save what changed; return when to run next."""
        for name in self._watchlist.panels():
            await self._save_learnt(name, now)
        return now + LEARNT_EVERY

    async def save_asked(self, now: float) -> float:
        """Save the times of the last checks; return when to run next."""
        if not self._loaded.is_set():  # times of orders that are not read yet would be lost
            return now + ASKED_EVERY
        asked = CheckTimes()
        for keys, times in self._watchlist.asked():
            asked.note(keys, times)
            await asyncio.sleep(0)
        if asked.newest != self._saved:  # it is less if the clock was set back
            await self._store.schedule.save_asked(asked, node=self._node)
            self._saved = asked.newest
        return now + ASKED_EVERY

    async def save_panel(self, name: str) -> None:
        """Save everything of a panel that another node is to lead."""
        now = self._clock()
        await self._save_learnt(name, now)
        await self.save_asked(now)

    async def _save_learnt(self, name: str, now: float) -> None:
        learnt = self._watchlist.panel(name).learnt
        learnt.forget(now)
        await self._store.schedule.save_learnt(name, learnt.changed_rows(), now=now)

    async def save_last(self) -> None:
        """Save everything at the daemon's end; what can't be saved is learnt again."""
        now = self._clock()
        try:
            await self.save_learnt(now)
            await self.save_asked(now)
        except StoreError as error:
            log.error("learnt.lost", cause=str(error))

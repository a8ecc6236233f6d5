"""Writes what the daemon has learnt in memory to the database now and then, and at its end."""

import asyncio

import structlog

from watcher.daemon.shared import Shared
from watcher.errors import StoreError
from watcher.orders.columns.check_times import CheckTimes

log = structlog.get_logger()

LEARNT_EVERY = 600.0  # seconds between two times that what was learnt is written
ASKED_EVERY = 60.0  # and between two times that it is written when orders were asked about


class Checkpoints:
    """Saves what orders have taught, and when they were asked about. `loaded`: all are known."""

    def __init__(self, shared: Shared, loaded: asyncio.Event) -> None:
        self._store, self._watchlist, self._clock = shared.store, shared.watchlist, shared.clock
        self._loaded = loaded
        self._saved = 0  # the newest time at which an order was asked about that is on record

    async def save_learnt(self, now: float) -> float:
        """Let old lessons fade, and save what is new; returns when to come again."""
        for name in self._watchlist.panels():
            learnt = self._watchlist.panel(name).learnt
            learnt.forget(now)
            await self._store.schedule.save_learnt(name, learnt.news(), now=now)
        return now + LEARNT_EVERY

    async def save_asked(self, now: float) -> float:
        """Save when orders were asked about last; returns when to come again."""
        if not self._loaded.is_set():  # what is not in the book yet would be lost
            return now + ASKED_EVERY
        asked = CheckTimes()
        for keys, times in self._watchlist.asked():
            asked.note(keys, times)
            await asyncio.sleep(0)
        if asked.newest != self._saved:  # it is less where the clock was set back
            await self._store.schedule.save_asked(asked)
            self._saved = asked.newest
        return now + ASKED_EVERY

    async def save_last(self) -> None:
        """Save all at the daemon's end; what can't be saved is learnt again."""
        now = self._clock()
        try:
            await self.save_learnt(now)
            await self.save_asked(now)
        except StoreError as error:
            log.error("learnt.lost", cause=str(error))

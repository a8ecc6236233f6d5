"""Pauses that people want: of panels, of rules, and of things that need attention (a snooze).

Each panel's gateway asks here before a request, and the rule engine before a decision. So every
request to a paused panel waits, whoever wants it sent. What is planned stays planned, and is sent
after the resume.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

import structlog

from watcher.common.pauses import LONGEST_REASON, ManualPause, Paused
from watcher.common.wording import utc
from watcher.daemon.panel_workers import PanelWorkers
from watcher.daemon.reviews import Reviews
from watcher.daemon.shared import Shared
from watcher.errors import RequestError

log = structlog.get_logger()

QUIET_WITHIN = 5.0  # seconds that a pause waits for requests under way
LONGEST = 366 * 86400.0  # seconds
_OF_A_PANEL = (Paused.READS, Paused.ACTIONS)

Thing = tuple[Paused, str]


class Pauses:
    """Everything that is paused. The database is written first, then the caller gets an answer."""

    def __init__(
        self, shared: Shared, reviews: Reviews, panel_workers: Mapping[str, PanelWorkers]
    ) -> None:
        self._store, self._schedule, self._clock = shared.store, shared.schedule, shared.clock
        self._reviews = reviews
        self._panel_workers = panel_workers
        self._all = shared.pauses
        shared.rule_engine.switches.pauses = shared.pauses
        self._changing = asyncio.Lock()

    async def load(self, now: float) -> None:
        """Read what was paused before this start, and schedule the ends."""
        self._all.update({(one.what, one.name): one for one in await self._store.pauses.all()})
        self._schedule.add("pauses", self.run_once)

    async def refresh(self) -> None:
        """Take over what other nodes have paused and resumed."""
        async with self._changing:
            found = {(one.what, one.name): one for one in await self._store.pauses.all()}
            if found == self._all:
                return
            ended = [one for thing, one in self._all.items() if thing not in found]
            self._all.clear()
            self._all.update(found)
        self._schedule.wake("pauses")
        self._wake(ended)

    def all(self) -> list[ManualPause]:
        """Return everything that is paused now, the oldest pause first."""
        now = self._clock()
        return sorted((p for p in self._all.values() if p.holds(now)), key=lambda p: p.since)

    def get(self, what: Paused, name: str) -> ManualPause | None:
        """Return the pause, None if the thing is not paused."""
        pause = self._all.get((what, name))
        return pause if pause is not None and pause.holds(self._clock()) else None

    async def pause(self, wanted: Sequence[ManualPause]) -> list[ManualPause]:
        """Begin the pauses; return those that began. What is paused already stays as it is.

        Returns once no request of a paused kind is under way, or after QUIET_WITHIN. Raises
        RequestError if a pause would be over already, is too long, or its reason is.
        """
        now = self._clock()
        for one in wanted:
            _check(one, now)
        async with self._changing:
            new = [one for one in wanted if self.get(one.what, one.name) is None]
            before = dict(self._all)
            self._all.update({(one.what, one.name): one for one in new})  # first: nothing more goes
            try:
                await self._store.pauses.keep(new, ())
            except BaseException:
                self._all.clear()
                self._all.update(before)
                raise
        for one in new:
            log.info("pause.begun", **_logged(one))
        self._schedule.wake("pauses")
        await self._quiet(new)
        return new

    async def resume(self, things: Collection[Thing]) -> list[ManualPause]:
        """End the pauses; return those that ended."""
        async with self._changing:
            ended = [one for thing in things if (one := self._all.get(thing)) is not None]
            await self._store.pauses.keep((), [(one.what, one.name) for one in ended])
            for one in ended:
                del self._all[one.what, one.name]
        for one in ended:
            log.info("pause.ended", **_logged(one))
        self._wake(ended)
        return ended

    async def run_once(self, now: float) -> float | None:
        """End the pauses whose time is over; return when the next one ends."""
        over = [thing for thing, pause in self._all.items() if not pause.holds(now)]
        if over:
            await self.resume(over)
        return min((p.until for p in self._all.values() if p.until is not None), default=None)

    def _wake(self, ended: Sequence[ManualPause]) -> None:
        """Let everything run that waited for these."""
        for one in ended:
            workers = self._panel_workers.get(one.name)
            if one.what in _OF_A_PANEL and workers is not None:
                workers.resumed()
        if any(one.what is Paused.RULE for one in ended):
            self._schedule.add("review", self._reviews.review_all)

    async def _quiet(self, begun: Sequence[ManualPause]) -> None:
        """Wait until the requests have ended that were under way."""
        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET_WITHIN):
                for one in begun:
                    workers = self._panel_workers.get(one.name)
                    if one.what in _OF_A_PANEL and workers is not None:
                        await workers.gateway.wait_idle(one.what)


def _check(pause: ManualPause, now: float) -> None:
    if pause.until is not None and pause.until <= now:
        raise RequestError(f"until: {utc(pause.until)} is over; it is {utc(now)}")
    if pause.until is not None and pause.until > now + LONGEST:
        raise RequestError("until: a year from now is the most; leave it out for no end")
    if len(pause.reason) > LONGEST_REASON:
        raise RequestError(f"reason: {LONGEST_REASON} characters are the most")
    if not pause.reason.isprintable():
        raise RequestError("reason: one line of plain text is wanted")


def _logged(pause: ManualPause) -> dict[str, object]:
    until = None if pause.until is None else utc(pause.until)
    return {
        "what": pause.what.value,
        "name": pause.name,
        "by": pause.by,
        "via": pause.via,
        "until": until,
        "cause": pause.reason,
    }

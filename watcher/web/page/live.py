"""What changes while people look: sent to them as it happens, made once for all of them.

Nothing is made while nobody looks. A stream ends when the daemon stops, when whoever reads it is
no longer let in, and when it is not read.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from aiohttp import web

from watcher.errors import StoreError
from watcher.store import Spent
from watcher.web.backend import Backend
from watcher.web.page.overview import Overview, gather, parts
from watcher.web.rate import Seats

log = structlog.get_logger()

MOST_VIEWERS = 64
FRESH_FOR = 2.0  # seconds
_SHARE = 20.0  # but never more than a twentieth of the time is spent on it
_SPENT_FOR = 60.0  # seconds for which what was spent is not counted anew
_HEARTBEAT = 15.0
_READ_WITHIN = 10.0

Key = tuple[str, str]  # panel, order id


class Viewer(msgspec.Struct, eq=False):
    """Someone who looks: at the parts of the first page, or at one order, beside the counts."""

    wants_parts: bool
    order: Key | None
    is_let_in: Callable[[], bool]
    news: asyncio.Event
    sent: dict[str, str]


class Live:
    """One daemon's page, as it is now."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._seats = Seats(MOST_VIEWERS, retry_after=30.0)
        self._viewers: set[Viewer] = set()
        self._task: asyncio.Task[None] | None = None
        self._making = asyncio.Lock()
        self._made_at = -1e9
        self._took = 0.0
        self._overview: Overview | None = None
        self._parts: dict[str, str] = {}
        self._states: dict[Key, str] = {}
        self._spent: dict[str, Spent] = {}
        self._spent_at = -1e9
        self._closed = False

    async def overview(self) -> Overview:
        """What the first page tells; made anew where it is older than some seconds."""
        await self._freshen()
        assert self._overview is not None  # noqa: S101  it has just been made
        return self._overview

    async def parts(self) -> dict[str, str]:
        """The same as HTML."""
        await self._freshen()
        return self._parts

    async def spent(self) -> dict[str, Spent]:
        """What left each account in the last 24 hours; up to a minute old."""
        if time.monotonic() - self._spent_at > _SPENT_FOR:
            now = self._backend.clock()
            self._spent = await self._backend.store.balances.spendings(now)
            self._spent_at = time.monotonic()
        return self._spent

    def needs(self) -> int | None:
        """How many things needed people when that was last looked at."""
        return len(self._overview.needs) if self._overview else None

    def unresolved(self) -> int:
        """Actions whose outcome nobody knows."""
        return len(self._backend.judge.unresolved)

    async def show(
        self,
        request: web.Request,
        *,
        wants_parts: bool,
        order: Key | None,
        is_let_in: Callable[[], bool],
    ) -> web.StreamResponse:
        """Send what changes until either side ends it."""
        with self._seats:
            response = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
            )
            viewer = Viewer(wants_parts, order, is_let_in, asyncio.Event(), {})
            self._enter(viewer)
            try:
                await response.prepare(request)
                await self._tell(viewer, response)
            except (ConnectionError, TimeoutError):
                pass  # gone, or not reading
            finally:
                self._viewers.discard(viewer)
            return response

    async def close(self) -> None:
        """End all streams: the daemon stops."""
        self._closed = True
        for viewer in self._viewers:
            viewer.news.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _enter(self, viewer: Viewer) -> None:
        self._viewers.add(viewer)
        if not self._closed and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """While somebody looks."""
        while self._viewers:
            try:
                if any(viewer.wants_parts for viewer in self._viewers) and self._is_stale():
                    await self._freshen()
                await self._look_at_orders()
            except StoreError as error:
                log.warning("page.stale", cause=str(error))
            for viewer in self._viewers:
                viewer.news.set()
            await asyncio.sleep(FRESH_FOR)

    def _is_stale(self) -> bool:
        """Whether the parts are to be made anew: the longer that takes, the less often."""
        return time.monotonic() - self._made_at >= _SHARE * self._took

    async def _freshen(self) -> None:
        async with self._making:
            began = time.monotonic()
            if began - self._made_at < FRESH_FOR:
                return
            now = self._backend.clock()
            last = await self._backend.store.recent.latest(now)
            self._overview = gather(self._backend, last, await self.spent())
            self._parts = parts(self._overview)
            self._made_at = time.monotonic()
            self._took = self._made_at - began

    async def _look_at_orders(self) -> None:
        wanted = {viewer.order for viewer in self._viewers if viewer.order}
        self._states = {key: await self._state_of(key) for key in wanted}

    async def _state_of(self, key: Key) -> str:
        """Another text whenever the order, or what is done about it, has changed."""
        panel, order_id = key
        actions, _ = await self._backend.store.actions.page(panel=panel, order=order_id, limit=5)
        order = self._backend.book.order(panel, order_id)
        entry = self._backend.book.entry(panel, order_id)
        told = (order, entry and entry.checked_at, [(a.id, a.state) for a in actions])
        return f"{hash(repr(told)) & 0xFFFFFFFF:x}"

    async def _tell(self, viewer: Viewer, response: web.StreamResponse) -> None:
        while not self._closed and viewer.is_let_in():
            lines = [
                f"event: {name}\ndata: {msgspec.json.encode(value).decode()}\n\n"
                for name, value in self._news(viewer)
            ]
            async with asyncio.timeout(_READ_WITHIN):
                await response.write("".join(lines or [": \n\n"]).encode(errors="replace"))
            viewer.news.clear()
            try:
                async with asyncio.timeout(_HEARTBEAT):
                    await viewer.news.wait()
            except TimeoutError:
                continue

    def _news(self, viewer: Viewer) -> list[tuple[str, Any]]:
        """What the viewer has not been told yet."""
        told: dict[str, str] = {"unresolved": str(self.unresolved())}
        if viewer.wants_parts:
            told |= {"needs": str(self.needs() or 0)}
            told |= {f"part-{name}": html for name, html in self._parts.items()}
        if viewer.order in self._states:
            told["order"] = self._states[viewer.order]
        news = {name: value for name, value in told.items() if viewer.sent.get(name) != value}
        viewer.sent.update(news)
        return [
            ("part", {"id": name, "html": value}) if name.startswith("part-") else (name, value)
            for name, value in news.items()
        ]

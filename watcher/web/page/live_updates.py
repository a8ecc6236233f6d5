"""Live updates of the page: rendered once for each principal, sent to every viewer.

Nothing is rendered without viewers. A stream ends when the daemon stops, when the viewer's session
ends, and when the viewer stops reading.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from aiohttp import web

from watcher.errors import StoreError
from watcher.web.context import WebContext
from watcher.web.page.overview import Overview, gather, parts
from watcher.web.principal import LOCAL, Principal, principal_of
from watcher.web.rate_limit import ConcurrencyLimit

log = structlog.get_logger()

MOST_VIEWERS = 64
FRESH_FOR = 2.0  # seconds
_SHARE = 20.0  # at most a twentieth of the time is spent on rendering
_HEARTBEAT = 15.0
_READ_WITHIN = 10.0
_KEPT = 3600.0  # seconds that the snapshot of a principal without viewers is kept

Key = tuple[str, str]  # panel, order id


class Viewer(msgspec.Struct, eq=False):
    """An open stream: the first page's parts or one order, and the counts."""

    principal: Principal
    wants_parts: bool
    order: Key | None
    is_let_in: Callable[[], bool]
    changed: asyncio.Event
    sent: dict[str, str]


class Snapshot(msgspec.Struct, frozen=True):
    """The first page as a principal sees it: when it was rendered, and how long that took."""

    overview: Overview
    parts: dict[str, str]
    made_at: float
    took: float


class LiveUpdates:
    """Keeps the page up to date for all viewers."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._seats = ConcurrencyLimit(MOST_VIEWERS, retry_after=30.0)
        self._viewers: set[Viewer] = set()
        self._task: asyncio.Task[None] | None = None
        self._making = asyncio.Lock()
        self._snapshots: dict[Principal, Snapshot] = {}
        self._states: dict[Key, str] = {}
        self._closed = False

    async def parts(self, principal: Principal = LOCAL) -> dict[str, str]:
        """Return the first page's parts as HTML, by name; at most some seconds old."""
        return (await self._freshen(principal)).parts

    def needs(self, principal: Principal) -> int | None:
        """Return how many things needed a person at the last rendering; None before the first."""
        made = self._snapshots.get(principal)
        return made.overview.needs if made else None

    def unresolved(self, principal: Principal) -> int:
        """Return how many actions have an unknown outcome."""
        if self._context.leadership.is_clustered:
            states = self._context.daemon_status.panels()
            return sum(sum(s.unresolved.values()) for s in states if principal.reaches(s.name))
        found = self._context.rule_engine.unresolved.values()
        return sum(principal.reaches(panel) for panel, _ in found)

    async def show(
        self,
        request: web.Request,
        *,
        wants_parts: bool,
        order: Key | None,
        is_let_in: Callable[[], bool],
    ) -> web.StreamResponse:
        """Send changes until either side ends the stream."""
        with self._seats:
            response = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
            )
            principal = principal_of(request)
            viewer = Viewer(principal, wants_parts, order, is_let_in, asyncio.Event(), {})
            self._enter(viewer)
            try:
                await response.prepare(request)
                await self._tell(viewer, response)
            except (ConnectionError, TimeoutError):
                pass  # the viewer has gone, or does not read
            finally:
                self._viewers.discard(viewer)
            return response

    async def close(self) -> None:
        """End all streams: the daemon stops."""
        self._closed = True
        for viewer in self._viewers:
            viewer.changed.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _enter(self, viewer: Viewer) -> None:
        self._viewers.add(viewer)
        if not self._closed and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Render and wake the viewers while there are any."""
        while self._viewers:
            try:
                for principal in {one.principal for one in self._viewers if one.wants_parts}:
                    if self._is_stale(principal):
                        await self._freshen(principal)
                await self._look_at_orders()
            except StoreError as error:
                log.warning("page.stale", cause=str(error))
            for viewer in self._viewers:
                viewer.changed.set()
            await asyncio.sleep(FRESH_FOR)

    def _is_stale(self, principal: Principal) -> bool:
        """Return whether to render again; the longer rendering takes, the less often."""
        made = self._snapshots.get(principal)
        return made is None or time.monotonic() - made.made_at >= _SHARE * made.took

    async def _freshen(self, principal: Principal) -> Snapshot:
        async with self._making:
            began, made = time.monotonic(), self._snapshots.get(principal)
            if made is not None and began - made.made_at < FRESH_FOR:
                return made
            overview = await gather(self._context, principal)
            shown, now = parts(overview), time.monotonic()
            self._snapshots = {
                whose: one for whose, one in self._snapshots.items() if now - one.made_at < _KEPT
            }
            made = self._snapshots[principal] = Snapshot(overview, shown, now, now - began)
            return made

    async def _look_at_orders(self) -> None:
        wanted = {viewer.order for viewer in self._viewers if viewer.order}
        self._states = {key: await self._state_of(key) for key in wanted}

    async def _state_of(self, key: Key) -> str:
        """Return a text that differs whenever the order or its actions have changed."""
        panel, order_id = key
        actions, _ = await self._context.store.actions.page(panel=panel, order=order_id, limit=5)
        order = self._context.watchlist.order(panel, order_id)
        if not self._context.leadership.leads(panel):
            order = await self._context.store.orders.get(panel, order_id)
        entry = self._context.watchlist.entry(panel, order_id)
        shown = (order, entry and entry.checked_at, [(a.id, a.state) for a in actions])
        return f"{hash(repr(shown)) & 0xFFFFFFFF:x}"

    async def _tell(self, viewer: Viewer, response: web.StreamResponse) -> None:
        while not self._closed and viewer.is_let_in():
            lines = [
                f"event: {name}\ndata: {msgspec.json.encode(value).decode()}\n\n"
                for name, value in self._changes(viewer)
            ]
            async with asyncio.timeout(_READ_WITHIN):
                await response.write("".join(lines or [": \n\n"]).encode(errors="replace"))
            viewer.changed.clear()
            try:
                async with asyncio.timeout(_HEARTBEAT):
                    await viewer.changed.wait()
            except TimeoutError:
                continue

    def _changes(self, viewer: Viewer) -> list[tuple[str, Any]]:
        """Return what the viewer has not been sent yet."""
        current: dict[str, str] = {"unresolved": str(self.unresolved(viewer.principal))}
        made = self._snapshots.get(viewer.principal)
        if viewer.wants_parts and made is not None:
            current |= {"needs": str(made.overview.needs)}
            current |= {f"part-{name}": html for name, html in made.parts.items()}
        if viewer.order in self._states:
            current["order"] = self._states[viewer.order]
        changes = {name: value for name, value in current.items() if viewer.sent.get(name) != value}
        viewer.sent.update(changes)
        return [
            ("part", {"id": name, "html": value}) if name.startswith("part-") else (name, value)
            for name, value in changes.items()
        ]

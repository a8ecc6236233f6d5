"""Ends the daemon at a chosen point of its work, as a crash would.

While a fuse is in place, the daemon's writes and requests pass it. At the chosen point it blows:
that call raises Crash, and so does every later one of that life, so that nothing more gets out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

from watcher.panels.client import PanelClient
from watcher.store.database import Database

_operation: ContextVar[str] = ContextVar("operation", default="record")
_action: ContextVar[str] = ContextVar("action", default="")
_ACTING = frozenset({"refill", "cancel", "add"})


class Crash(BaseException):
    """The daemon is no more. No handler of errors may catch it."""


class Moment(StrEnum):
    """When, in an operation."""

    BEFORE = "before"
    DURING = "during"  # a transaction: written, not committed; a request: it has arrived
    AFTER = "after"  # committed, or answered; nobody has heard of it yet


class Point(tuple[str, Moment]):
    """An operation and a moment in it; the operation "" stands for any."""

    __slots__ = ()

    def is_met(self, operation: str, moment: Moment) -> bool:
        return self[0] in ("", operation) and (self[0] == "" or self[1] is moment)


class Fuse:
    """Blows when the point that it is set to has been passed often enough."""

    ends = True  # whatever comes to it when it blows

    def __init__(self) -> None:
        self.blown = asyncio.Event()
        self._point: Point | None = None
        self._passes = 0
        self._parts: dict[int, object] = {}
        self._dead: dict[int, object] = {}  # kept, so that no id is given out anew
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_set(self) -> bool:
        return self._point is not None

    def set_to(self, operation: str, moment: Moment, passes: int = 0) -> None:
        """Blow at this point, after so many passes of it."""
        self._point = Point((operation, moment))
        self._passes = passes

    def unset(self) -> None:
        self._point = None

    def renew(self) -> None:
        """A new life begins."""
        self.unset()
        self.blown.clear()

    def blow(self) -> None:
        """Here and now. What has passed so far belongs to this life, and does nothing more."""
        self.unset()
        self._dead.update(self._parts)
        self._parts = {}
        if self._loop is not None:  # a transaction's work runs in a thread
            self._loop.call_soon_threadsafe(self.blown.set)
        else:
            self.blown.set()

    def runs_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Whoever waits for the fuse to blow waits in this loop."""
        self._loop = loop

    def passes(self, part: object, operation: str, moment: Moment) -> None:
        """A part of the daemon has come to this point; raises Crash where it ends there."""
        if id(part) in self._dead:
            raise Crash
        self._parts[id(part)] = part
        if self._comes_to_its_end(operation, moment):
            self.blow()
            if self.ends:
                raise Crash

    def arrives(self, operation: str) -> None:
        """A request has arrived at its panel, which carries it out whatever becomes of us."""
        if self._comes_to_its_end(operation, Moment.DURING):
            self.blow()

    def _comes_to_its_end(self, operation: str, moment: Moment) -> bool:
        if self._point is None or not self._point.is_met(operation, moment):
            return False
        self._passes -= 1
        return self._passes < 0


def acting() -> str:
    """The action whose request is under way here; "" for one that only asks."""
    action = _action.get()
    return action if action in _ACTING else ""


@contextmanager
def in_place(fuse: Fuse) -> Iterator[None]:
    """Every database and every panel's client passes the fuse meanwhile."""
    plain = Database.write, Database.transaction, PanelClient._request
    write, transaction, request = _fused(fuse, *plain)
    Database.write, Database.transaction = write, transaction  # type: ignore[method-assign]
    PanelClient._request = request  # type: ignore[method-assign]
    try:
        yield
    finally:
        Database.write, Database.transaction, PanelClient._request = plain  # type: ignore[method-assign]


def _fused(
    fuse: Fuse,
    plain_write: Callable[..., Awaitable[Any]],
    plain_transaction: Callable[..., Awaitable[Any]],
    plain_request: Callable[..., Awaitable[Any]],
) -> tuple[Any, Any, Any]:
    async def write(database: Database, operation: str, work: Any) -> Any:
        token = _operation.set(operation)
        try:
            return await plain_write(database, operation, work)
        finally:
            _operation.reset(token)

    async def transaction(database: Database, work: Any) -> Any:
        operation = _operation.get()
        fuse.runs_in(asyncio.get_running_loop())

        def fused(connection: Any) -> Any:
            result = work(connection)
            fuse.passes(database, operation, Moment.DURING)
            return result

        fuse.passes(database, operation, Moment.BEFORE)
        result = await plain_transaction(database, fused)
        fuse.passes(database, operation, Moment.AFTER)
        return result

    async def request(client: PanelClient, session: Any, action: str, *rest: Any) -> Any:
        fuse.passes(client, action, Moment.BEFORE)
        token = _action.set(action)
        try:
            return await plain_request(client, session, action, *rest)
        finally:
            _action.reset(token)
            fuse.passes(client, action, Moment.AFTER)

    return write, transaction, request

"""The parts of the daemon that the web layer uses, routes as data, and readers of requests."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web

from watcher.common.clock import Clock
from watcher.config import ActiveConfig, ReloadOutcome
from watcher.daemon.backups import Backups
from watcher.daemon.checks import Checks
from watcher.daemon.commands import OrderCommands
from watcher.daemon.health import DaemonHealth
from watcher.daemon.leadership import Leadership
from watcher.daemon.panel_workers import PanelWorkers
from watcher.daemon.pauses import Pauses
from watcher.daemon.status import DaemonStatus
from watcher.errors import NotFound, RequestError
from watcher.metrics import Metrics
from watcher.model import Order, Phase
from watcher.notify.receivers import Receivers
from watcher.orders.schedule import Forecast
from watcher.orders.watchlist import Watchlist
from watcher.rules.engine import RuleEngine
from watcher.store import Store
from watcher.web.principal import principal_of
from watcher.web.shapes import OrderView
from watcher.web.views import order_view


class WebContext(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the daemon that the web layer uses."""

    store: Store
    watchlist: Watchlist
    rule_engine: RuleEngine
    commands: OrderCommands
    checks: Checks
    pauses: Pauses
    daemon_status: DaemonStatus
    health: DaemonHealth
    backups: Backups
    panel_workers: Mapping[str, PanelWorkers]
    receivers: Receivers
    metrics: Metrics
    config: ActiveConfig
    clock: Clock
    leadership: Leadership
    reload: Callable[[], Awaitable[ReloadOutcome]]

    def view(self, order: Order) -> OrderView:
        """Return an order of the database for an answer: memory follows it, and has less of it."""
        panel, now = self.config.panel(order.panel), self.clock()
        limit = None if panel is None else panel.settings.stalled_after
        entry = self.watchlist.entry(order.panel, order.id)
        return order_view(order, entry, self._next_check_at(order, now), now, limit)

    def _next_check_at(self, order: Order, now: float) -> float | None:
        if order.phase is Phase.CLOSED:  # memory may not have heard of it yet
            return None
        at = self.watchlist.panel(order.panel).next_check(order.id, now)
        return None if at is None else max(at, self._asks_from(order.panel, now))

    def tells_of_refills(self, panel: str) -> bool:
        """Return whether the panel's API can report the statuses of refills."""
        known = self.config.panel(panel)
        return known is not None and known.profile.can("refill_status")

    def forecast_of(self, order: Order) -> Forecast | None:
        """Return the forecast of the order's next check, None if it is closed."""
        return None if order.phase is Phase.CLOSED else self.forecast(order.panel, order.id)

    def forecast(self, panel: str, order_id: str) -> Forecast | None:
        """Return the forecast of a watched order's next check, None if it is not watched."""
        now = self.clock()
        found = self.watchlist.panel(panel).predict(order_id, now)
        asks_from = self._asks_from(panel, now)
        if found is None or found.at is None or found.at >= asks_from:
            return found
        reason = f"{found.reason}: the panel is paused until then"
        return msgspec.structs.replace(found, at=asks_from, reason=reason)

    def _asks_from(self, panel: str, now: float) -> float:
        """Return when the panel's pause ends; 0 if nothing keeps the daemon from asking it."""
        workers = self.panel_workers.get(panel)
        return (workers.gateway.paused_until(now) if workers else None) or 0.0


CONTEXT = web.AppKey("context", WebContext)

SMALL_BODY = 64 * 1024  # bytes
LARGEST_BODY = 32 * 1024 * 1024  # bytes: 10,000 orders with long links
BODY_WITHIN = 60.0  # seconds that a body may take to arrive
_ROUNDED = 0.000001  # seconds: times in answers are rounded, and `since` includes its own time
LARGE_BODIES = web.AppKey("large_bodies", asyncio.Semaphore)


def large_bodies() -> asyncio.Semaphore:
    """Return the semaphore that limits large bodies in memory; other requests wait, unread."""
    return asyncio.Semaphore(2)


class TooLarge(RequestError):
    """The body is larger than the request can need."""

    status = 413
    code = "too_large"


class TooSlow(RequestError):
    """The body did not arrive in time."""

    status = 408
    code = "too_slow"


Handler = Callable[[WebContext, web.Request], Awaitable[tuple[int, msgspec.Struct]]]


class Param(msgspec.Struct, frozen=True):
    """A query parameter or header of a route."""

    name: str
    schema: dict[str, Any]
    text: str
    place: str = "query"
    required: bool = False


class Route(msgspec.Struct, frozen=True):
    """A call of the API: its method and path, its body and its answers by status.

    `at_once` is how many requests of it may be under way.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    gives: dict[int, type[msgspec.Struct]]
    takes: type[msgspec.Struct] | None = None
    params: tuple[Param, ...] = ()
    at_once: int = 64


TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
FLAG: dict[str, Any] = {"type": "boolean"}
LIMIT = Param(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    "How many at the most.",
)
CURSOR = Param("cursor", {"type": "string", "pattern": "^[0-9]{1,18}$"}, "`next` of the last page.")
TAG = Param("tag", TEXT, "With this tag only.")
PANEL = Param("panel", TEXT, "Of this panel only.")
SINCE = Param(
    "since", {"type": "string", "format": "date-time"}, "From this time on, with its time zone."
)


def check_given(request: web.Request, params: Iterable[Param]) -> None:
    """Raise RequestError if one of the parameters is given without a value."""
    for param in params:
        if request.query.get(param.name) == "":
            raise RequestError(f"{param.name}: it is empty: give a value, or leave it out")


async def read_body(request: web.Request, kind: type[Any], most: int = SMALL_BODY) -> Any:
    """Read the JSON body as a struct; RequestError says what is wrong with it."""
    length = request.content_length
    check_size(length or 0, most)
    small = length is not None and length <= SMALL_BODY
    async with nullcontext() if small else request.app[LARGE_BODIES]:
        body = await whole_body(request)
        check_size(len(body), most)
        try:
            return msgspec.json.decode(body, type=kind)
        except UnicodeDecodeError:
            raise RequestError("the body: it is not UTF-8") from None
        except RecursionError:
            raise RequestError("the body: it is nested too deeply") from None
        except (msgspec.DecodeError, ValueError, ArithmeticError) as error:
            raise RequestError(f"the body: {error}") from None


def check_size(size: int, most: int) -> None:
    """Raise TooLarge for a body of more than so many bytes."""
    if size > most:
        raise TooLarge(f"a body of {size:,} bytes: {most:,} are the most")


async def whole_body(request: web.Request) -> bytes:
    """Read the body; TooSlow if it does not arrive in time."""
    try:
        async with asyncio.timeout(BODY_WITHIN):
            return await request.read()
    except TimeoutError:
        raise TooSlow from None


def limit_of(request: web.Request) -> int:
    """Return `limit` of the query."""
    limit = number_of(request, "limit", 100)
    if not 1 <= limit <= 1000:
        raise RequestError("limit: from 1 to 1000")
    return limit


def page_of(request: web.Request) -> tuple[int, int]:
    """Return `limit` and `cursor` of the query."""
    return limit_of(request), number_of(request, "cursor", 0)


def flag(request: web.Request, name: str) -> bool:
    """Read a query parameter that is true or false."""
    text = request.query.get(name, "false").lower()
    if text not in ("true", "false", "1", "0", ""):
        raise RequestError(f"{name}: true or false")
    return text in ("true", "1")


async def action_id(request: web.Request) -> int:
    """Read the action's number in the path; NotFound if its panel is out of the key's reach."""
    text = request.match_info["id"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise NotFound(f"there is no action {text[:20]!r}")
    await check_reach(request, int(text))
    return int(text)


async def check_reach(request: web.Request, action_number: int) -> None:
    """Raise NotFound if the action's panel is out of the key's reach."""
    principal = principal_of(request)
    if principal.panels is not None:
        action = await request.app[CONTEXT].store.actions.get(action_number)
        if action is None or not principal.reaches(action.panel):
            raise NotFound(f"there is no action {action_number}")


def one_of(request: web.Request, name: str, words: Any) -> Any:
    """Read a query parameter that is a word of the enum, None without it."""
    text = request.query.get(name)
    if not text:
        return None
    try:
        return words(text)
    except ValueError:
        raise RequestError(f"{name}: one of {', '.join(words)}") from None


def time_of(request: web.Request, name: str) -> float | None:
    """Read a query parameter that is a time, as Unix seconds; None without it."""
    text = request.query.get(name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.timestamp() - _ROUNDED
    except (ValueError, OverflowError):
        pass
    raise RequestError(f"{name}: a time with its zone is wanted, as 2026-01-31T12:00:00Z")


def number_of(request: web.Request, name: str, default: int) -> int:
    """Read a query parameter that is a whole number."""
    text = request.query.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise RequestError(f"{name}: a number is wanted, not {text[:20]!r}")
    return int(text)

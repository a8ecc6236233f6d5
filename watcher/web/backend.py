"""What the web needs of the daemon, and the form of a route."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web

from watcher.backups import Backups
from watcher.book import Book
from watcher.cadence import Prospect
from watcher.clocks import Clock
from watcher.config import ActiveConfig
from watcher.errors import NotFound, RequestError
from watcher.health import Health
from watcher.intake import Intake
from watcher.judge import Judge
from watcher.metrics import Metrics
from watcher.model import Order
from watcher.outlets import Outlets
from watcher.station import Station
from watcher.store import Store
from watcher.survey import Survey
from watcher.web.shapes import OrderView
from watcher.web.views import order_view


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """What the web needs of the daemon."""

    store: Store
    book: Book
    judge: Judge
    intake: Intake
    survey: Survey
    health: Health
    backups: Backups
    stations: Mapping[str, Station]
    outlets: Outlets
    metrics: Metrics
    config: ActiveConfig
    clock: Clock

    def view(self, order: Order) -> OrderView:
        """An order as it is told."""
        station, now = self.stations.get(order.panel), self.clock()
        limit = None if station is None else station.config.settings.stalled_after
        entry = self.book.entry(order.panel, order.id)
        next_check_at = self.book.next_check(order.panel, order.id, now)
        return order_view(order, entry, next_check_at, now, limit)

    def tells_of_refills(self, panel: str) -> bool:
        """Whether the panel's API tells how far refills are."""
        station = self.stations.get(panel)
        return station is not None and station.config.profile.can("refill_status")

    def prospect(self, order: Order) -> Prospect | None:
        """The order's next check, None where it is closed."""
        return self.book.prospect(order.panel, order.id, self.clock())


BACKEND = web.AppKey("backend", Backend)

SMALL_BODY = 64 * 1024  # bytes
LARGEST_BODY = 32 * 1024 * 1024  # bytes: 10,000 orders with long links
BODY_WITHIN = 60.0  # seconds that a body may take to arrive
_ROUNDED = 0.000001  # seconds: times are told rounded, and what is told of a time is from it on
LARGE_BODIES = web.AppKey("large_bodies", asyncio.Semaphore)


def large_bodies() -> asyncio.Semaphore:
    """As many large bodies as are held in memory at once; the others wait on the wire."""
    return asyncio.Semaphore(2)


class TooLarge(RequestError):
    """The body is larger than what is asked for can need."""

    status = 413
    code = "too_large"


class TooSlow(RequestError):
    """The body did not arrive in time."""

    status = 408
    code = "too_slow"


Handler = Callable[[Backend, web.Request], Awaitable[tuple[int, msgspec.Struct]]]


class Param(msgspec.Struct, frozen=True):
    """A query parameter or header of a route."""

    name: str
    schema: dict[str, Any]
    text: str
    place: str = "query"
    required: bool = False


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A call of the API: how it is reached, what it takes and what it gives.

    `at_once` is how many of it may be under way.
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
PANEL = Param("panel", TEXT, "Of this panel only.")
SINCE = Param(
    "since", {"type": "string", "format": "date-time"}, "From this time on, with its time zone."
)


async def read_body(request: web.Request, kind: type[Any], most: int = SMALL_BODY) -> Any:
    """The JSON body as a struct; RequestError says what is wrong with it."""
    length = request.content_length
    if length is not None and length > most:
        raise TooLarge(f"a body of {length:,} bytes: {most:,} are the most")
    small = length is not None and length <= SMALL_BODY
    async with nullcontext() if small else request.app[LARGE_BODIES]:
        body = await whole_body(request)
        if len(body) > most:
            raise TooLarge(f"a body of {len(body):,} bytes: {most:,} are the most")
        try:
            return msgspec.json.decode(body, type=kind)
        except UnicodeDecodeError:
            raise RequestError("the body: it is not UTF-8") from None
        except RecursionError:
            raise RequestError("the body: it is nested too deeply") from None
        except (msgspec.DecodeError, ValueError, ArithmeticError) as error:
            raise RequestError(f"the body: {error}") from None


async def whole_body(request: web.Request) -> bytes:
    """The body; TooSlow where it does not arrive in time."""
    try:
        async with asyncio.timeout(BODY_WITHIN):
            return await request.read()
    except TimeoutError:
        raise TooSlow from None


def page_of(request: web.Request) -> tuple[int, int]:
    """`limit` and `cursor` of the query."""
    limit = _number(request, "limit")
    if limit is None:
        limit = 100
    if not 1 <= limit <= 1000:
        raise RequestError("limit: from 1 to 1000")
    return limit, _number(request, "cursor") or 0


def flag(request: web.Request, name: str) -> bool:
    """A query parameter that is true or false."""
    text = request.query.get(name, "false").lower()
    if text not in ("true", "false", "1", "0", ""):
        raise RequestError(f"{name}: true or false")
    return text in ("true", "1")


def action_id(request: web.Request) -> int:
    """The action's number in the path."""
    text = request.match_info["id"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise NotFound(f"there is no action {text[:20]!r}")
    return int(text)


def one_of(request: web.Request, name: str, words: Any) -> Any:
    """A query parameter that is a word of the enum, None where it is not given."""
    text = request.query.get(name)
    if not text:
        return None
    try:
        return words(text)
    except ValueError:
        raise RequestError(f"{name}: one of {', '.join(words)}") from None


def time_of(request: web.Request, name: str) -> float | None:
    """A query parameter that is a time, as Unix seconds; None where it is not given."""
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


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise RequestError(f"{name}: a number is wanted, not {text[:20]!r}")
    return int(text)

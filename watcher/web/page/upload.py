"""The page that tracks a list of orders: first a preview, then what was previewed.

Between the two steps the orders wait in memory, compressed: few lists, and not for long.
"""

import asyncio
import codecs
import secrets
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import BodyPartReader, web

from watcher.common.clock import Clock
from watcher.errors import NotFound, RequestError
from watcher.web.context import (
    BODY_WITHIN,
    CONTEXT,
    LARGE_BODIES,
    TooSlow,
    WebContext,
    check_size,
    number_of,
)
from watcher.web.guard import UPLOAD, UPLOADED, BadBody, is_page
from watcher.web.list_reader import read_list
from watcher.web.order_import.dates import DateOrder
from watcher.web.order_import.preview import MOST_ORDERS, ListOptions, Preview, items
from watcher.web.order_import.tracked import order_of
from watcher.web.order_routes import track_all
from watcher.web.page.live_updates import LiveUpdates
from watcher.web.page.rendering import query
from watcher.web.principal import Principal, principal_of
from watcher.web.rate_limit import ConcurrencyLimit

MOST_BYTES = 10 << 20  # of a file
MOST_WAITING = 4  # lists between the two steps
WAITS = 900.0  # seconds
_MOST_FIELDS = 20
_LONGEST_FIELD = 1000  # bytes
_COUNTS = ("tracked", "known", "updated")


class Waiting(msgspec.Struct, frozen=True):
    """A list that was previewed, until it is tracked or forgotten."""

    panel: str
    batches: list[bytes]
    until: float


class Uploads:
    """Lists between preview and tracking; the oldest is forgotten for a new one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: OrderedDict[str, Waiting] = OrderedDict()
        self._reading = ConcurrencyLimit(1)

    async def preview(self, request: web.Request) -> dict[str, Any]:
        """Read the form's list; return the variables of the template of the preview."""
        context = request.app[CONTEXT]
        with self._reading:
            form, raw = await _form_of(request)
            options = _options(context, principal_of(request), form)
            if not raw:
                raise RequestError("choose a file with a list of orders")
            found = await read_list(raw, options)
        if found.too_large:
            raise RequestError(
                f"more than {MOST_ORDERS:,} orders, or too much text: split the list, or use "
                "`watcher track --file`"
            )
        return {
            "here": "orders",
            "panel": options.panel,
            "preview": found,
            "notes": _sentences(found),
            "token": self._keep(options.panel, found) if found.count else None,
            "unit": found.layout.unit if found.layout else "line",
        }

    async def track(self, request: web.Request) -> str:
        """Track a list that was previewed; return the address of the result."""
        waiting = self._take(request.match_info["token"])
        context, principal = request.app[CONTEXT], principal_of(request)
        counts = dict.fromkeys(_COUNTS, 0)
        for batch in waiting.batches:
            now = context.clock()
            listed = {(item.panel, str(item.order)): item for item in items(zlib.decompress(batch))}
            orders = {place: order_of(item, now) for place, item in listed.items()}
            for panel in {panel for panel, _ in orders}:
                principal.check_panel(panel)  # another key may have made the preview
            answer = await track_all(request, orders, listed)
            counts = {name: counts[name] + getattr(answer, name) for name in _COUNTS}
        return query(UPLOAD, {**counts, "panel": waiting.panel, "done": "true"})

    def _keep(self, panel: str, found: Preview) -> str:
        self._forget()
        token = secrets.token_urlsafe(16)
        batches = [zlib.compress(batch) for batch in found.batches]
        self._waiting[token] = Waiting(panel, batches, self._clock() + WAITS)
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popitem(last=False)
        return token

    def _take(self, token: str) -> Waiting:
        self._forget()
        waiting = self._waiting.pop(token, None)
        if waiting is None:
            raise NotFound("this list was tracked already, or waited too long: upload it again")
        return waiting

    def _forget(self) -> None:
        """Forget the lists that have waited too long."""
        now = self._clock()
        for token in [token for token, one in self._waiting.items() if one.until <= now]:
            del self._waiting[token]


async def show(request: web.Request, live: LiveUpdates) -> dict[str, Any]:
    """Return the variables of the template of the form."""
    context = request.app[CONTEXT]
    return {
        "here": "orders",
        "panels": sorted(principal_of(request).among(context.config.current.panels)),
        "panel": request.query.get("panel", ""),
        "done": bool(request.query.get("done")),
        "counts": {name: number_of(request, name, 0) for name in _COUNTS},
        "most_megabytes": MOST_BYTES >> 20,
        "most_orders": MOST_ORDERS,
    }


def _options(context: WebContext, principal: Principal, form: dict[str, str]) -> ListOptions:
    panel = form.get("panel", "")
    context.commands.check_panel(panel)
    principal.check_panel(panel)
    dates = form.get("dates", "")
    if dates not in ("", *DateOrder):
        raise RequestError(f"dates: one of {', '.join(DateOrder)}, or nothing")
    columns = {"order": form["column"]} if form.get("column") else {}
    return ListOptions(
        panel=panel,
        now=context.clock(),
        columns=columns,
        dates=DateOrder(dates) if dates else None,
        provider=form.get("provider") or None,
        encoding=_encoding(form.get("encoding", "")),
        service=_service(form.get("service", "")),
        panels=sorted(principal.among(context.config.current.panels)),
        listed=sorted(context.rule_engine.services.get(panel, {})),
    )


def _encoding(name: str) -> str | None:
    try:
        return codecs.lookup(name).name if name else None
    except (LookupError, ValueError):
        cause = f"there is no encoding {name!r}: use one such as cp1251, cp1254 or latin-1"
        raise RequestError(cause) from None


def _service(text: str) -> str | None:
    if len(text) > 64 or any(letter.isspace() or letter == "," for letter in text):
        raise RequestError(f"{text[:64]!r} is no service's id")
    return text or None


def _sentences(found: Preview) -> list[str]:
    """Return what is to be known of the list, as `watcher track --dry-run` has it."""
    unit = found.layout.unit if found.layout else "line"
    remarks = list(found.layout.remarks) if found.layout else []
    return [*remarks, *(note.sentence(unit) for note in found.notes), *found.warnings]


async def _form_of(request: web.Request) -> tuple[dict[str, str], bytes]:
    """Return the form's fields, and the bytes of its file."""
    if not is_page(request) or request.content_type != UPLOADED:
        raise BadBody("a form with a file is wanted")
    check_size(request.content_length or 0, MOST_BYTES + _MOST_FIELDS * _LONGEST_FIELD)
    fields: dict[str, str] = {}
    raw = b""
    async with request.app[LARGE_BODIES]:
        try:
            async with asyncio.timeout(BODY_WITHIN):
                async for part in _parts(request):
                    if part.name == "file":
                        raw = await _read(part, MOST_BYTES)
                    else:
                        fields[part.name or ""] = (await _read(part, _LONGEST_FIELD)).decode()
        except TimeoutError:
            raise TooSlow from None
        except (ValueError, AssertionError, LookupError):
            raise RequestError("the form can't be read") from None
    return {name: value.strip() for name, value in fields.items()}, raw


async def _parts(request: web.Request) -> AsyncIterator[BodyPartReader]:
    reader = await request.multipart()
    for _ in range(_MOST_FIELDS):
        part = await reader.next()
        if part is None:
            return
        if not isinstance(part, BodyPartReader):
            raise ValueError("a form within a form")
        yield part
    raise ValueError("too many fields")


async def _read(part: BodyPartReader, most: int) -> bytes:
    found = bytearray()
    while chunk := await part.read_chunk(1 << 16):
        found += chunk
        check_size(len(found), most)
    return bytes(found)

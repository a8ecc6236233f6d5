"""`watcher services`: a panel's price list, and how well each service delivers."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer

from watcher.cli.api_client import ApiClient, path_of
from watcher.cli.command import command
from watcher.cli.options import Json, PanelArgument
from watcher.cli.output import optional_span, show_json
from watcher.cli.tables import Column, show_table
from watcher.web.panel_shapes import LessonView, ServiceList, ServiceView


class SortBy(StrEnum):
    """The columns that the table can be sorted by."""

    SERVICE = "service"
    NAME = "name"
    STARTS = "starts"
    TAKES = "takes"
    COMPLETED = "completed"
    PARTIAL = "partial"
    CANCELED = "canceled"
    REFILL = "refill"
    PRICE = "price"
    MIN = "min"
    MAX = "max"
    CANCEL = "cancel"
    TYPE = "type"
    CATEGORY = "category"


_UNKNOWN = LessonView(
    start_delay=None, duration={}, orders=0.0, completed=None, partial=None, canceled=None
)
_YES_FIRST = (SortBy.REFILL, SortBy.CANCEL)
_MOST_FIRST = (SortBy.COMPLETED, SortBy.MAX)


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """A service with what its orders have shown. Times in seconds, shares from 0 to 1."""

    service: str
    name: str
    starts: float | None
    takes: float | None
    completed: float | None
    partial: float | None
    canceled: float | None
    refill: str | bool | None
    price: Decimal | None
    min: int | None
    max: int | None
    cancel: bool | None
    type: str
    category: str


# The first to be left out in a narrow window says the least about how good a service is.
_COLUMNS = (
    Column("service", short="id", right=True),
    Column("name", flexible=True),
    Column("starts in", lambda row: optional_span(row.starts), 4, short="starts", right=True),
    Column("1,000 take", lambda row: optional_span(row.takes), 3, short="1k in", right=True),
    Column("completed", lambda row: _share(row.completed), 2, short="compl.", right=True),
    Column("partial", lambda row: _share(row.partial), 7, short="part.", right=True),
    Column("canceled", lambda row: _share(row.canceled), 6, short="canc.", right=True),
    Column("refill", drop=5),
    Column("price", lambda row: None if row.price is None else f"{row.price:f}", 1, right=True),
    Column("min", drop=9, right=True),
    Column("max", drop=8, right=True),
    Column("cancel", drop=10),
    Column("type", drop=12, flexible=True),
    Column("category", drop=11, flexible=True),
)


@command(
    "Panels and database",
    examples=("watcher services mypanel", "watcher services mypanel --sort completed"),
)
def services(
    client: ApiClient,
    panel: PanelArgument,
    sort: Annotated[
        SortBy,
        typer.Option(
            "--sort",
            metavar="COLUMN",
            help=f"Sort by this column, the best first: {', '.join(SortBy)}.",
        ),
    ] = SortBy.SERVICE,
    json: Json = False,
) -> None:
    """Show a panel's price list, and how fast and how well each service delivers."""
    raw = client.get(path_of("panels", panel, "services"))
    rows = [_row(service) for service in client.shaped(raw, ServiceList).services]
    places = sorted(range(len(rows)), key=lambda place: _key(rows[place], sort))
    if json:
        show_json({**raw, "services": [raw["services"][place] for place in places]})
        return
    empty = "no services: the panel has not sent any yet"
    show_table(_COLUMNS, [rows[place] for place in places], empty=empty)


def _row(service: ServiceView) -> _Row:
    learnt = service.learnt or _UNKNOWN
    return _Row(
        service=service.service,
        name=service.name,
        starts=learnt.start_delay,
        takes=learnt.duration.get("1000"),
        completed=learnt.completed,
        partial=learnt.partial,
        canceled=learnt.canceled,
        refill=_refill_word(service),
        price=None if service.rate is None else Decimal(service.rate),
        min=service.min,
        max=service.max,
        cancel=service.cancel,
        type=service.type,
        category=service.category,
    )


def _key(row: _Row, by: SortBy) -> tuple[Any, ...]:
    """Return what rows are sorted by: the best comes first, the unknown last."""
    value = getattr(row, by)
    if by in _YES_FIRST:
        return (value is not True,)
    if value is None:
        return (True,)
    if by is SortBy.SERVICE:
        return False, len(value), value  # 2 before 10
    if isinstance(value, str):
        return False, value.casefold()
    return False, -value if by in _MOST_FIRST else value


def _refill_word(service: ServiceView) -> str | bool | None:
    if service.gone_at:
        return "gone"
    return "disabled" if service.refill_disabled else service.refill


def _share(share: float | None) -> str | None:
    return None if share is None else f"{share:.0%}"

"""Step charts as SVG, drawn on the server: they need no script and can be printed. Pure.

A chart is 1000 by 100 units and is stretched to its place; its labels are beside it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

WIDTH, HEIGHT = 1000.0, 100.0
_MOST_POINTS = 400

Point = tuple[float, float]  # time, value
History = Sequence[tuple[float, Mapping[str, Sequence[Any]]]]


class Band(msgspec.Struct, frozen=True):
    """A status over a time, from x to x + width."""

    status: str
    x: float
    width: float
    since: float


class Mark(msgspec.Struct, frozen=True):
    """An event on the time line."""

    x: float
    at: float
    kind: str
    text: str


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """SVG paths of a step line and the area below it. `top` is the value at full height."""

    line: str
    area: str
    since: float
    until: float
    top: float
    last: float | None
    lowest: float | None = None
    bands: Sequence[Band] = ()
    marks: Sequence[Mark] = ()


def steps(
    points: Sequence[Point], since: float, until: float, *, top: float | None = None
) -> Drawing:
    """Return the chart of a value that stays until the next point changes it."""
    shown = _thinned(points)
    highest = max([value for _, value in shown], default=0.0) if top is None else top
    scale = _Scale(since, until, highest)
    parts: list[str] = []
    for at, value in shown:
        parts.append(f"H{scale.x(at):.1f}" if parts else f"M{scale.x(at):.1f},{scale.y(value):.1f}")
        parts.append(f"V{scale.y(value):.1f}")
    line = "".join(parts) + (f"H{WIDTH:.1f}" if parts else "")
    area = f"{line}V{HEIGHT:.1f}H{scale.x(shown[0][0]):.1f}Z" if shown else ""
    return Drawing(
        line=line,
        area=area,
        since=since,
        until=until,
        top=highest,
        last=shown[-1][1] if shown else None,
        lowest=min([value for _, value in shown], default=None),
    )


def course(
    history: History,
    *,
    status: str,
    remains: int | None,
    quantity: int | None,
    since: float,
    until: float,
    marks: Sequence[tuple[float, str, str]] = (),
) -> Drawing:
    """Return an order's chart: remains over time, statuses, and actions.

    `status` and `remains` are the present ones, `marks` are (time, kind, text).
    """
    until = max(until, since + 1.0)
    left = _values(history, "remains", remains, since)
    drawn = steps(
        [(at, float(value)) for at, value in left if value is not None],
        since,
        until,
        top=float(max([quantity or 0, *(value or 0 for _, value in left)])) or 1.0,
    )
    scale = _Scale(since, until, 1.0)
    statuses = _values(history, "status", status, since)
    ends = [at for at, _ in statuses[1:]] + [until]
    bands = [
        Band(value, scale.x(at), max(1.0, scale.x(end) - scale.x(at)), at)
        for (at, value), end in zip(statuses, ends, strict=True)
    ]
    placed = [Mark(scale.x(at), at, kind, text) for at, kind, text in sorted(marks)]
    return msgspec.structs.replace(drawn, bands=bands, marks=placed)


def _values(history: History, name: str, now: Any, since: float) -> list[tuple[float, Any]]:
    """Return the values of a field with their times, from `since` on."""
    found = [(at, changes[name]) for at, changes in history if name in changes]
    if not found:
        return [(since, now)]
    before = found[0][1][0]
    return [(since, before), *((at, change[1]) for at, change in found)]


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    if len(points) <= _MOST_POINTS:
        return points
    each = len(points) / _MOST_POINTS
    return [points[int(n * each)] for n in range(_MOST_POINTS)] + [points[-1]]


class _Scale:
    def __init__(self, since: float, until: float, top: float) -> None:
        self._since = since
        self._seconds = max(1e-9, until - since)
        self._top = top or 1.0

    def x(self, at: float) -> float:
        return WIDTH * min(1.0, max(0.0, (at - self._since) / self._seconds))

    def y(self, value: float) -> float:
        return HEIGHT * (1.0 - min(1.0, max(0.0, value / self._top)))

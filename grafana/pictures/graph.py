"""Draw a panel of the type `timeseries` as SVG, with a legend."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from math import ceil, floor, isfinite, log10
from time import gmtime, strftime
from typing import Any

from grafana.pictures.query import STEP, Field, Series, Source, name_of

AXIS, FOOT, TOP = 70, 24, 10  # pixels beside, below and above a graph


def graph(
    panel: Mapping[str, Any],
    found: Sequence[Sequence[Series]],
    source: Source,
    wide: float,
    high: float,
) -> str:
    """Return the panel's series within so many pixels."""
    lines = [
        (name_of(target, one), {at: v for at, v in one.points if isfinite(v)})
        for target, series in zip(panel["targets"], found, strict=True)
        for one in series
    ]
    fields = [Field(panel, name) for name, _ in lines]
    below: dict[float, float] = {}  # of a stacked series: where it begins
    tops: list[tuple[dict[float, float], dict[float, float]]] = []
    for field, (_, points) in zip(fields, lines, strict=True):
        is_stacked = field.custom["stacking"]["mode"] == "normal"
        base = {at: below.get(at, 0.0) if is_stacked else 0.0 for at in points}
        top = {at: base[at] + value for at, value in points.items()}
        below |= top if is_stacked else {}
        tops.append((base, top))
    ticks = _ticks([value for _, top in tops for value in top.values()])
    legend = "".join(
        f'<span><i style="background: {field.line(number)}"></i>{escape(name)}</span>'
        for number, (field, (name, _)) in enumerate(zip(fields, lines, strict=True))
    )
    deep = high - FOOT - 18 * (1 + len(re.sub("<.*?>", "xx", legend)) * 6 // int(wide))

    def x(at: float) -> float:
        return AXIS + (wide - AXIS) * (at - source.start) / (source.end - source.start)

    def y(value: float) -> float:
        return TOP + (deep - TOP) * (1 - (value - ticks[0]) / (ticks[-1] - ticks[0]))

    drawn = [*_grid(Field(panel), ticks, source, wide, x, y)]
    for number, (field, (base, top)) in enumerate(zip(fields, tops, strict=True)):
        drawn += _area(field, field.line(number), base, top, x, y)
    for limit, color in Field(panel).limits():
        if ticks[0] <= limit <= ticks[-1]:
            drawn.append(_stroke([(AXIS, y(limit)), (wide, y(limit))], color, "6 4"))
    return (
        f'<svg width="{wide}" height="{deep + FOOT}" font-size="12">{"".join(drawn)}</svg>'
        f'<div class="legend">{legend}</div>'
    )


def _area(
    field: Field,
    color: str,
    base: Mapping[float, float],
    top: Mapping[float, float],
    x: Callable[[float], float],
    y: Callable[[float], float],
) -> Iterable[str]:
    """Draw a series, broken where points are missing."""
    runs: list[list[float]] = []
    for at in top:
        if not runs or at - runs[-1][-1] > STEP:
            runs.append([])
        runs[-1].append(at)
    for run in runs:
        line = [(x(at), y(top[at])) for at in run]
        if fill := field.custom["fillOpacity"]:
            back = [(x(at), y(base[at])) for at in reversed(run)]
            yield f'<path d="{_path(line + back)}Z" fill="{color}" opacity="{fill / 100}"/>'
        if width := field.custom["lineWidth"]:
            yield _stroke(line, color, width=width)


def _grid(
    field: Field,
    ticks: Sequence[float],
    source: Source,
    wide: float,
    x: Callable[[float], float],
    y: Callable[[float], float],
) -> Iterable[str]:
    for tick in ticks:
        yield _stroke([(AXIS, y(tick)), (wide, y(tick))], "#2a2c33")
        yield f'<text x="{AXIS - 6}" y="{y(tick) + 4}" text-anchor="end">{field.text(tick)}</text>'
    span = source.end - source.start
    every = next((s for s in (60, 300, 900, 3600) if span / s <= 4), 14400)
    for at in range(ceil(source.start / every) * every, source.end, every):
        yield _stroke([(x(at), y(ticks[0])), (x(at), y(ticks[-1]))], "#2a2c33")
        clock = strftime("%H:%M", gmtime(at))
        yield f'<text x="{x(at)}" y="{y(ticks[0]) + 18}" text-anchor="middle">{clock}</text>'


def _ticks(values: Sequence[float]) -> list[float]:
    """Return round numbers from below the least value, or 0, to above the largest."""
    least, most = min([0.0, *values]), max([0.0, *values])
    if most == least:
        most = least + 1.0
    rough = (most - least) / 5
    size = 10.0 ** floor(log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    return [step * number for number in range(floor(least / step), ceil(most / step) + 1)]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _stroke(
    points: Sequence[tuple[float, float]], color: str, dashes: str = "none", width: float = 1
) -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<path d="{_path(points)}" stroke="{color}" stroke-width="{width}" fill="none"{dashed}/>'
    )

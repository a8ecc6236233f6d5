"""Bars and lines as SVG, readable on light and on dark ground."""

from collections.abc import Sequence
from html import escape
from math import log10

_WIDTH, _ROW, _TOP = 640, 26, 44
_LABEL, _VALUE = 190, 90  # room at the left of the bars, and at their right
_LINES = (300, 60, 30)  # of a line chart: height, room at the left, at the bottom
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.other { fill: #8c959f }
.ours { fill: #0969da }
.line { fill: none; stroke: #0969da; stroke-width: 2 }
.axis { stroke: #8c959f; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .other { fill: #6e7681 }
  .ours { fill: #4493f8 }
  .line { stroke: #4493f8 }
}
"""


def bars(title: str, rows: Sequence[tuple[str, float]], *, logarithmic: bool = False) -> str:
    """A horizontal bar for each (label, value > 0); those of `watcher` stand out."""
    width = _WIDTH - _LABEL - _VALUE
    most = max(value for _, value in rows)
    least = min(value for _, value in rows) / 2
    parts = []
    for number, (label, value) in enumerate(rows):
        share = log10(value / least) / log10(most / least) if logarithmic else value / most
        top, kind = _TOP + number * _ROW, "ours" if "watcher" in label else "other"
        size = f'width="{share * width:.1f}" height="20"'
        parts += [
            _text(_LABEL - 8, top + 15, label, anchor="end"),
            f'<rect class="{kind}" x="{_LABEL}" y="{top}" {size}/>',
            _text(_LABEL + share * width + 6, top + 15, _short(value)),
        ]
    note = " (logarithmic)" if logarithmic else ""
    return _drawing(title + note, _TOP + len(rows) * _ROW + 8, parts)


def line(title: str, across: str, points: Sequence[tuple[float, float]]) -> str:
    """A line through (x > 0, y >= 0): x logarithmic, y from zero."""
    height, left, bottom = _LINES
    base, width = height - bottom - 20, _WIDTH - left - 40
    first, last = log10(points[0][0]), log10(points[-1][0])
    most = 1.2 * max(y for _, y in points) or 1.0
    places = [
        (
            left + width * ((log10(x) - first) / (last - first) if last > first else 0.5),
            base - (base - _TOP) * y / most,
        )
        for x, y in points
    ]
    parts = [
        f'<line class="axis" x1="{left}" y1="{base}" x2="{left + width}" y2="{base}"/>',
        f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>',
        _text(left + width / 2, height - 8, across, anchor="middle"),
        _text(left - 8, base + 4, "0", anchor="end"),
    ]
    for (x, y), (at, value) in zip(places, points, strict=True):
        parts += [
            f'<circle class="ours" cx="{x:.1f}" cy="{y:.1f}" r="4"/>',
            _text(x, y - 10, _short(value), anchor="middle"),
            _text(x, base + 18, f"{at:,.0f}", anchor="middle"),
        ]
    return _drawing(title, height, parts)


def _drawing(title: str, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-label="{escape(title)}">'
    )
    heading = f'<text class="title" x="8" y="22">{escape(title)}</text>'
    return "\n".join([head, f"<style>{_STYLE}</style>", heading, *parts, "</svg>\n"])


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

"""The picture of the packages in docs/how-it-works.md: layers from pyproject.toml, arrows from the
imports themselves.

An arrow that follows from two others (a imports b, b imports c) is left out.
"""

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATH = ROOT / "docs/pictures/packages.svg"
Edges = dict[str, set[str]]

_WIDTH, _ROW, _TOP = 1080, 84, 20
_BOX = (196, 48)
_BESIDE = 10  # pixels between a box and the arrows that pass it
LONGEST = 31  # letters of a caption that fit a box

_Point = tuple[float, float]


def layers() -> list[list[str]]:
    """Packages and modules under watcher/, the uppermost layer first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    (rows,) = (one["layers"] for one in contracts if one["id"] == "layers")
    return [[name.strip() for name in row.split("|")] for row in rows]


def imports() -> Edges:
    """Which package or module imports which others, itself left out."""
    edges: Edges = {}
    for path in sorted((ROOT / "watcher").rglob("*.py")):
        room = path.relative_to(ROOT / "watcher").with_suffix("").parts[0]
        edges.setdefault(room, set()).update(_imported(path) - {room})
    return edges


def _imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("watcher.")}


def needed(edges: Edges) -> Edges:
    """Without the arrows that follow from others."""
    return {
        room: targets - {far for near in targets for far in _reached(near, edges)}
        for room, targets in edges.items()
    }


def _reached(room: str, edges: Edges) -> set[str]:
    found: set[str] = set()
    waiting = [*edges.get(room, ())]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += edges.get(one, ())
    return found


def about(room: str) -> str:
    """Return the first words of its docstring."""
    path = ROOT / "watcher" / room
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    return re.split(r"[:.]", text)[0]


def draw() -> str:
    """The picture as SVG."""
    rows = layers()
    places = {
        room: (_WIDTH * (at + 1) / (len(row) + 1), _TOP + level * _ROW)
        for level, row in enumerate(rows)
        for at, room in enumerate(row)
    }
    arrows = [
        _arrow(places[room], places[target], [*places.values()])
        for room, targets in sorted(needed(imports()).items())
        for target in sorted(targets)
        if room in places and target in places
    ]
    boxes = [_box(room, *place) for room, place in places.items()]
    height = _TOP + len(rows) * _ROW
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            'font-family="sans-serif" font-size="14" text-anchor="middle">',
            "<title>The packages of watcher; imports point down</title>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
            '<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#8a94a6"/></marker>',
            *arrows,
            *boxes,
            "</svg>\n",
        )
    )


def _arrow(start: _Point, end: _Point, boxes: Sequence[_Point]) -> str:
    """Draw an arrow that passes the rows between its ends beside their boxes."""
    x, y = start[0], start[1] + _BOX[1]
    path = f"M{x:.0f} {y:.0f}"
    for next_x, next_y in (*_gaps(start, end, boxes), end):
        middle = (y + next_y) / 2
        path += f"C{x:.0f} {middle:.0f} {next_x:.0f} {middle:.0f} {next_x:.0f} {next_y:.0f}"
        x, y = next_x, next_y + _BOX[1]
        path += f"V{y:.0f}" if next_y < end[1] else ""
    return f'<path d="{path}" fill="none" stroke="#8a94a6" marker-end="url(#head)"/>'


def _gaps(start: _Point, end: _Point, boxes: Sequence[_Point]) -> Iterator[_Point]:
    """Yield where to pass each row between: straight, or beside the box that it hits."""
    (x1, y1), (x2, y2) = start, end
    aside = _BOX[0] / 2 + _BESIDE
    for y in sorted({y for _, y in boxes if y1 < y < y2}):
        straight = x1 + (x2 - x1) * (y - y1) / (y2 - y1)
        nearest = min((x for x, level in boxes if level == y), key=lambda x: abs(x - straight))
        is_right = straight > nearest or (straight == nearest and x1 > x2)
        beside = nearest + (aside if is_right else -aside)
        yield (beside if abs(straight - nearest) < aside else straight), y


def _box(room: str, x: float, y: float) -> str:
    width, height = _BOX
    return (
        f'<g><rect x="{x - width / 2:.0f}" y="{y:.0f}" width="{width}" height="{height}" rx="6" '
        f'fill="#eef3fb" stroke="#3b5b92"/><text x="{x:.0f}" y="{y + 20:.0f}" '
        f'font-weight="bold">{escape(room)}</text><text x="{x:.0f}" y="{y + 38:.0f}" '
        f'font-size="11">{escape(about(room))}</text></g>'
    )


if __name__ == "__main__":
    PATH.write_text(draw())

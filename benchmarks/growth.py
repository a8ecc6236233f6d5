"""What a check of an order costs as orders, panels or odd answers become more.

Each point is one sweep (see `benchmarks.sweep`) of a daemon of its own; small ones are repeated,
and their median counts. The smallest points come first.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks import report
from benchmarks.panels import panels
from benchmarks.sweep import Case, Figures, daemon, make

ORDERS = (10_000, 100_000, 1_000_000, 3_000_000)
PANELS = (1, 10, 50, 200)
ODD = (0.0, 0.5, 1.0)
_USUAL_PANELS = 10
_USUAL_ORDERS = 200_000
_REPEAT = 3  # times, what has at most so many orders:
_SMALL = 100_000
KEPT = (
    "CPU µs an order",
    "peak MB",
    "ready, CPU s",
    "pause p99.9, ms",
    "longest pause, ms",
    "scrape at rest, ms",
)


def axes(most_orders: int, usual_orders: int, most_panels: int) -> dict[str, list[Case]]:
    """The points along each axis, each within these bounds."""
    usual = min(usual_orders, most_orders)
    return {
        "orders": [Case(n, min(_USUAL_PANELS, most_panels)) for n in ORDERS if n <= most_orders],
        "panels": [Case(usual, n) for n in PANELS if n <= most_panels],
        "odd": [Case(usual, min(_USUAL_PANELS, most_panels), share) for share in ODD],
    }


def measure(cases: Iterable[Case], directory: Path) -> Iterator[tuple[Case, Figures]]:
    """Each case once, the cheap ones first."""
    for case in sorted(set(cases)):
        sys.stderr.write(f"{case.orders:,} orders, {case.panels} panels, odd {case.odd:.0%} …\n")
        with tempfile.TemporaryDirectory(dir=directory) as name, panels(case.orders) as asked:
            made = make(Path(name) / "made.db", case.orders, case.panels)
            times = _REPEAT if case.orders <= _SMALL else 1
            runs = [daemon(case, asked, made, Path(name)) for _ in range(times)]
        figures = report.median(runs)
        yield case, {what: figures[what] for what in KEPT}


def against_first(found: dict[Case, Figures], cases: Iterable[Case]) -> list[Figures]:
    """The figures along an axis, each with its CPU an order by that of the first point."""
    points = [found[case] for case in cases]
    what = KEPT[0]
    return [{**point, "CPU ÷ first": point[what] / points[0][what]} for point in points]


def main() -> None:
    options = _options()
    along = axes(options.most_orders, options.usual_orders, options.most_panels)
    along = {axis: cases for axis, cases in along.items() if axis in options.axes}
    found = dict(measure([case for cases in along.values() for case in cases], options.directory))
    told = {}
    for axis, cases in along.items():
        points = against_first(found, cases)
        labels = [f"{getattr(case, axis):,}" for case in cases]
        print(f"\nmore {axis}\n{report.table(dict(zip(labels, points, strict=True)))}")
        told[axis] = [
            {**case._asdict(), **point} for case, point in zip(cases, points, strict=True)
        ]
    if options.json:
        report.write(options.json, "growth", {"axes": told})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most-orders", type=int, default=ORDERS[-1])
    parser.add_argument("--usual-orders", type=int, default=_USUAL_ORDERS)
    parser.add_argument("--most-panels", type=int, default=PANELS[-1])
    names = list(axes(0, 0, 0))
    parser.add_argument("--axes", nargs="*", choices=names, default=names)
    parser.add_argument("--directory", type=Path, help="for the databases (3 GB)")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()

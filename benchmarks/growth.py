"""What a check of an order costs as orders, panels or odd answers become more.

Each point is one sweep (see `benchmarks.sweep`) of a daemon of its own; small ones are repeated,
and their median counts. The smallest points come first.
"""

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from sys import stderr

from benchmarks import report
from benchmarks.panels import panels
from benchmarks.sweep import Case, Figures, daemon, make

ORDERS = (10_000, 100_000, 1_000_000, 3_000_000)
PANELS = (1, 10, 50, 200)
ODD = (0.0, 0.5, 1.0)
_USUAL_PANELS = 10
_USUAL_ORDERS = 200_000
_SMALL = 100_000  # orders, up to which points are repeated
TOLD = (
    "CPU µs an order",
    "CPU ÷ first",
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


def measure(
    cases: Iterable[Case], directory: Path | None, repeat: int
) -> Iterator[tuple[Case, Figures]]:
    """Each case, the cheap ones first."""
    with tempfile.TemporaryDirectory(dir=directory) as name:
        for case in sorted(set(cases)):
            print(
                f"{case.orders:,} orders, {case.panels} panels, odd {case.odd:.0%} …", file=stderr
            )
            made = Path(name) / "made.db"
            made.unlink(missing_ok=True)
            make(made, case.orders, case.panels)
            with panels(case.orders) as asked:
                times = repeat if case.orders <= _SMALL else 1
                runs = [daemon(case, asked, made, Path(name)) for _ in range(times)]
            yield case, report.median(runs)


def against_first(found: dict[Case, Figures], cases: Iterable[Case]) -> list[Figures]:
    """The figures of the points along an axis, with CPU an order by that of the first."""
    points = [found[case] for case in cases]
    first = points[0]["CPU µs an order"]
    return [{**point, "CPU ÷ first": point["CPU µs an order"] / first} for point in points]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    along = axes(options.most_orders, options.usual_orders, options.most_panels)
    along = {axis: cases for axis, cases in along.items() if axis in options.axes}
    cases = [case for cases in along.values() for case in cases]
    found = dict(measure(cases, options.directory, options.repeat))
    told = {}
    for axis, cases in along.items():
        points = against_first(found, cases)
        columns = {
            f"{getattr(case, axis):,}": {name: point[name] for name in TOLD}
            for case, point in zip(cases, points, strict=True)
        }
        print(f"\nmore {axis}\n{report.table(columns)}")
        told[axis] = [
            {"at": getattr(case, axis), **point} for case, point in zip(cases, points, strict=True)
        ]
    if options.json:
        report.write(options.json, "growth", {"axes": told})


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = report.options(
        __doc__, most_orders=ORDERS[-1], usual_orders=_USUAL_ORDERS, most_panels=PANELS[-1]
    )
    names = list(axes(0, 0, 0))
    parser.add_argument("--axes", nargs="*", choices=names, default=names)
    parser.add_argument("--repeat", type=int, default=3, help="times, for each small point")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

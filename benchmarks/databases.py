"""A file and a PostgreSQL server side by side: start, sweep, page, changes, and the move between.

The server is the tests' own, on this machine: it takes part of the cores that are measured. Each
figure of both is taken right after the other; the daemon's CPU is that of its process alone.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import page, report, start, sweep
from benchmarks.house import make_database, mixed_orders
from benchmarks.panels import panels
from benchmarks.places import FilePlace, Place, ServerPlace
from tests.unit.store_kit import moved
from watcher.common.postgres_url import DatabaseLocation
from watcher.model import Order
from watcher.store import Store, move
from watcher.store.search import SearchQuery

Figures = dict[str, float]
Measure = Callable[[Place, Path], Figures]  # where, and a directory for the run
_SIZES = (1, 50, 500)  # changes in a group
_STARTED = ("ready, CPU s", "ready, wall s", "settled, CPU s", "settled, wall s")
_SWEPT = ("CPU µs an order", "longest pause, ms", "history written ÷ changed")
_KINDS = ("page", "search", "filter")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    runs: dict[str, list[Figures]] = {}
    with tempfile.TemporaryDirectory(dir=options.directory) as name, _places(options) as places:
        for part in options.parts:
            print(f"{part} …", file=sys.stderr)
            directory = Path(name) / part
            directory.mkdir()
            with _PARTS[part](directory, options) as measure:
                _take_turns(measure, places, directory, options.runs, runs)
            shutil.rmtree(directory)
    figures = {name: report.median(of_place) for name, of_place in runs.items()}
    print(report.table(figures))
    if options.json:
        sizes = {"orders": options.orders, "start orders": options.start_orders}
        report.write(options.json, "databases", {**sizes, "runs": runs})


def _take_turns(
    measure: Measure,
    places: Sequence[Place],
    directory: Path,
    times: int,
    runs: dict[str, list[Figures]],
) -> None:
    """Measure each place in turns; add the figures to those of its runs."""
    for turn in range(times):
        for place in places:
            figures = measure(place, directory)
            of_place = runs.setdefault(place.name, [{} for _ in range(times)])
            of_place[turn] |= figures


@contextmanager
def _places(options: argparse.Namespace) -> Iterator[Sequence[Place]]:
    served = ServerPlace(options.directory or Path(tempfile.gettempdir()))
    try:
        yield FilePlace(), served
    finally:
        served.server.remove()


# --- the daemon ---


@contextmanager
def _starts(directory: Path, options: argparse.Namespace) -> Iterator[Measure]:
    made, now = directory / "made.db", time.time()
    rows = mixed_orders(options.panels, options.start_orders, now)
    make_database(made, panels=options.panels, rows=rows, now=now)

    def measure(place: Place, directory: Path) -> Figures:
        found = start.run(place, directory / "run", made, options.panels)
        return {f"start: {name}": found[name] for name in _STARTED}

    yield measure


@contextmanager
def _sweeps(directory: Path, options: argparse.Namespace) -> Iterator[Measure]:
    case = sweep.Case(options.orders, options.panels)
    made = sweep.make(directory / "made.db", *case[:2])
    with panels(options.orders) as asked:

        def measure(place: Place, directory: Path) -> Figures:
            found = sweep.daemon(case, asked, made, directory, place=place)
            return {f"sweep: {name}": found[name] for name in _SWEPT}

        yield measure


@contextmanager
def _pages(directory: Path, options: argparse.Namespace) -> Iterator[Measure]:
    made = page.make(directory / "made.db", options.orders, options.panels)
    asking = argparse.Namespace(**vars(options), settle=3, paint=False)
    with panels(options.orders) as asked:

        def measure(place: Place, directory: Path) -> Figures:
            run = directory / "run"
            run.mkdir(exist_ok=True)
            found = page.look(place, asked, made, run, asking)
            return {
                f"{kind} {state}, p95, ms": figures[f"{kind}, p95, ms"]
                for state, figures in found.items()
                for kind in _KINDS
            }

        yield measure


# --- the store alone ---


@contextmanager
def _changes(directory: Path, options: argparse.Namespace) -> Iterator[Measure]:
    made, now = directory / "made.db", time.time()
    rows = mixed_orders(options.panels, options.orders, now)
    make_database(made, panels=options.panels, rows=rows, now=now)

    def measure(place: Place, directory: Path) -> Figures:
        location = place.put(made, directory)
        figures = asyncio.run(_of_store(location, options.seconds))
        if isinstance(place, ServerPlace):
            began, target = time.perf_counter(), directory / "moved.db"
            asyncio.run(move(location, target, lambda *_: None, now=now))
            figures["move to a file, s"] = time.perf_counter() - began
            figures["move from a file, s"] = place.filled_in
            target.unlink()
        return figures

    yield measure


async def _of_store(location: DatabaseLocation, seconds: float) -> Figures:
    store = await Store.open(location, now=time.time())
    try:
        figures = {"load all, s": await _load(store)}
        orders, _ = await store.orders.page(limit=max(_SIZES))
        for size in _SIZES:
            rate, orders[:size] = await _rate(store, orders[:size], seconds)
            figures[f"changes/s, {size} at once"] = rate
        for name, query in (
            ("search a link, ms", SearchQuery(text="https://www.instagram.com/p/0123")),
            ("search a status, ms", SearchQuery(status=orders[0].status, panel="panel1")),
        ):
            began = time.perf_counter()
            await store.search.find(query)
            figures[name] = 1000 * (time.perf_counter() - began)
    finally:
        await store.close()
    return figures


async def _load(store: Store) -> float:
    """Seconds to read every order."""
    began = time.perf_counter()
    after: int | None = 0
    last = await store.orders.last_key()
    while after is not None:
        part, after = await store.orders.load(after, last, keeps=frozenset())
        for _ in part:
            pass
    return time.perf_counter() - began


async def _rate(store: Store, orders: list[Order], seconds: float) -> tuple[float, list[Order]]:
    """How many changes a second are written, and the orders as they are then."""
    done, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        remains = (orders[0].remains or 0) + 1
        changes = [moved(order, time.time(), remains=remains + done % 2) for order in orders]
        await store.changes.record(changes, now=time.time())
        orders = [change.after for change in changes]
        done += len(changes)
    return done / passed, orders


_PARTS = {"start": _starts, "sweep": _sweeps, "page": _pages, "changes": _changes}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = report.options(__doc__, orders=200_000, panels=10, runs=3, rounds=20)
    parser.add_argument("--start-orders", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each size of a group")
    parser.add_argument("--parts", nargs="*", choices=_PARTS, default=list(_PARTS))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

"""One look at every open order: the daemon against the least that any program has to do.

The panels run in a process of their own; the programs take turns, and what counts is the CPU that
each spends on an order, as a ratio of one run's. The daemon has rules, history and metrics on. It
is measured from rest to rest, in its second sweep: its start is `benchmarks.start`'s.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import report
from benchmarks.daemon import ROOT, Process, imports, probed
from benchmarks.house import make_config, make_database
from benchmarks.panels import Panels, panels
from benchmarks.places import FilePlace, Place
from benchmarks.traffic import known_orders
from watcher.daemon.poller import MOST_AT_ONCE
from watcher.store.schema import metadata

Figures = dict[str, float]

RULES = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed' && order.finished_ago > duration('24h')"
[[rules]]
name = "cancel"
action = "cancel"
when = "order.status == 'in_progress' && order.idle > duration('900h')"
"""
SETTINGS = """
requests_per_minute = 60000
check_within = "1h"
idle_every = "5s"
timeout = "1h"
"""
SHARES = {"floor": 1.0, "everything": 0.1, "one-by-one": 0.002}  # of all orders: they are slow
_SCRAPE_EVERY = 5.0  # seconds
_LOOK_EVERY = 0.1  # seconds
_AT_MOST = 1800.0  # seconds, for a sweep
_AT_REST_FOR = 6.0  # seconds: an order rests for ten after its check
_REFILL_WITHIN = 10.0  # seconds after that


class Case(NamedTuple):
    """What the daemon is measured with."""

    orders: int
    panels: int
    odd: float = 0.0  # the share of odd answers, 0 to 1


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    case = Case(options.orders, options.panels, options.odd)
    with (
        tempfile.TemporaryDirectory(dir=options.directory) as name,
        panels(options.orders, latency=options.latency) as asked,
    ):
        directory = Path(name)
        print(f"making {options.orders:,} orders …", file=sys.stderr)
        made = make(directory / "made.db", options.orders, options.panels)
        runs: dict[str, list[Figures]] = {}
        for _ in range(options.runs):
            for program in options.against:
                runs.setdefault(program, []).append(rival(program, asked, directory, case.orders))
            ours = daemon(case, asked, made, directory, latency=options.latency)
            runs.setdefault("watcher", []).append(ours)
    medians = {program: report.median(of_program) for program, of_program in runs.items()}
    found = ratios(runs)
    print(report.table(medians))
    print("\n".join(f"watcher ÷ {other}: {ratio:.3g}" for other, ratio in found.items()))
    if options.json:
        told = {**case._asdict(), "latency": options.latency, "runs": runs, "ratios": found}
        report.write(options.json, "sweep", told)


def make(path: Path, orders: int, number: int) -> Path:
    """A database of that many orders at that many panels."""
    now = time.time()
    make_database(path, panels=number, rows=known_orders(orders, number, now), now=now)
    return path


def ratios(runs: Mapping[str, Sequence[Figures]]) -> Figures:
    """CPU an order, the daemon's by each other's: the median of runs side by side."""
    what = "CPU µs an order"
    return {
        other: report.median(
            [
                {what: ours[what] / theirs[what]}
                for ours, theirs in zip(runs["watcher"], of_other, strict=True)
            ]
        )[what]
        for other, of_other in runs.items()
        if other != "watcher"
    }


def rival(program: str, asked: Panels, directory: Path, orders: int) -> Figures:
    """One run of a program of `benchmarks.rivals` that knows so many orders."""
    asked.sweep(1)
    share = max(100, int(orders * SHARES[program]))
    database = directory / f"{program}.db"
    for old in directory.glob(f"{database.name}*"):
        old.unlink()
    given = [program, asked.url, str(database), str(orders), str(share)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rivals", *given],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=_AT_MOST,
    )
    told = json.loads(done.stdout)
    return {
        "CPU µs an order": told["cpu"] / share * 1e6,
        "sweep, s": told["wall"],
        "peak MB": told["peak_mb"],
        "orders": share,
    }


def daemon(
    case: Case,
    asked: Panels,
    made: Path,
    directory: Path,
    *,
    latency: float = 0.0,
    place: Place | None = None,
) -> Figures:
    """One run of the daemon on a copy of that database, in a file if no other place is given."""
    place = place or FilePlace()
    run = directory / "run"
    if not run.exists():
        run.mkdir()
        imports(run)  # so that no start has to compile
    database = place.put(made, run)
    config = run / "config.toml"
    port = make_config(
        config,
        panels=case.panels,
        url=asked.url,
        rules=RULES,
        defaults=SETTINGS,
        database=database,
    )
    asked.hold()
    process = Process(config, port)
    try:
        process.wait_until_ready()
        ready = process.cpu()
        process.wait_until_rest()
        _told_of_all(process, asked, case)
        ours = {**_swept(process, asked, case, place), "ready, CPU s": ready}
        return ours | _use_of_bound(asked.told(), case, latency)
    finally:
        asked.sweep(2)  # answers what is under way, else the stop would wait for it
        process.stop()


def _told_of_all(process: Process, asked: Panels, case: Case) -> None:
    """A first sweep: after that the daemon has heard of each order since its start."""
    asked.sweep(1, once=case.panels, odd=case.odd)
    began = time.perf_counter()
    while not asked.told()["seconds"] and time.perf_counter() - began < _AT_MOST:
        time.sleep(_LOOK_EVERY)
    process.wait_until_rest()


def _swept(process: Process, asked: Panels, case: Case, place: Place) -> Figures:
    under_way = asked.told()["held"]
    before, since, cpu = _rows(place), time.time(), process.cpu()
    scrapes = []
    with probed(process) as probe:
        asked.sweep(2, once=case.panels, odd=case.odd)
        began = scraped = time.perf_counter()
        while not (told := asked.told())["seconds"] and time.perf_counter() - began < _AT_MOST:
            time.sleep(_LOOK_EVERY)
            if time.perf_counter() - scraped > _SCRAPE_EVERY:
                scrapes.append(process.get("/metrics") or 0.0)
                scraped = time.perf_counter()
    time.sleep(_LOOK_EVERY)
    spent, told = process.cpu() - cpu, asked.told()
    spent += _refill(process, asked, under_way)
    idle = min(process.get("/metrics") or 0.0 for _ in range(5))
    rows = _rows(place, since)
    changed = max(1.0, told["changed"])
    return {
        "CPU µs an order": spent / told["ids"] * 1e6,
        "sweep, s": told["seconds"],
        "peak MB": process.memory(),
        "orders": told["distinct"],
        "ids asked an order": told["ids"] / told["distinct"],
        "requests": told["requests"],
        "full requests, %": 100 * (1 - told["short"] / told["requests"]),
        "orders changed": told["changed"],
        "states written ÷ changed": rows["states"] / changed,
        "history written ÷ changed": (rows["history"] - before["history"]) / changed,
        "other rows written": rows["other"] - before["other"],
        "pause p99.9, ms": 1000 * probe.pauses.percentile(99.9),
        "longest pause, ms": 1000 * probe.pauses.longest,
        "longest scrape, ms": 1000 * max(scrapes, default=0.0),
        "scrape at rest, ms": 1000 * idle,
    }


def _refill(process: Process, asked: Panels, under_way: float) -> float:
    """CPU until as many requests are under way as when the sweep began: each is then paid for.

    With few orders that is after their rest; what the daemon needs at rest is no part of it.
    """
    if asked.told()["held"] >= under_way:
        return 0.0
    cpu, began = process.cpu(), time.perf_counter()
    time.sleep(_AT_REST_FOR)
    at_rest = (process.cpu() - cpu) / (time.perf_counter() - began)
    cpu, began = process.cpu(), time.perf_counter()
    while asked.told()["held"] < under_way and time.perf_counter() - began < _REFILL_WITHIN:
        time.sleep(_LOOK_EVERY)
    return max(0.0, process.cpu() - cpu - at_rest * (time.perf_counter() - began))


def _rows(place: Place, since: float = 0.0) -> dict[str, int]:
    """Rows of history, of states written since then, and of all that the panels do not cause."""
    others = metadata.tables.keys() - {"orders", "order_states", "history", "balances"}
    return {
        "history": place.count("SELECT count(*) FROM history"),
        "states": place.count(f"SELECT count(*) FROM order_states WHERE checked_at >= {since!r}"),
        "other": sum(place.count(f'SELECT count(*) FROM "{name}"') for name in others),
    }


def _use_of_bound(told: Figures, case: Case, latency: float) -> Figures:
    """How many requests there were, of those that the panels' latency allows.

    The first on each place was under way before. The last tenth of the orders is left out: it is
    due when its time has come, however fast the panels are.
    """
    if not latency:
        return {}
    places = case.panels * MOST_AT_ONCE
    allowed = places * told["seconds for most"] / latency
    return {"share of the bound, %": 100 * (told["requests for most"] - places) / allowed}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = report.options(__doc__, orders=1_000_000, panels=10, runs=3)
    parser.add_argument("--odd", type=float, default=0.0, help="share of odd answers to the daemon")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    parser.add_argument("--against", nargs="*", choices=SHARES, default=list(SHARES))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

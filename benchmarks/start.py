"""How long a start with very many open orders takes, and what the daemon needs then.

At work is when it serves and asks panels; ready when all orders are there and /readyz says so;
settled when the rules have seen every order and the daemon has come to rest. The panels refuse the
connection: what is measured is the daemon alone.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.daemon import ROOT, Process, imports, probed
from benchmarks.house import free_port, make_config, make_database, mixed_orders
from benchmarks.places import FilePlace, Place

RULES = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed' && order.finished_ago > duration('24h')"
[[rules]]
name = "cancel"
action = "cancel"
when = "order.status == 'pending' && order.age > duration('478h')"
per_hour = 100000
"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        directory = Path(name)
        made = directory / "made.db"
        print(f"making {options.orders:,} orders …", file=sys.stderr)
        now = time.time()
        rows = mixed_orders(options.panels, options.orders, now)
        make_database(made, panels=options.panels, rows=rows, now=now)
        runs: dict[str, list[dict[str, float]]] = {}
        for turn in range(-options.warm_ups, options.runs):
            for root in options.trees:
                figures = run(FilePlace(), directory / "run", made, options.panels, root.resolve())
                if turn >= 0:  # before that modules are compiled and the system's cache filled
                    runs.setdefault(root.resolve().name, []).append(figures)
    medians = {name: report.median(of_tree) for name, of_tree in runs.items()}
    print(report.table(medians))
    if options.json:
        report.write(options.json, "start", {"orders": options.orders, "runs": runs})


def run(
    place: Place, directory: Path, made: Path, panels: int, root: Path = ROOT
) -> dict[str, float]:
    """One start on a copy of that database, until the daemon is at rest."""
    directory.mkdir(exist_ok=True)
    shutil.rmtree(directory / "backups", ignore_errors=True)
    database = place.put(made, directory)
    config = directory / "config.toml"
    url = f"http://127.0.0.1:{free_port()}/api/v2"
    port = make_config(config, panels=panels, url=url, rules=RULES, database=database)
    figures = {"imports, CPU s": imports(directory, root)}
    process = Process(config, port, root)
    try:
        process.wait_until_at_work()
        figures |= _so_far(process, "at work")
        process.wait_until_ready()
        figures |= _ready(process)
        with probed(process) as probe:
            process.wait_until_rest()
        figures |= _settled(process)
    finally:
        process.stop()
    figures["longest pause, ms"] = 1000 * probe.pauses.longest
    return figures


def _so_far(process: Process, what: str) -> dict[str, float]:
    return {
        f"{what}, CPU s": process.cpu(),
        f"{what}, wall s": time.perf_counter() - process.started,
    }


def _ready(process: Process) -> dict[str, float]:
    return {**_so_far(process, "ready"), "ready, peak MB": process.memory()}


def _settled(process: Process) -> dict[str, float]:
    return {
        **_so_far(process, "settled"),
        "settled, peak MB": process.memory(),
        "settled, MB": process.memory("VmRSS"),
        "scrape, ms": 1000 * min(process.get("/metrics") or 0.0 for _ in range(5)),
        "page, ms": 1000 * min(process.get("/") or 0.0 for _ in range(5)),
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = report.options(__doc__, orders=1_000_000, panels=10, runs=3)
    parser.add_argument("--warm-ups", type=int, default=1, help="runs before that")
    parser.add_argument(
        "trees", nargs="*", type=Path, default=[ROOT], help="source trees to compare, in turns"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

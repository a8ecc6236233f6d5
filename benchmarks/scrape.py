"""What a scrape costs where there is much to tell of: series, size, time, and the loop's pause."""

import argparse
import sqlite3
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks import report
from benchmarks.daemon import Process, probed
from benchmarks.house import make_config
from benchmarks.panels import panels
from benchmarks.sweep import RULES, Figures, make

SCRAPES = 20
_SERVICE = (
    "INSERT INTO services (panel, id, name, type, category, seen_at)"
    " VALUES (?, ?, 'A service', 'Default', 'A category', ?)"
)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    with (
        tempfile.TemporaryDirectory(dir=options.directory) as name,
        panels(options.orders) as asked,
    ):
        directory = Path(name)
        make(directory / "watcher.db", options.orders, options.panels)
        _sell(directory / "watcher.db", options.panels, options.services)
        config = directory / "config.toml"
        port = make_config(
            config, panels=options.panels, url=asked.url, rules=RULES, defaults='timeout = "1h"'
        )
        process = Process(config, port)
        try:
            process.wait_until_ready()
            asked.hold()
            process.wait_until_rest()
            figures = _scraped(process)
        finally:
            asked.sweep(1)
            process.stop()
    case = {name: getattr(options, name) for name in ("orders", "panels", "services")}
    print(report.table({"watcher": figures}))
    if options.json:
        report.write(options.json, "scrape", {**case, "figures": figures})


def _sell(database: Path, panels: int, services: int) -> None:
    """Price lists of that many services in all."""
    with closing(sqlite3.connect(database)) as connection, connection:
        rows = ((1 + n % panels, str(100_000 + n), time.time()) for n in range(services))
        connection.executemany(_SERVICE, rows)


def _scraped(process: Process) -> Figures:
    times, text = [], ""
    with probed(process) as probe:
        for _ in range(SCRAPES):
            began = time.perf_counter()
            with urllib.request.urlopen(f"{process.url}/metrics") as answer:
                text = answer.read().decode()
            times.append(time.perf_counter() - began)
    return {
        "series": sum(not line.startswith("#") for line in text.splitlines()),
        "kB": len(text) / 1000,
        "scrape, ms": 1000 * statistics.median(times),
        "longest scrape, ms": 1000 * max(times),
        "longest pause, ms": 1000 * probe.pauses.longest,
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = report.options(__doc__, orders=1_000_000, panels=200, services=50_000)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

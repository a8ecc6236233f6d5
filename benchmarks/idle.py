"""What the daemon needs with little to do: 10,000 open orders at five panels that allow 60 requests
a minute each, checked as often as the defaults want. A twentieth of the orders moves in a minute.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.daemon import Process
from benchmarks.house import make_config
from benchmarks.panels import Panels, panels
from benchmarks.sweep import RULES, Figures, make

MINUTE = 60.0


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    with (
        tempfile.TemporaryDirectory(dir=options.directory) as name,
        panels(options.orders) as asked,
    ):
        directory = Path(name)
        make(directory / "watcher.db", options.orders, options.panels)
        config = directory / "config.toml"
        settings = "requests_per_minute = 60"
        port = make_config(
            config, panels=options.panels, url=asked.url, rules=RULES, defaults=settings
        )
        process = Process(config, port)
        try:
            process.wait_until_ready()
            process.wait_until_rest()
            figures = _watched(process, asked, options.seconds)
        finally:
            process.stop()
    case = {name: getattr(options, name) for name in ("orders", "panels", "seconds")}
    print(report.table({"watcher": figures}))
    if options.json:
        report.write(options.json, "idle", {**case, "figures": figures})


def _watched(process: Process, asked: Panels, seconds: float) -> Figures:
    requests = ids = 0.0
    sweep, left = 0, seconds
    cpu, wakeups, began = process.cpu(), process.wakeups(), time.perf_counter()
    while left > 0.0:
        sweep += 1
        asked.sweep(sweep)
        time.sleep(min(left, MINUTE))
        left -= MINUTE
        told = asked.told()
        requests, ids = requests + told["requests"], ids + told["ids"]
    took = time.perf_counter() - began
    return {
        "CPU, % of a core": 100 * (process.cpu() - cpu) / took,
        "wake-ups a second": (process.wakeups() - wakeups) / took,
        "requests a minute": MINUTE * requests / took,
        "orders asked a minute": MINUTE * ids / took,
        "MB": process.memory("VmRSS"),
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = report.options(__doc__, orders=10_000, panels=5)
    parser.add_argument("--seconds", type=float, default=120.0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

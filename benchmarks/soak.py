"""Very many open orders for long, as fast as the panels allow, and a kill -9 in the middle.

Ten panels allow 60 requests a second each. Told is how long any order went unchecked, as the panels
saw it, whether memory grows, how long the loop stood still, and how soon after the kill the first
request went out again.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.daemon import Process, Wait, probed, stolen
from benchmarks.house import make_config
from benchmarks.panels import Panels, panels
from benchmarks.sweep import RULES, make

SETTINGS = """
requests_per_minute = 3600
check_within = "10m"
idle_every = "5s"
"""
PANELS = 10
_SAMPLE_EVERY = 10.0  # seconds
_MOVES_EVERY = 60.0  # seconds: another twentieth of the orders has moved
_AT_MOST = 300.0  # seconds from the kill to the first request

Figures = dict[str, float]
Waits = dict[str, Figures]  # the longest pauses, by their rank


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    with (
        tempfile.TemporaryDirectory(dir=options.directory) as name,
        panels(options.orders) as asked,
    ):
        directory = Path(name)
        print(f"making {options.orders:,} orders …", file=sys.stderr)
        make(directory / "watcher.db", options.orders, PANELS)
        config = directory / "config.toml"
        port = make_config(config, panels=PANELS, url=asked.url, rules=RULES, defaults=SETTINGS)
        process = Process(config, port)
        try:
            process.wait_until_ready()
            before, waits_before = _watched(process, asked, options.minutes / 2)
            process.kill()
            killed = time.perf_counter()
            process = Process(config, port)
            again = _until_asked(asked, killed)
            process.wait_until_ready()
            after, waits_after = _watched(process, asked, options.minutes / 2)
        finally:
            process.stop()
    figures = {"before the kill": before, "after it": {**after, **again}}
    waits = {"before the kill": waits_before, "after it": waits_after}
    print(report.table(figures))
    for when, longest in waits.items():
        print(f"\nlongest pauses {when}\n{report.table(longest)}")
    if options.json:
        told = {"orders": options.orders, "minutes": options.minutes, "figures": figures}
        told["waits"] = waits
        report.write(options.json, "soak", told)


def _watched(process: Process, asked: Panels, minutes: float) -> tuple[Figures, Waits]:
    """What so many minutes come to; the rules' first look at every order is part of them."""
    asked.sweep(sweep := int(asked.told()["sweep"]) + 1)
    began = moved = time.perf_counter()
    cpu, memory = process.cpu(), [process.memory("VmRSS")]
    longest, ids = 0.0, 0.0
    taken = stolen()
    with probed(process) as probe:
        while (now := time.perf_counter()) - began < 60.0 * minutes:
            time.sleep(_SAMPLE_EVERY)
            memory.append(process.memory("VmRSS"))
            if now - moved >= _MOVES_EVERY:
                told = asked.told()
                longest, ids = max(longest, told["longest"]), ids + told["ids"]
                sweep, moved = sweep + 1, now
                asked.sweep(sweep)
    told = asked.told()
    seconds, ids = time.perf_counter() - began, ids + told["ids"]
    taken = [now - before for before, now in zip(taken, stolen(), strict=True)]
    middle = len(memory) // 2
    figures = {
        "longest without a check, s": max(longest, told["longest"], asked.oldest()),
        "orders asked about a second": ids / seconds,
        "CPU, % of a core": 100 * (process.cpu() - cpu) / seconds,
        "CPU µs an order": (process.cpu() - cpu) / ids * 1e6,
        "memory in the middle, MB": memory[middle],
        "memory at the end, MB": memory[-1],
        "pause p99.9, ms": 1000 * probe.pauses.percentile(99.9),
        "longest pause, ms": 1000 * probe.pauses.longest,
        "without what others took, p99.9, ms": 1000 * probe.own.percentile(99.9),
        "without what others took, longest, ms": 1000 * probe.own.longest,
        "machine's time that others took, %": 100 * sum(taken) / len(taken) / seconds,
    }
    return figures, {str(n): _circumstances(wait) for n, wait in enumerate(probe.longest, 1)}


def _circumstances(wait: Wait) -> Figures:
    return {
        "after, s": wait.at,
        "pause, ms": 1000 * wait.waited,
        "the loop's thread ran, ms": 1000 * wait.ran,
        "it was ready to, ms": 1000 * wait.queued,
        "other threads ran, ms": 1000 * wait.others,
        "other guests took, ms": 1000 * wait.stolen,
    }


def _until_asked(asked: Panels, since: float) -> Figures:
    seen = asked.told()["requests"]
    while asked.told()["requests"] == seen and time.perf_counter() - since < _AT_MOST:
        time.sleep(0.02)
    return {"from the kill to the first request, s": time.perf_counter() - since}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = report.options(__doc__, orders=1_000_000)
    parser.add_argument("--minutes", type=float, default=60.0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

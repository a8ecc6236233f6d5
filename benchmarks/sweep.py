"""One look at every open order: the daemon against the least that any program has to do.

The panels run in a process of their own; the programs take turns, and what counts is the CPU that
each spends on an order, as a ratio of one run's. The daemon has rules, history and metrics on.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import report
from benchmarks.house import ROOT, Process, make_config, make_database
from benchmarks.traffic import known_orders

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
PANELS = 10
SHARES = {"floor": 1.0, "everything": 0.1, "one-by-one": 0.002}  # of all orders: they are slow
_SCRAPE_EVERY = 15.0  # seconds
_AT_MOST = 600.0


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.directory) as name, _panels(options) as url:
        directory = Path(name)
        made = directory / "made.db"
        print(f"making {options.orders:,} orders …", file=sys.stderr)
        now = time.time()
        rows = known_orders(options.orders, PANELS, now)
        make_database(made, panels=PANELS, rows=rows, now=now)
        runs: dict[str, list[dict[str, float]]] = {}
        for _ in range(options.runs):
            for program, share in SHARES.items():
                figures = _rival(program, url, directory, max(100, int(options.orders * share)))
                runs.setdefault(program, []).append(figures)
            runs.setdefault("watcher", []).append(_watcher(url, made, directory, options.orders))
    medians = {program: report.median(of_program) for program, of_program in runs.items()}
    ratios = _ratios(runs)
    print(report.table(medians))
    print("\n".join(f"watcher ÷ {other}: {ratio:.3g}" for other, ratio in ratios.items()))
    if options.json:
        report.write(
            options.json, "sweep", {"orders": options.orders, "runs": runs, "ratios": ratios}
        )


def _ratios(runs: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """The median of the ratios of runs side by side."""
    return {
        other: report.median(
            [
                {"r": ours["CPU µs an order"] / theirs["CPU µs an order"]}
                for ours, theirs in zip(runs["watcher"], runs[other], strict=True)
            ]
        )["r"]
        for other in SHARES
    }


@contextmanager
def _panels(options: argparse.Namespace) -> Iterator[str]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "benchmarks.traffic",
            f"--orders={options.orders}",
            f"--odd={options.odd}",
            f"--latency={options.latency}",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


def _rival(program: str, url: str, directory: Path, orders: int) -> dict[str, float]:
    _control(url, sweep=1)
    database = directory / f"{program}.db"
    for old in directory.glob(f"{database.name}*"):
        old.unlink()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.rivals",
            program,
            f"{url}/api/v2",
            database,
            str(orders),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(done.stdout)
    return {
        "CPU µs an order": told["cpu"] / orders * 1e6,
        "wall s": told["wall"],
        "peak MB": told["peak_mb"],
        "orders": orders,
    }


def _watcher(url: str, made: Path, directory: Path, orders: int) -> dict[str, float]:
    run = directory / "run"
    run.mkdir(exist_ok=True)
    for old in run.glob("watcher.db*"):
        old.unlink()
    shutil.copyfile(made, run / "watcher.db")
    config = run / "config.toml"
    defaults = "requests_per_minute = 60000\ncheck_within = '1h'\nidle_every = '1s'"
    port = make_config(config, panels=PANELS, url=f"{url}/api/v2", rules=RULES, defaults=defaults)
    process = Process(config, port)
    try:
        _wait_until_ready(process)
        return _measured(process, url, orders)
    finally:
        process.stop()


def _measured(process: Process, url: str, orders: int) -> dict[str, float]:
    _control(url, sweep=1)
    cpu, began = process.cpu(), time.perf_counter()
    scraped = began
    while True:
        time.sleep(0.2)
        told = _control(url)
        now = time.perf_counter()
        if now - scraped > _SCRAPE_EVERY:
            scraped = now
            _get(f"{process.url}/metrics")
        if told["distinct"] >= orders or now - began > _AT_MOST:
            break
    spent = process.cpu() - cpu
    return {
        "CPU µs an order": spent / told["ids"] * 1e6,
        "wall s": now - began,
        "peak MB": process.memory(),
        "orders": told["ids"],
        "orders a request": told["ids"] / max(1, told["requests"]),
        "orders asked": told["distinct"],
    }


def _wait_until_ready(process: Process) -> None:
    while _get(f"{process.url}/readyz") is None:
        if not process.is_running():
            raise SystemExit("the daemon ended: see daemon.log")
        time.sleep(0.05)


def _control(url: str, sweep: int | None = None) -> dict[str, int]:
    query = "" if sweep is None else f"?sweep={sweep}"
    with urllib.request.urlopen(f"{url}/control{query}", timeout=30) as answer:
        told: dict[str, int] = json.load(answer)
        return told


def _get(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return bytes(answer.read())
    except OSError:
        return None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--odd", type=float, default=0.0, help="share of odd answers")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    parser.add_argument("--directory", type=Path, help="for the databases")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()

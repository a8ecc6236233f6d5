"""Tables and JSON of what was measured, with the machine it was measured on."""

import argparse
import json
import os
import platform
import sqlite3
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def machine() -> dict[str, str | int]:
    """What the figures depend on beside the program."""
    return {
        "cores": os.cpu_count() or 0,
        "processor": _processor(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
    }


def median(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each figure's median over the runs."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """A line for each figure, a column for each of `rows`."""
    figures = list(dict.fromkeys(name for row in rows.values() for name in row))
    width = max(len(name) for name in figures)

    def line(name: str, cells: Iterable[str]) -> str:
        return f"{name:<{width}}" + "".join(f"{cell:>14}" for cell in cells)

    head = line("", rows)
    return "\n".join(
        [head, *(line(f, (_cell(row.get(f)) for row in rows.values())) for f in figures)]
    )


def options(about: str | None, **sizes: int) -> argparse.ArgumentParser:
    """What every benchmark's command line takes: how many of what, and where files go."""
    parser = argparse.ArgumentParser(description=about)
    for name, usual in sizes.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=usual)
    parser.add_argument("--directory", type=Path, help="for the databases, up to 3 GB")
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser


def write(path: Path, name: str, figures: Mapping[str, Any]) -> None:
    """The figures and the machine, for programs."""
    path.write_text(json.dumps({"benchmark": name, "machine": machine(), **figures}, indent=2))


def ratio(value: float) -> str:
    """A small one as a fraction."""
    return f"1/{1 / value:.3g}" if 0.0 < value < 0.5 else f"{value:.3g}"


def _cell(figure: float | None) -> str:
    return "" if figure is None else f"{figure:,.2f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

"""Puts what was measured into docs/performance.md: `make bench-report`.

Figures are taken from docs/performance/*.json; each table goes between its two marks,
`<!-- name -->` and `<!-- /name -->`. What stands around them is left as it is.
"""

import argparse
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.daemon import ROOT
from benchmarks.freshness import COLUMNS, by_world
from benchmarks.growth import TOLD
from benchmarks.report import median, ratio
from benchmarks.targets import judged

PAGE = ROOT / "docs" / "performance.md"
Results = Mapping[str, Any]  # benchmark -> its JSON


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, default=PAGE)
    page: Path = parser.parse_args(arguments).page
    figures = page.with_suffix("")
    results = {file.stem: json.loads(file.read_text()) for file in figures.glob("*.json")}
    for name, drawing in drawings(results).items():
        (figures / f"{name}.svg").write_text(drawing)
    page.write_text(fill(page.read_text(), tables(results)))


def fill(text: str, parts: Mapping[str, str]) -> str:
    """The page with each part between its marks."""

    def between(found: re.Match[str]) -> str:
        return f"<!-- {found[1]} -->\n{parts[found[1]]}\n<!-- /{found[1]} -->"

    return re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", between, text, flags=re.DOTALL)


def tables(results: Results) -> dict[str, str]:
    """A table for each mark; where nothing was measured, how to do so."""
    makers: dict[str, Callable[[Any], str]] = {
        "start": _start,
        "sweep": _sweep,
        "latency": _latency,
        "growth": _growth,
        "soak": _soak,
        "idle": lambda found: _figures(found["figures"]),
        "scrape": _scrape,
        "page": _page,
        "limits": _limits,
        "databases": _databases,
        "takeover": _takeover,
        "freshness": _freshness,
        "lived": _lived,
    }
    parts = {
        name: make(results[name]) if name in results else f"Not measured: `make bench-{name}`."
        for name, make in makers.items()
    }
    for name in drawings(results):
        parts[name.partition("-")[0]] += f"\n\n![{name}](performance/{name}.svg)"
    parts["machine"] = _machines(results)
    parts["targets"] = _table(("what", "target", "moonshot", "measured", ""), judged(results))
    return parts


def drawings(results: Results) -> dict[str, str]:
    """SVG by name, of what was measured."""
    drawn = {}
    if "sweep" in results:
        cpu = {name: median(runs)["CPU µs an order"] for name, runs in _runs(results["sweep"])}
        rows = sorted(cpu.items(), key=lambda row: row[1])
        drawn["sweep"] = plots.bars("CPU µs an order, one sweep", rows, logarithmic=True)
    for axis in ("orders", "panels") if "growth" in results else ():
        points = results["growth"]["axes"].get(axis, ())
        if points:
            drawn[f"growth-{axis}"] = plots.line(
                "CPU µs an order",
                f"open {axis}" if axis == "orders" else axis,
                [(point["at"], point["CPU µs an order"]) for point in points],
            )
    if "freshness" in results:
        policies = results["freshness"]["cases"].get("own", {})
        rows = [(_ours(name), figures["mean"]) for name, figures in policies.items()]
        drawn["freshness"] = plots.bars("mean minutes until a final state is known", rows)
    if "limits" in results:
        share = "share of the allowed rate"
        rows = [
            (f"{server}: {client}", figures[share])
            for server, clients in results["limits"]["servers"].items()
            for client, figures in clients.items()
        ]
        drawn["limits"] = plots.bars(share, rows)
    return drawn


def _start(found: Any) -> str:
    _, runs = next(iter(_runs(found)))
    return "\n\n".join([f"{found['orders']:,} orders, {_medians(runs)}.", _figures(median(runs))])


def _sweep(found: Any) -> str:
    medians = {name: median(runs) for name, runs in _runs(found)}
    ratios = [(f"watcher ÷ {other}", ratio(value)) for other, value in found["ratios"].items()]
    return "\n\n".join([_case(found), _table(("CPU an order", ""), ratios), _columns(medians)])


def _latency(found: Any) -> str:
    return "\n\n".join([_case(found), _figures(median(found["runs"]["watcher"]))])


def _case(found: Any) -> str:
    words = f"{found['orders']:,} orders, {found['panels']} panels"
    return f"{words}, {_medians(found['runs']['watcher'])}."


def _medians(runs: Sequence[Any]) -> str:
    return f"medians of {len(runs)} runs" if len(runs) > 1 else "one run"


def _growth(found: Any) -> str:
    parts = []
    for axis, points in found["axes"].items():
        columns = {
            f"{point['at']:.0%}" if axis == "odd" else f"{point['at']:,}": {
                name: point[name] for name in TOLD
            }
            for point in points
        }
        parts.append(_columns(columns, "odd answers" if axis == "odd" else axis))
    return "\n\n".join(parts)


def _soak(found: Any) -> str:
    case = f"{found['orders']:,} orders, {found['minutes']:g} minutes."
    waits = [_columns(some, f"longest pauses {when}") for when, some in found["waits"].items()]
    return "\n\n".join([case, _columns(found["figures"]), *waits])


def _scrape(found: Any) -> str:
    case = (
        f"{found['panels']:,} panels, {found['services']:,} services, {found['orders']:,} orders."
    )
    return "\n\n".join([case, _figures(found["figures"])])


def _page(found: Any) -> str:
    case = f"{found['orders']:,} orders, {found['panels']:,} panels."
    return "\n\n".join([case, _columns(found["figures"])])


def _limits(found: Any) -> str:
    parts = [_columns(clients, server) for server, clients in found["servers"].items()]
    return "\n\n".join(parts)


def _databases(found: Any) -> str:
    """Both databases, and the second's figures as ratios to the first's."""
    file, server = (median(runs) for _, runs in _runs(found))
    by = {name: value / file[name] for name, value in server.items() if file.get(name)}
    columns = dict(zip(found["runs"], (file, server), strict=True))
    words = f"{found['orders']:,} orders; start: {found['start orders']:,}"
    case = f"{words}. {_medians(next(iter(found['runs'].values()))).capitalize()}."
    return "\n\n".join([case, _columns({**columns, "÷": by})])


def _takeover(found: Any) -> str:
    sizes = f"{found['orders']:,} orders, {found['panels']} panels"
    case = f"{sizes}, a lease of {found['lease']} seconds."
    return "\n\n".join([case, _figures(found["figures"])])


def _freshness(found: Any) -> str:
    """The table of all worlds, and one for each other case."""
    rows = by_world(found["cases"])
    lines = [(world, _ours(who), *map(_cell, each.values())) for world, who, each in rows]
    others = [
        _columns({_ours(name): figures for name, figures in policies.items()}, case)
        for case, policies in found["cases"].items()
        if case not in {world for world, _, _ in rows}
    ]
    return "\n\n".join([_table(("world", "policy", *COLUMNS), lines), *others])


def _lived(found: Any) -> str:
    names = {"ours": "module", "daemon": "daemon"}
    parts = [
        _columns({names.get(name, name): figures for name, figures in policies.items()}, world)
        for world, policies in found["worlds"].items()
    ]
    return "\n\n".join([f"{24 * found['days']:g} hours, one panel.", *parts])


def _machines(results: Results) -> str:
    """Each machine, with what was measured on it."""
    measured: dict[str, list[str]] = {}
    for name, found in sorted(results.items()):
        of = found["machine"]
        words = (
            f"{of['cores']} cores, {of['processor']}, Python {of['python']}, SQLite {of['sqlite']}"
        )
        measured.setdefault(f"{words}, {of['system']}", []).append(name)
    if len(measured) == 1:
        return f"Measured on {next(iter(measured))}."
    return "\n".join(f"- {words}: {', '.join(names)}" for words, names in measured.items())


def _runs(found: Any) -> Iterable[tuple[str, Sequence[dict[str, float]]]]:
    runs: dict[str, Sequence[dict[str, float]]] = found["runs"]
    return runs.items()


def _figures(figures: Mapping[str, float]) -> str:
    return _table(("", ""), [(name, _cell(value)) for name, value in figures.items()])


def _columns(columns: Mapping[str, Mapping[str, float]], corner: str = "") -> str:
    names = dict.fromkeys(name for figures in columns.values() for name in figures)
    rows = [(name, *(_cell(figures.get(name)) for figures in columns.values())) for name in names]
    return _table((corner, *columns), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def _ours(policy: str) -> str:
    return "watcher" if policy == "ours" else policy


if __name__ == "__main__":
    main()

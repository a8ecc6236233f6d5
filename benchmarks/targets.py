"""What is aimed at, and whether what was measured reaches it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from benchmarks.report import median, ratio
from watcher.simulator.request_limits import LimitKind

Results = Mapping[str, Any]  # benchmark -> its JSON


class Target(NamedTuple):
    """`read` takes the figure from the benchmark's JSON."""

    benchmark: str
    what: str
    target: float
    moonshot: float | None
    unit: str
    read: Callable[[Any], float]
    at_least: bool = False  # else at most

    def told(self, value: float) -> str:
        """With its unit; ratios to what is aimed to be far dearer as fractions."""
        return ratio(value) if self.target < 0.1 else f"{_number(value)}{self.unit}"


def _watcher(name: str) -> Callable[[Any], float]:
    return lambda found: median(found["runs"]["watcher"])[name]


def _started(name: str) -> Callable[[Any], float]:
    return lambda found: median(next(iter(found["runs"].values())))[name]


def _against(other: str) -> Callable[[Any], float]:
    return lambda found: float(found["ratios"][other])


def _spread(axis: str) -> Callable[[Any], float]:
    """By how many per cent the cost of an order varies about the middle of its extremes."""

    def read(found: Any) -> float:
        cpu = [point["CPU µs an order"] for point in found["axes"][axis]]
        return float(100 * (max(cpu) - min(cpu)) / (max(cpu) + min(cpu)))

    return read


def _share_used(server: str) -> Callable[[Any], float]:
    return lambda found: float(found["servers"][server]["watcher"]["share of the allowed rate"])


def _answered(state: str, kind: str) -> Callable[[Any], float]:
    return lambda found: float(found["figures"][state][f"{kind}, p95, ms"])


def _refusals(found: Any) -> float:
    return float(max(of["watcher"]["refusals an hour"] for of in found["servers"].values()))


def _soaked(name: str) -> Callable[[Any], float]:
    """The worse half of the run."""
    return lambda found: float(max(half[name] for half in found["figures"].values()))


def _memory_grown(found: Any) -> float:
    halves = found["figures"].values()
    return float(max(h["memory at the end, MB"] / h["memory in the middle, MB"] for h in halves))


def _back_after(found: Any) -> float:
    return float(found["figures"]["after it"]["from the kill to the first request, s"])


def _taken(name: str) -> Callable[[Any], float]:
    return lambda found: float(found["figures"][name])


def _cost_after(found: Any) -> float:
    figures = found["figures"]
    return float(figures["CPU µs an order, after"] / figures["CPU µs an order, before"])


_UNCHECKED = "longest without a check, s"

TARGETS = (
    Target("sweep", "CPU an order ÷ floor", 5, 3, "", _against("floor")),
    Target("sweep", "CPU an order ÷ everything", 1 / 15, 1 / 25, "", _against("everything")),
    Target("sweep", "CPU an order ÷ one-by-one", 1 / 150, 1 / 325, "", _against("one-by-one")),
    Target("sweep", "states written ÷ changed", 1, None, "", _watcher("states written ÷ changed")),
    Target("sweep", "peak memory", 400, 150, " MB", _watcher("peak MB")),
    Target("sweep", "longest pause, 99.9 %", 100, 20, " ms", _watcher("pause p99.9, ms")),
    Target("start", "CPU until at work", 3, 1.5, " s", _started("at work, CPU s")),
    Target("start", "CPU until every order is there", 3, 1.5, " s", _started("ready, CPU s")),
    Target(
        "latency", "share of the bound", 95, None, " %", _watcher("share of the bound, %"), True
    ),
    Target("soak", "longest without a check", 660, None, " s", _soaked(_UNCHECKED)),
    Target("soak", "longest pause, 99.9 %", 100, 20, " ms", _soaked("pause p99.9, ms")),
    Target("soak", "memory, end ÷ middle", 1.05, None, "", _memory_grown),
    Target("soak", "kill -9 to the first request", 5, None, " s", _back_after),
    *(
        Target("takeover", what, most, None, " s", _taken(f"{what}, s"))
        for what, most in (
            ("kill to a check at each panel", 15),
            ("takeover to the first check", 5),
            ("takeover to all orders", 30),
        )
    ),
    Target("takeover", "CPU an order, after ÷ before", 1.1, None, "", _cost_after),
    Target("lived", "mean lag, daemon ÷ module", 1.1, None, "", lambda f: f["daemon ÷ module"]),
    Target("idle", "CPU", 0.5, None, " %", lambda found: found["figures"]["CPU, % of a core"]),
    Target("growth", "cost over orders, ±", 15, None, " %", _spread("orders")),
    Target("growth", "cost over panels, ±", 15, None, " %", _spread("panels")),
    Target("scrape", "longest pause", 50, 5, " ms", lambda f: f["figures"]["longest pause, ms"]),
    Target(
        "growth",
        "scrape, at the most",
        50,
        5,
        " ms",
        lambda found: max(p["scrape at rest, ms"] for a in found["axes"].values() for p in a),
    ),
    *(
        Target("page", f"{kind}, p95, {state}", 200, None, " ms", _answered(state, kind))
        for kind in ("page", "search", "filter")
        for state in ("busy", "at rest")
    ),
    *(
        Target("limits", f"allowed rate used, {kind}", 0.9, None, "", _share_used(kind), True)
        for kind in LimitKind
    ),
    Target("limits", "refusals an hour, at the most", 15, None, "", _refusals),
)


def judged(results: Results) -> Iterator[tuple[str, ...]]:
    """(what, target, moonshot, measured, verdict) of each target, and of those of freshness."""
    for target in TARGETS:
        what = f"{target.benchmark}: {target.what}"
        sign = "≥" if target.at_least else "≤"
        wanted = f"{sign} {target.told(target.target)}"
        moonshot = "" if target.moonshot is None else target.told(target.moonshot)
        try:
            measured = target.read(results[target.benchmark])
        except (KeyError, ValueError):
            yield what, wanted, moonshot, "", "not measured"
            continue
        met = measured >= target.target if target.at_least else measured <= target.target
        yield what, wanted, moonshot, target.told(measured), _verdict(met)
    for row in results.get("freshness", {}).get("targets", ()):
        what = f"freshness, {row['case']}: {row['figure']}, {row['policy']} ÷ ours"
        met = row["ratio"] >= row["target"]
        yield what, f"≥ {_number(row['target'])}", "", _number(row["ratio"]), _verdict(met)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _verdict(met: bool) -> str:
    return "met" if met else "**missed**"

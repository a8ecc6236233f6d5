"""How soon one node of a cluster leads what another one has led, with very many open orders.

Two daemons and their PostgreSQL server share this machine, and lead half of the panels each. One is
killed with SIGKILL. Told is when the other one has taken its panels over, asks each of them about
an order, and has all of their orders; and what an order costs it before and after.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from pathlib import Path

from benchmarks import report
from benchmarks.daemon import Process, imports
from benchmarks.house import make_config
from benchmarks.panels import Panels, panels
from benchmarks.places import ServerPlace
from benchmarks.soak import SETTINGS
from benchmarks.sweep import RULES, Figures, make
from watcher.common.postgres_url import DatabaseLocation

_CLUSTER = """
[cluster]
name = "{name}"
url = "http://127.0.0.1:{port}"
lease = "{lease}s"
token_file = "token"
"""
_LEADERS = "SELECT name, node, since FROM leaders WHERE name LIKE 'panel%'"
_LOOK_EVERY = 0.05  # seconds
_AT_MOST = 600.0  # seconds that anything may take


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    where = options.directory or Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(dir=where) as name, panels(options.orders) as asked:
        print(f"making {options.orders:,} orders …", file=sys.stderr)
        made = make(Path(name) / "made.db", options.orders, options.panels)
        place = ServerPlace(where)
        try:
            figures = Takeover(place, asked, options).measure(made, Path(name))
        finally:
            place.server.remove()
    print(report.table({"": figures}))
    if options.json:
        sizes = {name: getattr(options, name) for name in ("orders", "panels", "lease")}
        report.write(options.json, "takeover", {**sizes, "figures": figures})


class Takeover:
    """Nodes a and b; a is killed."""

    def __init__(self, place: ServerPlace, asked: Panels, options: argparse.Namespace) -> None:
        self._place, self._asked, self._options = place, asked, options
        self._sweep = 0

    def measure(self, made: Path, directory: Path) -> Figures:
        database = self._place.put(made, directory)
        a, b = (self._start(directory / name, database) for name in "ab")
        try:
            half = self._options.panels // 2
            _until(lambda: len(self._led("b")) == half, "b leads half of the panels")
            for node in (a, b):
                node.wait_until_ready()
            before = self._cost(b, self._led("b"))
            lost, killed = self._led("a").keys(), time.time()
            a.kill()
            told = self._taken_over(b, lost, killed)
            after = self._cost(b, self._led("b"))
            costs = {"CPU µs an order, before": before, "CPU µs an order, after": after}
            return {**told, **costs, "peak MB": b.memory()}
        finally:
            for node in (a, b):
                node.stop()

    def _start(self, home: Path, database: DatabaseLocation) -> Process:
        home.mkdir()
        token = home / "token"
        token.write_text("a-token-of-the-benchmark")
        token.chmod(0o600)
        imports(home)  # so that no start has to compile
        config, given = home / "config.toml", self._options
        port = make_config(
            config,
            panels=given.panels,
            url=self._asked.url,
            rules=RULES,
            defaults=SETTINGS,
            database=database,
        )
        with config.open("a") as text:
            text.write(_CLUSTER.format(name=home.name, port=port, lease=given.lease))
        return Process(config, port)

    def _led(self, node: str) -> dict[str, float]:
        """The panels that the node leads, with since when: Unix seconds."""
        rows = self._place.rows(_LEADERS)
        return {str(name): float(since) for name, leader, since in rows if leader == node}

    def _taken_over(self, survivor: Process, lost: Set[str], killed: float) -> Figures:
        _until(lambda: lost <= self._led("b").keys(), "b leads the panels of a")
        since = max(self._led("b")[panel] for panel in lost)
        first = self._once(any, lost, since)
        last = self._once(all, lost, since)
        survivor.wait_until_ready()
        loaded = time.time()
        return {
            "kill to takeover, s": since - killed,
            "kill to a check at each panel, s": last - killed,
            "takeover to the first check, s": first - since,
            "takeover to a check at each panel, s": last - since,
            "takeover to all orders, s": loaded - since,
        }

    def _once(self, which: Callable[[Iterable[bool]], bool], lost: Set[str], since: float) -> float:
        """When any of the panels, or all, have been asked about orders after that; Unix seconds."""
        _until(lambda: which(at > since for at in self._asked_at(lost)), "they are asked about")
        return time.time()

    def _asked_at(self, names: Collection[str]) -> list[float]:
        """When each panel was last asked about orders, Unix seconds."""
        found, now = self._asked.each(self._options.panels), time.time()
        return [now - found[_number(name)][0] for name in names]

    def _cost(self, node: Process, led: Collection[str]) -> float:
        """CPU µs of an order that the node asks about, once the rules have seen all of them."""
        time.sleep(self._options.settle)
        self._sweep += 1
        self._asked.sweep(self._sweep)  # another twentieth of the orders has moved
        before, cpu = self._ids(led), node.cpu()
        time.sleep(self._options.seconds)
        return 1e6 * (node.cpu() - cpu) / max(1.0, self._ids(led) - before)

    def _ids(self, names: Collection[str]) -> float:
        found = self._asked.each(self._options.panels)
        return sum(found[_number(name)][1] for name in names)


def _number(panel: str) -> int:
    """The panel's place in what `Panels.each` tells."""
    return int(panel.removeprefix("panel")) - 1


def _until(is_so: Callable[[], bool], what: str) -> None:
    began = time.perf_counter()
    while not is_so():
        if time.perf_counter() - began > _AT_MOST:
            raise SystemExit(f"after {_AT_MOST:.0f} seconds it is still not so that {what}")
        time.sleep(_LOOK_EVERY)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = report.options(__doc__, orders=1_000_000, panels=10, lease=10)
    parser.add_argument("--settle", type=float, default=45.0, help="seconds before each cost")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each cost")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

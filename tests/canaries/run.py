"""`make canaries`: plant each fault in a copy of the tree; a test must find it.

python -m tests.canaries.run [--jobs 2] [--only PATTERN] [--table docs/reliability.md]

The exit code is 1 where a fault's text is not found, or where no test finds the fault.
"""

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.canaries import FAULTS
from tests.canaries.fault import Fault
from tests.canaries.plant import NotPlanted, Place, check_all, planted
from tests.canaries.tree import ROOT, WITHIN, Outcome, Tree

BEGIN = "<!-- canaries: made by `make canaries` -->"
END = "<!-- /canaries -->"
_SECTION = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
_ROW = re.compile(r"^\| (?!fault \||---)(.+?) \|", re.MULTILINE)


def main() -> int:
    """Return the exit code."""
    arguments = _arguments()
    chosen = [fault for fault in FAULTS if re.search(arguments.only, fault.name)]
    try:
        places = check_all(chosen, ROOT / "watcher")
    except NotPlanted as problem:
        _say("these faults no longer fit the code; write their `where` and `old` anew:")
        _say(str(problem))
        return 1
    with tempfile.TemporaryDirectory(prefix="canaries-") as directory:
        outcomes = _play_all(
            chosen, places, Path(directory), jobs=arguments.jobs, within=arguments.within
        )
    alive = [fault for fault in chosen if outcomes[fault.name].killer is None]
    _say(f"{len(chosen)} faults, {len(alive)} that no test finds")
    if alive:
        return 1
    if arguments.table and len(chosen) == len(FAULTS):
        text = arguments.table.read_text()
        killers = {name: outcome.killer or "" for name, outcome in outcomes.items()}
        arguments.table.write_text(_SECTION.sub(lambda _: section(killers), text))
    return 0


def section(killers: Mapping[str, str]) -> str:
    """Return the part of the documentation that tells which test finds which fault."""
    head = "| fault | what it would cost | found by |\n|---|---|---|\n"
    return BEGIN + "\n\n" + head + "".join(_rows(killers)) + "\n" + END


def names_in(text: str) -> list[str]:
    """Return the faults that a documentation's section names."""
    found = _SECTION.search(text)
    return _ROW.findall(found[0]) if found else []


def _rows(killers: Mapping[str, str]) -> Iterator[str]:
    for fault in FAULTS:
        test = killers[fault.name].removeprefix("tests/")
        yield f"| {fault.name} | {fault.cost} | `{test}` |\n"


def _play_all(
    faults: Sequence[Fault],
    places: Mapping[str, Place],
    directory: Path,
    *,
    jobs: int,
    within: float,
) -> dict[str, Outcome]:
    """Play them, `jobs` at once, each in a tree of its own; tell of each as it ends."""
    trees: SimpleQueue[Tree] = SimpleQueue()
    for number in range(jobs):
        trees.put(Tree(directory / str(number)))

    def play(fault: Fault) -> Outcome:
        tree = trees.get()
        try:
            return _play(fault, places[fault.name], tree, within)
        finally:
            trees.put(tree)

    outcomes: dict[str, Outcome] = {}
    with ThreadPoolExecutor(jobs) as pool:
        for fault, outcome in zip(faults, pool.map(play, faults), strict=True):
            _say(f"{outcome.seconds:5.1f} s  {fault.name}: {outcome.killer or outcome.said}")
            outcomes[fault.name] = outcome
    _check_clean(trees.get(), (outcome.killer for outcome in outcomes.values()), jobs)
    return outcomes


def _play(fault: Fault, place: Place, tree: Tree, within: float) -> Outcome:
    path = tree.root / place.path.relative_to(ROOT)
    with tree.changed(path, planted(path.read_text(), place, fault.new)):
        return tree.run_tests(fault.tests, within=within)


def _check_clean(tree: Tree, killers: Iterable[str | None], jobs: int) -> None:
    """A test that fails without any fault proves nothing."""
    names = {killer.removeprefix("tests/") for killer in killers if killer and "::" in killer}
    if not names:  # pytest would run all there are
        return
    outcome = tree.run_tests(" ".join(sorted(names)), "-n", str(jobs), within=1800.0)
    if outcome.killer is not None:
        raise SystemExit(f"{outcome.killer} fails without any fault:\n{outcome.said[-3000:]}")
    _say(f"{outcome.seconds:5.1f} s  the tests that found them, without any fault")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="canaries", description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="so many at once")
    parser.add_argument("--within", type=float, default=WITHIN, help="seconds for each")
    parser.add_argument("--only", default="", help="a pattern of the names of those to play")
    parser.add_argument("--table", type=Path, help="the documentation to write the table into")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

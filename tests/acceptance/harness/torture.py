"""`make torture`: random scenarios for a time or a number of them, on all cores; or one again.

python -m tests.acceptance.harness.torture --duration 10m [--seed 7]
python -m tests.acceptance.harness.torture --scenarios 1000 --seed 1 --results results.json
python -m tests.acceptance.harness.torture --scenarios 1 --seed 7 --database postgresql
"""

import argparse
import itertools
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

import msgspec

from tests.acceptance.harness.play import play
from tests.acceptance.harness.scenario import Kind, draw, kind_of
from tests.acceptance.harness.verdict import Tally, Verdict
from watcher.config.values import duration

CORES = os.cpu_count() or 1
_TELL_EVERY = 100  # scenarios
_TOLD_OF_EACH = 20  # violations; the results hold all of them


def main() -> int:
    """The exit code: 1 where there was a violation."""
    arguments = _arguments()
    engine = arguments.database
    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed
    ends = float("inf")
    seeds: Iterable[int] = itertools.count(seed)
    if arguments.scenarios is None:
        ends = time.monotonic() + float(duration(arguments.duration))
    else:
        seeds = slowest_first(range(seed, seed + arguments.scenarios))
    if arguments.scenarios == 1:
        _say(*map(str, draw(seed, server=engine == "postgresql").steps))
    began = time.monotonic()
    tally = Tally()
    for number, verdict in enumerate(play_all(seeds, ends, arguments.jobs, engine), 1):
        tally.add(verdict)
        if number % _TELL_EVERY == 0:
            _say(f"{number} played in {_minutes(began)} minutes, {len(tally.failed)} violated")
        if verdict.violations:
            some = [f"  {violation}" for violation in verdict.violations[:_TOLD_OF_EACH]]
            _say(f"SEED={verdict.seed} {verdict.kind}: {len(verdict.violations)}", *some)
    _say(*tally.lines(), f"{'minutes, from the seed ' + str(seed):44}{_minutes(began):>10}")
    if arguments.results is not None:
        results = {"seed": seed, "minutes": _minutes(began), "cores": CORES, **tally.results()}
        arguments.results.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    return 1 if tally.failed else 0


def play_all(
    seeds: Iterable[int],
    until: float = float("inf"),
    jobs: int = CORES,
    engine: str = "sqlite",
) -> Iterator[Verdict]:
    """Play `jobs` at once; begin none when the time is over. Verdicts come as they are."""
    # No worker is used for ever: what one scenario leaves in memory is not another's.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=20) as workers:
        playing: set[Future[Verdict]] = set()
        left = iter(seeds)
        while True:
            wanted = jobs - len(playing) if time.monotonic() < until else 0
            playing |= {
                workers.submit(play, seed, engine) for seed in itertools.islice(left, wanted)
            }
            if not playing:
                return
            done, playing = wait(playing, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def slowest_first(seeds: Iterable[int]) -> list[int]:
    """So that no core is idle at the end while another plays a long one."""
    order = [Kind.LARGE, Kind.HOUSE]
    return sorted(seeds, key=lambda seed: order.index(kind_of(seed)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    parser.add_argument("--duration", default="10m", help="such as 90s, 10m, 2h")
    parser.add_argument("--scenarios", type=int, help="so many, however long they take")
    parser.add_argument("--seed", type=int, help="of the first scenario; else drawn")
    parser.add_argument("--jobs", type=int, default=CORES, help="so many at once")
    kinds = ("sqlite", "postgresql")
    parser.add_argument("--database", choices=kinds, default="sqlite", help="the kind of database")
    parser.add_argument("--results", type=Path, help="a file for the table, as JSON")
    return parser.parse_args()


def _minutes(began: float) -> float:
    return round((time.monotonic() - began) / 60, 1)


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

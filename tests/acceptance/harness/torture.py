"""`make torture`: random scenarios until the time is over, or one again by its seed.

python -m tests.acceptance.harness.torture --duration 10m [--seed 7]
python -m tests.acceptance.harness.torture --duration 0 --seed 7
"""

import argparse
import itertools
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from tests.acceptance.harness.killing import play_process
from tests.acceptance.harness.play import play
from tests.acceptance.harness.scenario import Kind, draw, kind_of
from tests.acceptance.harness.verdict import Tally, Verdict
from watcher.config.sections import duration

CORES = os.cpu_count() or 1


def play_any(seed: int) -> Verdict:
    """Play the seed's scenario as its kind wants it."""
    return play_process(seed) if kind_of(seed) is Kind.PROCESS else play(seed)


def pool() -> ProcessPoolExecutor:
    """A process for each core."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(CORES, mp_context=context)


def main() -> int:
    arguments = _arguments()
    if arguments.duration == "0":
        return _replay(arguments.seed if arguments.seed is not None else 0)
    first = random.randrange(10**6) if arguments.seed is None else arguments.seed
    tally = _run_for(float(duration(arguments.duration)), itertools.count(first))
    _say(*tally.lines())
    return 1 if tally.failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    parser.add_argument("--duration", default="10m", help="such as 90s, 10m, 2h; 0: one scenario")
    parser.add_argument("--seed", type=int, help="the first seed, or the only one")
    return parser.parse_args()


def _replay(seed: int) -> int:
    for step in draw(seed).steps:
        _say(str(step))
    verdict = play_any(seed)
    tally = Tally()
    tally.add(verdict)
    _say(*tally.lines(), *verdict.violations)
    return 1 if verdict.violations else 0


def _run_for(seconds: float, seeds: Iterator[int]) -> Tally:
    tally = Tally()
    ends = time.monotonic() + seconds
    with pool() as workers:
        playing: set[Future[Verdict]] = set()
        while time.monotonic() < ends or playing:
            while time.monotonic() < ends and len(playing) < CORES:
                playing.add(workers.submit(play_any, next(seeds)))
            done, playing = wait(playing, return_when=FIRST_COMPLETED)
            for future in done:
                _take(future.result(), tally)
    return tally


def _take(verdict: Verdict, tally: Tally) -> None:
    tally.add(verdict)
    if verdict.violations:
        _say(f"SEED={verdict.seed} {verdict.kind}:", *(f"  {v}" for v in verdict.violations[:8]))


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

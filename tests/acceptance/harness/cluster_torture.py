"""`make torture-cluster`: drawn troubles of a cluster of three watchers, from a seed on.

python -m tests.acceptance.harness.cluster_torture --scenarios 500 --seed 1
python -m tests.acceptance.harness.cluster_torture --scenarios 1 --seed 7
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path

import msgspec

from tests.acceptance.harness.cluster_play import play
from tests.acceptance.harness.cluster_scenario import draw
from tests.acceptance.harness.verdict import Tally, Verdict

TOGETHER = 10  # scenarios that one cluster lives through
JOBS = (os.cpu_count() or 1) * 3 // 2  # clusters: each has three daemons, and mostly waits


def main() -> int:
    """The exit code: 1 where there was a violation."""
    arguments = _arguments()
    seeds = range(arguments.seed, arguments.seed + arguments.scenarios)
    if arguments.scenarios == 1:
        sys.stdout.write(f"{draw(arguments.seed)}\n")
    began, tally = time.monotonic(), Tally()
    for verdict in play_all(seeds, arguments.jobs):
        tally.add(verdict)
        for violation in verdict.violations[:20]:
            sys.stdout.write(f"SEED={verdict.seed}: {violation}\n")
        sys.stdout.flush()
    minutes = round((time.monotonic() - began) / 60, 1)
    sys.stdout.write("\n".join([*tally.lines(), f"{'minutes':44}{minutes:>10}", ""]))
    if arguments.results is not None:
        told = msgspec.json.encode({"minutes": minutes, **tally.results()})
        arguments.results.write_bytes(msgspec.json.format(told) + b"\n")
    return 1 if tally.failed else 0


def play_all(seeds: Sequence[int], jobs: int = JOBS) -> Iterator[Verdict]:
    """Play them, so many clusters at once; each lives through a few scenarios."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as workers:
        parts = [seeds[start : start + TOGETHER] for start in range(0, len(seeds), TOGETHER)]
        playing = {workers.submit(play, part): part for part in parts}
        while playing:
            for done in wait(playing, return_when=FIRST_COMPLETED).done:
                part, verdicts = playing.pop(done), done.result()
                yield from verdicts
                if rest := part[len(verdicts) :]:  # after a violation
                    playing[workers.submit(play, rest)] = rest


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="torture-cluster", description=__doc__)
    parser.add_argument("--scenarios", type=int, default=20, help="so many")
    parser.add_argument("--seed", type=int, default=1, help="of the first scenario")
    parser.add_argument("--jobs", type=int, default=JOBS, help="so many clusters at once")
    parser.add_argument("--results", type=Path, help="a file for the table, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

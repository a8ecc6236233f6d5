"""How fresh is what we know, for the same budget of requests: our rule against others.

Detection lag: the time between a change at the panel and our learning of it. The world is an
assumption (see `benchmarks.world`), and the gain depends on it. Run: `make bench-freshness`.
"""

import argparse
import heapq
import statistics
import sys
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from benchmarks import report
from benchmarks.policies import POLICIES, Policy
from benchmarks.world import COMPLETED, DAY, MOVING, PENDING, Fate, World, warp

BATCH = 100
PANELS = ((30.0, 0.2), (60.0, 0.3), (120.0, 0.5))  # requests a minute, share of the orders
HORIZON = 2.0  # days
TAIL = 60.0  # minutes at the end in which no event counts: none would have time to be seen


class Case(msgspec.Struct, frozen=True):
    """What is simulated."""

    name: str
    budget: float = 1.0  # share of load A
    guards: bool = True
    remains: bool = True
    speed_change: bool = False
    days: float = HORIZON
    measured: tuple[float, float] = (DAY, HORIZON * DAY - TAIL)
    policies: tuple[str, ...] = ("fixed", "ours")


CASES = (
    Case("A", policies=("fixed", "classes", "ours", "oracle")),
    Case("B", budget=0.1, policies=("fixed", "classes", "ours", "oracle")),
    Case("no guarded orders", guards=False),
    Case("panels without remains", remains=False),
    Case("hours 6 to 24 from nothing", measured=(360.0, DAY)),
    Case("speed of half the services changes", speed_change=True),
)
# (case, figure, policy against ours, target): ratio of that policy's lag to ours
TARGETS = (
    ("A", "mean", "fixed", 7.5),
    ("B", "mean", "fixed", 7.5),
    ("A", "p50", "fixed", 15.0),
    ("B", "p50", "fixed", 20.0),
    ("A", "p95", "fixed", 4.5),
    ("B", "p95", "fixed", 4.5),
    ("A", "first mean", "fixed", 10.0),
    ("A", "mean", "classes", 2.8),
    ("A", "mean", "oracle", 1 / 3.0),
    ("B", "mean", "oracle", 1 / 2.5),
    ("no guarded orders", "mean", "fixed", 3.0),
    ("panels without remains", "mean", "fixed", 3.5),
    ("hours 6 to 24 from nothing", "mean", "fixed", 6.0),
    ("speed of half the services changes", "mean", "fixed", 7.0),
)


class Lags(msgspec.Struct):
    """Minutes of each event, and what else is to be kept."""

    final: list[float] = []
    first: list[float] = []
    guard: list[float] = []
    longest_wait: float = 0.0
    requests: int = 0
    full: int = 0


class Task(msgspec.Struct, frozen=True):
    """One panel under one policy: what one process does."""

    case: Case
    policy: str
    seed: int
    panel: int
    scale: float


def run(task: Task) -> Lags:
    """Simulate it."""
    case = task.case
    rate, share = PANELS[task.panel]
    world = World(
        task.seed * 10 + task.panel,
        scale=task.scale,
        share=share,
        days=case.days,
        guards=case.guards,
    )
    rate *= case.budget
    limit = max(1, int(BATCH * task.scale))
    rng = Random(zlib.crc32(f"{task.seed} {task.panel}".encode()))
    policy = POLICIES[task.policy](rate * limit, rng)
    return Run(case, world, policy, rate, limit).whole()


class Run:
    """The world, a policy and a clock in minutes."""

    def __init__(self, case: Case, world: World, policy: Policy, rate: float, limit: int) -> None:
        self._case = case
        self._world = world
        self._policy = policy
        self._rate = rate
        self._limit = limit
        self._watched: dict[str, Fate] = {}
        self._leaves: list[tuple[float, str]] = []
        self._checked: dict[str, float] = {}
        self._lags = Lags()

    def whole(self) -> Lags:
        self._begin()
        arrivals = iter(self._world.arrivals)
        coming = next(arrivals, None)
        change_at = DAY * 1.25 if self._case.speed_change else None
        end = self._case.days * DAY
        for number in range(int(end * self._rate)):
            now = number / self._rate
            while coming is not None and coming.submitted <= now:
                self._enter(coming)
                self._policy.arrive(coming, now)
                coming = next(arrivals, None)
            while self._leaves and self._leaves[0][0] <= now:
                self._leave(heapq.heappop(self._leaves)[1])
            if change_at is not None and now >= change_at:
                self._world.change_speeds(now, iter(self._watched.values()))
                change_at = None
            self._request(now)
        self._count_unseen(end)
        return self._lags

    def _begin(self) -> None:
        warped = warp(0.0)
        known = {}
        for fate in self._world.orders:
            self._enter(fate)
            status, remains = fate.look(0.0, warped)
            fate.seen_start = status != PENDING
            fate.seen_end = status not in (PENDING, MOVING)
            known[fate.id] = (status, remains if self._case.remains else None)
        self._policy.begin(self._world.orders, known)

    def _enter(self, fate: Fate) -> None:
        self._watched[fate.id] = fate
        self._checked[fate.id] = max(0.0, fate.submitted)
        if fate.guard_until > 0.0:
            heapq.heappush(self._leaves, (fate.guard_until, fate.id))

    def _leave(self, order_id: str) -> None:
        fate = self._watched.pop(order_id, None)
        if fate is not None:
            self._policy.leave(fate)

    def _request(self, now: float) -> None:
        taken = self._policy.take(self._limit, now)
        self._lags.requests += 1
        self._lags.full += len(taken) == self._limit
        warped = warp(now)
        for fate in taken:
            status, remains = fate.look(now, warped)
            self._note(fate, status, now)
            stays = status in (PENDING, MOVING) or now < fate.guard_until
            told = remains if self._case.remains else None
            self._policy.answered(fate, status, told, now, stays)
            if not stays:
                del self._watched[fate.id]

    def _note(self, fate: Fate, status: int, now: float) -> None:
        waited = now - self._checked[fate.id]
        self._checked[fate.id] = now
        if waited > self._lags.longest_wait:
            self._lags.longest_wait = waited
        if status != PENDING and not fate.seen_start:
            fate.seen_start = True
            self._keep(self._lags.first, fate.start, now)
        if status not in (PENDING, MOVING):
            if not fate.seen_end:
                fate.seen_end = True
                self._keep(self._lags.final, fate.end, now)
            if status == COMPLETED and fate.guard_change <= now and not fate.seen_change:
                fate.seen_change = True
                self._keep(self._lags.guard, fate.guard_change, now)

    def _keep(self, lags: list[float], event: float, now: float) -> None:
        since, until = self._case.measured
        if since <= event < until:
            lags.append(now - event)

    def _count_unseen(self, end: float) -> None:
        """An event that nobody has seen yet has waited at least until now."""
        for fate in self._watched.values():
            if fate.start <= end and not fate.seen_start:
                self._keep(self._lags.first, fate.start, end)
            if fate.end <= end and not fate.seen_end:
                self._keep(self._lags.final, fate.end, end)


def figures(runs: Iterable[Lags]) -> dict[str, float]:
    """What a case comes to under one policy, over all its panels and seeds. Minutes."""
    runs = list(runs)
    final = sorted(lag for run in runs for lag in run.final)
    first = [lag for run in runs for lag in run.first]
    guard = [lag for run in runs for lag in run.guard]
    return {
        "mean": statistics.fmean(final),
        "p50": _at(final, 0.5),
        "p95": _at(final, 0.95),
        "p99": _at(final, 0.99),
        "first mean": statistics.fmean(first),
        "guard mean": statistics.fmean(guard) if guard else 0.0,
        "longest wait": max(run.longest_wait for run in runs),
        "full batches %": 100 * sum(r.full for r in runs) / sum(r.requests for r in runs),
        "events": float(len(final)),
    }


def measure(
    cases: Sequence[Case],
    *,
    seeds: int,
    scale: float,
    processes: int,
    panels: Sequence[int] = (2, 1, 0),
) -> dict[str, dict[str, dict[str, float]]]:
    """Case -> policy -> figures."""
    tasks = [
        Task(case, policy, seed, panel, scale)
        for case in cases
        for policy in case.policies
        for panel in panels
        for seed in range(seeds)
    ]
    if processes > 1:
        with ProcessPoolExecutor(processes) as pool:
            lags = list(pool.map(run, tasks))
    else:
        lags = [run(task) for task in tasks]
    done = list(zip(tasks, lags, strict=True))
    return {
        case.name: {
            policy: figures(lag for t, lag in done if t.case is case and t.policy == policy)
            for policy in case.policies
        }
        for case in cases
    }


def against_targets(found: dict[str, dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    """Each target with what was reached."""
    rows = []
    for case, figure, policy, target in TARGETS:
        if case not in found:
            continue
        reached = found[case][policy][figure] / found[case]["ours"][figure]
        rows.append(
            {"case": case, "figure": figure, "policy": policy, "target": target, "ratio": reached}
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=0.05, help="1: 100,000 orders")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--case", action="append", help="only these")
    parser.add_argument("--out", type=Path, default=Path("freshness.json"))
    options = parser.parse_args(arguments)
    cases = [case for case in CASES if not options.case or case.name in options.case]
    found = measure(cases, seeds=options.seeds, scale=options.scale, processes=options.processes)
    targets = against_targets(found)
    for case, policies in found.items():
        sys.stdout.write(f"\n{case} (detection lag in minutes)\n{report.table(policies)}\n")
    sys.stdout.write("\n")
    for row in targets:
        sign = "ok  " if row["ratio"] >= row["target"] else "MISS"
        sys.stdout.write(
            f"{sign} {row['case']}: {row['figure']}, {row['policy']} ÷ ours "
            f"{row['ratio']:.2f} (target {row['target']:.2f})\n"
        )
    report.write(
        options.out,
        "freshness",
        {"scale": options.scale, "seeds": options.seeds, "cases": found, "targets": targets},
    )


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    main()

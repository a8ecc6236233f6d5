"""How fresh is what we know, for the same budget of requests: our rule against others.

Detection lag: the minutes between a change at the panel and our learning of it. The worlds are
assumptions (see `benchmarks.worlds`), and the gain depends on them. Run: `make bench-freshness`.
"""

import argparse
import heapq
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from benchmarks import report
from benchmarks.policies import POLICIES, WITHIN, Policy
from benchmarks.world import DAY, MOVING, PARTIAL, PENDING, Floats, Ints, Spec, World
from benchmarks.worlds import OWN, WORLDS

TAIL = (60.0, 0.05)  # minutes or share at the end in which no event counts: too late to be seen
ALL = ("fixed", "classes", "ours", "oracle")
AMPLE, TIGHT = 0, 1  # budgets of a world
_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)

Figures = dict[str, float]


class Case(msgspec.Struct, frozen=True):
    """What is simulated. Events of the first `warm_up` days don't count."""

    name: str
    spec: Spec
    budget: int = AMPLE
    days: float = 2.0
    warm_up: float = 1.0
    policies: tuple[str, ...] = ("fixed", "ours")

    @property
    def rate(self) -> float:
        """Requests a minute."""
        return self.spec.budgets[self.budget]


CASES = (
    Case("no guarded orders", replace(OWN, guarded=0)),
    Case("panels without remains", replace(OWN, remains=False)),
    Case("hours 6 to 24 from nothing", OWN, days=1.0, warm_up=0.25),
    Case("speed of half the services changes", replace(OWN, speed_change=True)),
)
IN_WORLDS = tuple(
    Case(f"{spec.name}{suffix}", spec, budget, days=1.75, warm_up=0.75, policies=ALL)
    for budget, suffix in ((AMPLE, ""), (TIGHT, ", tight"))
    for spec in WORLDS
)
# (case, figure, policy against ours, target): ratio of that policy's lag to ours
TARGETS = (
    ("own", "mean", "fixed", 7.5),
    ("own, tight", "mean", "fixed", 7.5),
    ("own", "p50", "fixed", 15.0),
    ("own, tight", "p50", "fixed", 20.0),
    ("own", "p95", "fixed", 4.5),
    ("own, tight", "p95", "fixed", 4.5),
    ("own", "first mean", "fixed", 10.0),
    ("own", "mean", "classes", 2.8),
    ("own", "mean", "oracle", 1 / 3.0),
    ("own, tight", "mean", "oracle", 1 / 2.5),
    ("no guarded orders", "mean", "fixed", 3.0),
    ("panels without remains", "mean", "fixed", 3.5),
    ("hours 6 to 24 from nothing", "mean", "fixed", 6.0),
    ("speed of half the services changes", "mean", "fixed", 7.0),
)
# The same for every world: figure -> least ratio of the classes' lag to ours.
IN_ALL = {"mean": 2.0, "p50": 2.0, "p95": 1.0, "p99": 1 / 1.2, "first mean": 2.0}
SILENT_MEAN = 1.7  # where only the status is told, the oracle reaches little more


COLUMNS = (
    "mean", "p50", "p95", "p99", "first mean", "first p99", "guard events", "guard mean",
    "guard expected", "longest wait ÷ check_within",
)  # fmt: skip


class Lags(msgspec.Struct):
    """Minutes of each event, and what else is to be kept."""

    final: list[float] = []
    first: list[float] = []
    guard: list[float] = []
    chance: list[tuple[float, float]] = []  # (weight, lag) of guarded orders, at each request
    longest_wait: float = 0.0  # of an open order
    longest_guarded: float = 0.0
    requests: int = 0
    full: int = 0


class Task(msgspec.Struct, frozen=True):
    """One panel under one policy: what one process does."""

    case: Case
    policy: str
    seed: int


def run(task: Task) -> Lags:
    """Simulate it."""
    case = task.case
    world = World(case.spec, task.seed, case.days)
    policy = POLICIES[task.policy](world, case.rate * case.spec.limit, Random(task.seed))
    return Run(case, world, policy).whole()


class Run:
    """The world, a policy and a clock in minutes."""

    def __init__(self, case: Case, world: World, policy: Policy) -> None:
        self._case = case
        self._world = world
        self._policy = policy
        count = len(world.end)
        self._watched, self._has_ended = np.zeros((2, count), dtype=bool)
        self._seen = np.zeros((3, count), dtype=bool)  # first, final, guard
        self._checked = np.maximum(world.submitted, 0.0)
        self._leaves: list[tuple[float, int]] = []
        self._lags = Lags()

    def whole(self) -> Lags:
        self._begin()
        end, next_one = self._case.days * DAY, 0
        coming = self._world.coming
        for number in range(int(end * self._case.rate)):
            now = number / self._case.rate
            while next_one < len(coming) and self._world.submitted[coming[next_one]] <= now:
                order = int(coming[next_one])
                self._enter(np.array([order]))
                self._policy.arrive(order, now)
                next_one += 1
            while self._leaves and self._leaves[0][0] <= now:
                self._leave(heapq.heappop(self._leaves)[1])
            self._request(now)
        self._count_unseen(end)
        return self._lags

    def _begin(self) -> None:
        first = self._world.first
        self._enter(first)
        status, remains = self._world.look(first, 0.0)
        self._seen[0, first] = status != PENDING
        self._seen[1, first] = self._has_ended[first] = status > MOVING
        self._policy.begin(first, status, remains)

    def _enter(self, orders: Ints) -> None:
        self._watched[orders] = True
        for until, order in zip(
            self._world.guard_until[orders].tolist(), orders.tolist(), strict=True
        ):
            if 0.0 < until < inf:
                heapq.heappush(self._leaves, (until, order))

    def _leave(self, order: int) -> None:
        if self._watched[order]:
            self._watched[order] = False
            self._policy.leave(order)

    def _request(self, now: float) -> None:
        taken = self._policy.take(self._case.spec.limit, now)
        self._lags.requests += 1
        self._lags.full += len(taken) == self._case.spec.limit
        if not len(taken):
            return
        status, remains = self._world.look(taken, now)
        self._note(taken, status, now)
        stays = self._stays(taken, status, now)
        self._watched[taken[~stays]] = False
        self._policy.answered(taken, status, remains, now, stays)

    def _stays(self, orders: Ints, status: Ints, now: float) -> "np.ndarray":
        is_kept = (status <= PARTIAL) & (now < self._world.guard_until[orders])
        return (status <= MOVING) | is_kept

    def _note(self, orders: Ints, status: Ints, now: float) -> None:
        world, lags = self._world, self._lags
        waited = now - self._checked[orders]
        self._checked[orders] = now
        if now > self._case.warm_up * DAY:
            ended = self._has_ended[orders]
            lags.longest_wait = max(lags.longest_wait, float(waited[~ended].max(initial=0.0)))
            longest = float(waited[ended].max(initial=0.0))
            lags.longest_guarded = max(lags.longest_guarded, longest)
            lags.chance.append(self._expected(now - waited[ended], now))
        self._has_ended[orders] = is_final = status > MOVING
        self._keep(0, lags.first, orders[status != PENDING], world.starts_at, now)
        self._keep(1, lags.final, orders[is_final], world.ends_at, now)
        flipped = orders[is_final & (world.flips_at[orders] <= now)]
        self._keep(2, lags.guard, flipped, world.flips_at, now)

    def _expected(self, before: Floats, now: float) -> tuple[float, float]:
        """Return the weight and the mean lag of changes between these checks of guarded orders.

        Changes are rare: this is what their lags come to if very many are simulated.
        """
        clock = self._world.clock
        first, last = clock.shows(before), float(clock.shows(now))
        weights = last - first
        lags = [now - clock.when(first + weights * share) for share in _SHARES]
        weight = float(weights.sum())
        return weight, float((weights * np.mean(lags, axis=0)).sum()) / max(weight, 1e-9)

    def _keep(self, kind: int, lags: list[float], orders: Ints, at: Floats, now: float) -> None:
        """Note the events at these times that are seen for the first time."""
        new = orders[~self._seen[kind, orders]]
        self._seen[kind, new] = True
        end = self._case.days * DAY
        event, end = at[new], end - min(TAIL[0], TAIL[1] * end)
        is_kept = (event >= self._case.warm_up * DAY) & (event < end)
        lags.extend((now - event[is_kept]).tolist())

    def _count_unseen(self, end: float) -> None:
        """An event that nobody has seen yet has waited at least until now."""
        watched, world = np.flatnonzero(self._watched), self._world
        for kind, lags, at in (
            (0, self._lags.first, world.starts_at),
            (1, self._lags.final, world.ends_at),
            (2, self._lags.guard, world.flips_at),
        ):
            self._keep(kind, lags, watched[at[watched] <= end], at, end)


def figures(runs: Iterable[Lags]) -> Figures:
    """What a case comes to under one policy, over all seeds. Minutes."""
    runs = list(runs)
    final = np.array([lag for run in runs for lag in run.final])
    first = np.array([lag for run in runs for lag in run.first])
    guard = [lag for run in runs for lag in run.guard]
    weights, lags = np.array([pair for run in runs for pair in run.chance]).T
    longest = max(run.longest_wait for run in runs)
    return {
        "mean": float(final.mean()),
        **{f"p{n}": float(np.percentile(final, n)) for n in (50, 95, 99)},
        "first mean": float(first.mean()),
        "first p99": float(np.percentile(first, 99)),
        "guard events": float(len(guard)),
        "guard mean": float(np.mean(guard)) if guard else 0.0,
        "guard expected": float((weights * lags).sum() / max(weights.sum(), 1e-9)),
        "longest wait": longest,
        "longest wait ÷ check_within": longest / WITHIN,
        "longest wait, guarded": max(run.longest_guarded for run in runs),
        "full batches %": 100 * sum(r.full for r in runs) / sum(r.requests for r in runs),
        "events": float(len(final)),
    }


def measure(cases: Sequence[Case], *, seeds: int, processes: int) -> dict[str, dict[str, Figures]]:
    """Case -> policy -> figures."""
    tasks = [
        Task(case, policy, seed)
        for case in cases
        for policy in case.policies
        for seed in range(1, seeds + 1)
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


def against_targets(found: dict[str, dict[str, Figures]]) -> list[dict[str, Any]]:
    """Each target with what was reached."""
    rows = []
    for case, figure, policy, target in (*TARGETS, *_world_targets()):
        if case not in found:
            continue
        ours = max(found[case]["ours"][figure], 1e-9)
        reached = found[case][policy][figure] / ours
        rows.append(
            {"case": case, "figure": figure, "policy": policy, "target": target, "ratio": reached}
        )
    return rows


def _world_targets() -> Iterable[tuple[str, str, str, float]]:
    for case in IN_WORLDS:
        for figure, target in IN_ALL.items():
            is_silent = figure == "mean" and not case.spec.remains
            yield case.name, figure, "classes", SILENT_MEAN if is_silent else target
        policy, least = ("classes", 1 / 2) if case.spec.name == "guarded" else ("oracle", 1 / 1.5)
        yield case.name, "guard expected", policy, least


def by_world(found: dict[str, dict[str, Figures]]) -> list[tuple[str, str, Figures]]:
    """The lines of the table of all worlds: world, policy, figures."""
    return [
        (case.name, policy, {name: each[name] for name in COLUMNS})
        for case in IN_WORLDS
        for policy, each in found.get(case.name, {}).items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--case", action="append", help="only these")
    parser.add_argument("--policy", action="append", help="only these")
    parser.add_argument("--out", type=Path, default=Path("freshness.json"))
    options = parser.parse_args(arguments)
    every = (*CASES, *IN_WORLDS)
    cases = [case for case in every if not options.case or case.name in options.case]
    if options.policy:
        cases = [replace(case, policies=tuple(options.policy)) for case in cases]
    found = measure(cases, seeds=options.seeds, processes=options.processes)
    for case in cases:
        head = f"{case.name}: {case.spec.about}; detection lag in minutes"
        sys.stdout.write(f"\n{head}\n{report.table(found[case.name])}\n")
    sys.stdout.write(f"\n{_lines(by_world(found))}\n")
    targets = [] if options.policy else against_targets(found)
    sys.stdout.write("\n")
    for row in targets:
        sign = "ok  " if row["ratio"] >= row["target"] else "MISS"
        sys.stdout.write(
            f"{sign} {row['case']}: {row['figure']}, {row['policy']} ÷ ours "
            f"{row['ratio']:.2f} (target {row['target']:.2f})\n"
        )
    report.write(
        options.out, "freshness", {"seeds": options.seeds, "cases": found, "targets": targets}
    )


def _lines(rows: list[tuple[str, str, Figures]]) -> str:
    head = f"{'':<24}" + "".join(f"{name[:13]:>14}" for name in COLUMNS)
    lines = (
        f"{world:<16}{policy:<8}" + "".join(f"{figure:>14,.2f}" for figure in figures.values())
        for world, policy, figures in rows
    )
    return "\n".join([head, *lines])


if __name__ == "__main__":
    main()

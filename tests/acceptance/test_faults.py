"""Seeded fault scenarios: the journals against the database, no violation.

Each night a hundred are played; with every run those of them that have each fault twice.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import pytest

from tests.acceptance.harness.faults import name_of
from tests.acceptance.harness.scenario import (
    CRASH_POINTS,
    SERVER_TROUBLES,
    SPOILS,
    Kind,
    draw,
    kind_of,
)
from tests.acceptance.harness.torture import play_all, slowest_first
from watcher.simulator.request_limits import LimitKind

SEEDS = range(100)
_TIMES = 2  # that each fault is in what is played with every run
SERVER_SEEDS = range(1000, 1010)  # on a database server, which is killed and frozen, too
# What is played must have these among its faults, beside all kinds of spoilt answers and crashes.
FAULTS = """
rate_limit plain
rate_limit rate_limit_in_200
rate_limit retry_after_seconds
limit
wrong_key
panel_stopped
panel_hangs_up before the first byte
panel_hangs_up amid the request
bad_ids
garbled
reload
bad_reload
panel_removed
clock_forward by hours
clock_back by hours
clock_forth_and_back by hours
locked
disk_full
restart
backup
"""

HAPPENED = (
    "crashes",
    "refill accepted",
    "refill unresolved",
    "cancel accepted",
    "cancel unresolved",
    "submit accepted",
)


def injected(seeds: Iterable[int] = SEEDS, *, server: bool = False) -> Iterator[str]:
    for seed in seeds:
        for step in draw(seed, server=server).steps:
            yield from (name_of(fault) for fault in step.faults)


def chosen() -> list[int]:
    """What is played: all of them each night, else as few as have each fault twice."""
    if "WATCHER_TEST_EXAMPLES" in os.environ:
        return list(SEEDS)
    faults = {seed: Counter(kinds(seed)) for seed in SEEDS if kind_of(seed) is Kind.HOUSE}
    drawn = sum(faults.values(), Counter[str]())
    left = Counter({name: min(count, _TIMES) for name, count in drawn.items()})
    picked = list[int]()
    while left:
        best = max(faults, key=lambda seed: (left & faults[seed]).total())
        left -= faults.pop(best)
        picked.append(best)
    return sorted(picked)


def kinds(seed: int) -> Iterator[str]:
    """The scenario's faults, wherever they meet the panel, and its panels' limits."""
    yield from (name.partition(" at ")[0] for name in injected([seed]))
    yield from {f"limit {panel.limit_kind}" for panel in draw(seed).panels}


def test_every_fault_is_drawn():
    drawn = Counter(injected(chosen()))
    wanted = {name for name in FAULTS.split("\n") if name}
    wanted |= {f"crash {moment} {name or 'whatever came'}" for name, moment in CRASH_POINTS}
    assert wanted - drawn.keys() == set()
    spoilt = {name.partition(" at ")[0] for name in drawn}
    assert {trait.value for trait, _ in SPOILS} - spoilt == set()
    troubles = {f"server {word}" for word in SERVER_TROUBLES}
    assert troubles <= set(injected(SERVER_SEEDS, server=True))
    limits = {panel.limit_kind for seed in chosen() for panel in draw(seed).panels}
    assert limits == set(LimitKind)


def test_the_same_seed_gives_the_same_scenario():
    assert draw(11) == draw(11)
    assert draw(11) != draw(12)


def test_no_violation():
    """On all cores; `make torture SCENARIOS=1 SEED=…` plays one again."""
    seen = none_violated(chosen())
    assert min(seen[what] for what in HAPPENED) > 10, seen


@pytest.mark.engines("postgresql")
def test_no_violation_on_a_database_server():
    """`make torture SCENARIOS=1 SEED=… DATABASE=postgresql` plays one again."""
    seen = none_violated(SERVER_SEEDS, "postgresql")
    assert min(seen[what] for what in HAPPENED) > 2, seen


def none_violated(seeds: Sequence[int], engine: str = "sqlite") -> Counter[str]:
    """What was seen; a scenario in which nothing happened would prove nothing."""
    verdicts = list(play_all(slowest_first(seeds), engine=engine))
    assert sorted(verdict.seed for verdict in verdicts) == list(seeds)
    assert {v.seed: v.violations for v in verdicts if v.violations} == {}
    seen = Counter[str]()
    for verdict in verdicts:
        seen.update(verdict.seen)
    return seen

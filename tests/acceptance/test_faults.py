"""A hundred seeded fault scenarios: the journals against the database, no violation."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.acceptance.harness.faults import name_of
from tests.acceptance.harness.scenario import CRASH_POINTS, SPOILS, draw
from tests.acceptance.harness.torture import play_all, slowest_first
from watcher.simulator.request_limits import LimitKind

pytestmark = pytest.mark.alone

SEEDS = range(100)
# What each hundred must have among its faults, beside all kinds of spoilt answers and crashes.
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


def injected() -> Iterator[str]:
    for seed in SEEDS:
        yield from (name_of(fault) for step in draw(seed).steps for fault in step.faults)


def test_every_fault_is_drawn():
    drawn = Counter(injected())
    wanted = {name for name in FAULTS.split("\n") if name}
    wanted |= {f"crash {moment} {name or 'whatever came'}" for name, moment in CRASH_POINTS}
    assert wanted - drawn.keys() == set()
    spoilt = {name.partition(" at ")[0] for name in drawn}
    assert {trait.value for trait, _ in SPOILS} - spoilt == set()
    limits = {panel.limit_kind for seed in SEEDS for panel in draw(seed).panels}
    assert limits == set(LimitKind)


def test_the_same_seed_gives_the_same_scenario():
    assert draw(11) == draw(11)
    assert draw(11) != draw(12)


def test_no_violation():
    """On all cores; `make torture SCENARIOS=1 SEED=…` plays one again."""
    verdicts = list(play_all(slowest_first(SEEDS)))
    assert sorted(verdict.seed for verdict in verdicts) == list(SEEDS)
    assert {v.seed: v.violations for v in verdicts if v.violations} == {}
    # A scenario in which nothing happened would prove nothing.
    seen = Counter[str]()
    for verdict in verdicts:
        seen.update(verdict.seen)
    assert min(seen[what] for what in HAPPENED) > 20, seen

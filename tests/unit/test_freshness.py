"""The benchmark in small: whether our rule still does what it is for. It fails at a third of it."""

import pytest

from benchmarks.freshness import CASES, TARGETS, Case, measure

pytestmark = pytest.mark.long

ALLOWED = 1 / 3


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, dict[str, float]]]:
    case = CASES[0]
    short = Case(case.name, days=0.75, measured=(360.0, 1000.0), policies=("fixed", "ours"))
    return measure([short], seeds=1, scale=0.05, processes=1, panels=(0,))


@pytest.mark.parametrize(
    ("figure", "target"),
    [
        (figure, least)
        for case, figure, policy, least in TARGETS
        if (case, policy) == ("A", "fixed")
    ],
)
def test_changes_are_learnt_of_much_sooner_than_in_turn(found, figure: str, target: float):
    policies = found["A"]
    assert policies["fixed"]["events"] == policies["ours"]["events"] > 100
    assert policies["fixed"][figure] / policies["ours"][figure] >= target * ALLOWED


def test_every_request_is_full(found):
    assert found["A"]["ours"]["full batches %"] == 100.0

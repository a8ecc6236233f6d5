"""Seeded fault scenarios on simulated time: the journals against the database, no violation."""

import pytest

from tests.acceptance.harness.play import play


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_violation(seed: int):
    verdict = play(seed)
    assert verdict.violations == []
    assert verdict.injected, "a scenario without a fault proves nothing"

"""The brake of a rule at a panel."""

from watcher.rules.brake import BRAKE_WINDOW, Brake


def test_it_is_full_for_as_long_as_the_firings_are_within_an_hour():
    brake = Brake()
    brake.count(0.0)
    brake.count(100.0)
    assert brake.is_full(2, BRAKE_WINDOW - 1)
    assert not brake.is_full(3, BRAKE_WINDOW - 1)
    assert not brake.is_full(2, BRAKE_WINDOW), "the first is an hour ago"


def test_a_held_rule_starts_anew_when_it_is_let_go():
    brake = Brake()
    assert brake.held_until is None
    brake.count(0.0)
    brake.hold(10.0)
    assert brake.held_until == 10.0 + BRAKE_WINDOW
    assert not brake.is_full(1, 10.0), "its firings until then are forgotten"


def test_a_shorter_window_counts_and_holds_for_less():
    brake = Brake(120.0)
    brake.count(0.0)
    assert brake.is_full(1, 119.0)
    assert not brake.is_full(1, 120.0)
    brake.hold(10.0)
    assert brake.held_until == 130.0

"""The demo's scenario as a function of time, its history and its screen."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.cli.demo.backfill import DAY, DAYS, balances
from watcher.cli.demo.scenario import (
    DROPPING,
    FORGETFUL,
    PANELS,
    SHORT_OF_MONEY,
    SOLD,
    UNSTEADY,
    Incident,
    dropping_panel,
    is_down,
    panel_of_order,
    price_factor,
    service_of_order,
    steps,
)
from watcher.cli.demo.screen import Screen
from watcher.panels.profiles import shipped

SOON = 180.0  # seconds within which everything has been seen
AT = datetime(2026, 11, 30, 9, 41, tzinfo=UTC)

moments = st.floats(0.0, 3600.0)


@given(moments, moments, moments)
def test_steps_do_not_depend_on_how_often_one_looks(a: float, b: float, c: float):
    first, middle, last = sorted((a, b, c))
    assert steps(first, last) == steps(first, middle) + steps(middle, last)


def test_everything_happens_soon():
    assert {step.incident for step in steps(0.0, SOON)} == set(Incident)


@pytest.mark.parametrize("hours", [0, 1, 24, 1000])
def test_it_goes_on_for_ever(hours: int):
    since = hours * 3600.0
    later = steps(since, since + 700.0)
    assert {step.incident for step in later} == set(Incident)
    orders = [step.at for step in later if step.incident is Incident.ORDER]
    assert max(b - a for a, b in pairwise(orders)) <= 5.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Incident.DOWN, Incident.UP),
        (Incident.UNLIST, Incident.RELIST),
        (Incident.BULK_ORDER, Incident.TOP_UP),
    ],
)
def test_what_goes_wrong_is_put_right(one: Incident, other: Incident):
    found = [step.incident for step in steps(0.0, 7200.0) if step.incident in (one, other)]
    assert found[::2] == [one] * len(found[::2])
    assert found[1::2] == [other] * len(found[1::2])


def test_no_order_goes_to_a_panel_that_is_down():
    orders = [step for step in steps(0.0, 3600.0) if step.incident is Incident.ORDER]
    assert {panel_of_order(step) for step in orders} == set(PANELS)
    assert {service_of_order(step) for step in orders} == set(SOLD)
    at_risk = [step for step in orders if is_down(step.at)]
    assert at_risk
    assert UNSTEADY not in {panel_of_order(step) for step in at_risk}


def test_the_panels_are_shipped_profiles():
    assert set(PANELS) == set(shipped()) - {"standard"}
    drops = [step for step in steps(0.0, 600.0) if step.incident is Incident.DROP]
    assert {dropping_panel(step) for step in drops} < set(PANELS) - {DROPPING, FORGETFUL}


def test_the_first_change_of_a_price_is_a_rise():
    factors = [price_factor(number) for number in range(8)]
    assert factors[0] > 1
    assert max(factors) < 2
    assert all(before != after for before, after in pairwise(factors))


@pytest.mark.parametrize("panel", PANELS)
def test_the_balance_of_the_past_falls_and_is_topped_up(panel: str):
    now, left = 100 * DAY, Decimal("58.00")
    known = list(balances(left, panel, now))
    assert known[0][0] == now - DAYS * DAY
    assert known[-1] == (now, left)
    amounts = [amount for _, amount in known]
    assert min(amounts) >= left
    moves = [after - before for before, after in pairwise(amounts)]
    assert min(moves) < 0 < max(moves)
    if panel == SHORT_OF_MONEY:  # at the start it is neither low nor about to run out
        spent = sum(-move for move in moves[-4:] if move < 0)
        assert left / spent > 2


def shown(screen: Screen, width: int, height: int) -> list[str]:
    return [line.plain for line in screen.lines(width, height)]


def test_the_screen_tells_where_to_look_and_what_happened_last():
    screen = Screen("http://127.0.0.1:9466", "watcher", "demo/watcher.log", AT)
    assert "the first order" in "\n".join(shown(screen, 80, 23))
    for number in range(200):
        screen.tell(f"event {number}", AT)
    lines = shown(screen, 80, 23)
    assert len(lines) == 23
    assert "http://127.0.0.1:9466/" in "\n".join(lines)
    events = [line for line in lines if "event" in line]
    assert events[0] == "09:41:00  event 199"
    assert len(events) > 3
    assert "Ctrl-C ends it" in lines[-1]


@pytest.mark.parametrize(("width", "height"), [(80, 23), (40, 10), (20, 3), (200, 60)])
def test_the_screen_fits_its_window(width: int, height: int):
    screen = Screen("http://127.0.0.1:9466", "watcher", "demo/watcher.log", AT)
    for number in range(100):
        screen.tell(f"{number} \x1b[31m{'long ' * 40}", AT)
    lines = shown(screen, width, height)
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width
    assert "\x1b" not in "".join(lines)

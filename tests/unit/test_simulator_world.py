"""The world of a simulated panel: orders, refills, cancels and money over simulated time."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from watcher.panels.protocol.refusals import Refusal, RefusedAnswer
from watcher.simulator.catalog import SimService
from watcher.simulator.fate import DAY, HOUR, MINUTE, NEVER, Ending, Fate, Habits
from watcher.simulator.world import World

LINK = "https://example.com/post/1"
T0 = 1_000_000.0

FOLLOWERS = {"service": "1", "link": LINK, "quantity": "100"}
STEADY = Fate(pending=60, processing=30, per_minute=60, linger=20, start_count=500)


def placed(world: World, fate: Fate, **parameters: str) -> int:
    return world.add({**FOLLOWERS, **parameters}, T0, fate=fate)


def status(world: World, order: int, after: float) -> tuple[str, int]:
    row = world.status(order, T0 + after)
    return row.status, row.remains


def refused(call: Callable[..., object], *arguments: object, **named: object) -> Refusal:
    with pytest.raises(RefusedAnswer) as caught:
        call(*arguments, **named)
    return caught.value.refusal


def test_an_order_goes_its_way_from_pending_to_completed() -> None:
    world = World()
    order = placed(world, STEADY)
    assert [status(world, order, at) for at in (0, 59, 60, 90, 140, 190, 209, 210)] == [
        ("Pending", 100),
        ("Pending", 100),
        ("Processing", 100),
        ("In progress", 100),
        ("In progress", 50),
        ("In progress", 0),
        ("In progress", 0),
        ("Completed", 0),
    ]


def test_the_start_count_is_known_only_after_the_start() -> None:
    world = World()
    order = placed(world, STEADY)
    assert world.status(order, T0 + 89).start_count == 0
    assert world.status(order, T0 + 90).start_count == 500


def test_a_partial_order_stops_and_gives_back_the_rest() -> None:
    world = World(balance="10")
    order = placed(world, Fate(ending=Ending.PARTIAL, share=0.25, per_minute=60, linger=5))
    assert world.balance(T0) == Decimal("9.91")
    assert status(world, order, 29) == ("In progress", 75)
    assert status(world, order, 30) == ("Partial", 75)
    assert world.status(order, T0 + 30).charge == Decimal("0.02250")
    assert world.balance(T0 + 30) == Decimal("9.97750")


def test_an_order_that_the_panel_cancels_costs_nothing() -> None:
    world = World(balance="10")
    order = placed(world, Fate(ending=Ending.CANCELED, pending=60))
    assert status(world, order, 60) == ("Canceled", 100)
    assert world.status(order, T0 + 60).charge == 0
    assert world.balance(T0 + 60) == 10


def test_a_stalled_order_stays_in_progress_for_ever() -> None:
    world = World()
    order = placed(world, Fate(ending=Ending.STALLED, share=0.4))
    assert status(world, order, HOUR) == status(world, order, 1000 * DAY) == ("In progress", 60)


def test_a_partial_of_one_is_canceled() -> None:
    world = World()
    order = world.add(
        {"service": "5", "link": LINK, "comments": "nice"}, T0, fate=Fate(ending=Ending.PARTIAL)
    )
    assert status(world, order, HOUR) == ("Canceled", 1)


def test_fates_are_the_same_for_the_same_seed() -> None:
    worlds = [World(seed=seed) for seed in (7, 7, 8)]
    rows = [
        [world.status(order, T0 + HOUR) for order in world.seed_orders(300, T0, age=HOUR)]
        for world in worlds
    ]
    assert rows[0] == rows[1] != rows[2]


def test_every_ending_is_met() -> None:
    world = World()
    orders = world.seed_orders(2000, T0)
    words = {world.status(order, T0 + 400 * DAY).status for order in orders}
    assert words == {"Completed", "Partial", "Canceled", "In progress"}


def test_the_next_fates_are_given_to_the_next_orders() -> None:
    world = World()
    world.next_fates.append(STEADY)
    first, second = world.add(FOLLOWERS, T0), world.add(FOLLOWERS, T0)
    assert world.fate(first) is STEADY
    assert world.fate(second) is not STEADY


# Dropping and refills

DROPPING = Fate(per_minute=6000, start_count=500, drop=0.3, drop_after=HOUR, refill_takes=3 * HOUR)


def test_a_count_falls_after_completion_and_a_refill_restores_it() -> None:
    world = World()
    order = placed(world, DROPPING)
    assert world.count(order, T0) == 500
    assert world.count(order, T0 + MINUTE) == 600
    assert world.count(order, T0 + HOUR + MINUTE) == 570
    refill = world.refill(order, T0 + 2 * HOUR)
    assert [world.refill_status(refill, T0 + hour * HOUR) for hour in (2, 3, 4.9, 5)] == [
        "Pending",
        "In progress",
        "In progress",
        "Completed",
    ]
    assert world.count(order, T0 + 4.9 * HOUR) == 570
    assert world.count(order, T0 + 5 * HOUR) == 600
    assert world.count(order, T0 + 6 * HOUR) == 570


def test_a_rejected_refill_restores_nothing() -> None:
    world = World()
    fate = Fate(per_minute=6000, drop=0.3, drop_after=HOUR, refill_takes=HOUR, refill_granted=False)
    order = placed(world, fate)
    refill = world.refill(order, T0 + 2 * HOUR)
    assert world.refill_status(refill, T0 + 3 * HOUR) == "Rejected"
    assert world.count(order, T0 + 4 * HOUR) == 1070


def test_refills_are_refused_with_the_usual_reasons() -> None:
    world = World()
    order = placed(world, DROPPING)
    without = placed(world, DROPPING, service="2")
    partial = placed(world, Fate(ending=Ending.PARTIAL, per_minute=6000))
    assert refused(world.refill, order, T0) is Refusal.NOT_COMPLETED
    assert refused(world.refill, without, T0 + HOUR) is Refusal.REFILL_DISABLED
    assert refused(world.refill, partial, T0 + HOUR) is Refusal.NOT_COMPLETED
    assert refused(world.refill, 7, T0 + HOUR) is Refusal.ORDER
    world.refill(order, T0 + HOUR)
    assert refused(world.refill, order, T0 + 2 * HOUR) is Refusal.REFILL_RUNNING
    assert refused(world.refill, order, T0 + 5 * HOUR) is Refusal.REFILL_RECENT
    world.refill(order, T0 + 26 * HOUR)
    assert refused(world.refill, order, T0 + 31 * DAY) is Refusal.REFILL_OVER
    assert refused(world.refill_status, 99, T0) is Refusal.REFILL_UNKNOWN


def test_some_services_refill_partial_orders() -> None:
    world = World()
    order = placed(world, Fate(ending=Ending.PARTIAL, per_minute=6000), service="3")
    assert world.refill(order, T0 + HOUR) == 1


# Cancels


def test_a_cancel_takes_effect_later() -> None:
    world = World(balance="10")
    waiting = placed(world, Fate(pending=HOUR, cancel_takes=MINUTE))
    running = placed(world, Fate(per_minute=60, cancel_takes=MINUTE))
    world.cancel(waiting, T0 + 10)
    world.cancel(running, T0 + 10)
    assert status(world, waiting, 69) == ("Pending", 100)
    assert status(world, waiting, 70) == ("Canceled", 100)
    assert status(world, running, 69) == ("In progress", 31)
    assert status(world, running, 70) == ("Partial", 30)
    assert world.balance(T0 + 70) + world.spent(T0 + 70) == 10
    assert world.spent(T0 + 70) == Decimal("0.06300")


def test_a_cancel_can_come_too_late_or_be_ignored() -> None:
    world = World(balance="10")
    late = placed(world, Fate(per_minute=600, cancel_takes=HOUR))
    ignored = placed(world, Fate(pending=HOUR, per_minute=600, cancel_takes=NEVER))
    world.cancel(late, T0)
    world.cancel(ignored, T0)
    assert status(world, late, 2 * HOUR) == status(world, ignored, 2 * HOUR) == ("Completed", 0)
    assert world.balance(T0 + 2 * HOUR) == Decimal("9.82")


def test_a_cancel_at_the_very_end_pays_back_once() -> None:
    world = World(balance="10")
    order = placed(world, Fate(ending=Ending.CANCELED, pending=MINUTE, cancel_takes=MINUTE))
    world.cancel(order, T0)
    assert world.balance(T0 + HOUR) == 10


def test_an_end_that_a_cancel_forestalls_gives_nothing_back() -> None:
    world = World(balance="10")
    fate = Fate(ending=Ending.PARTIAL, share=0.5, per_minute=60, cancel_takes=10)
    order = placed(world, fate)
    world.cancel(order, T0)
    assert status(world, order, HOUR) == ("Partial", 90)
    assert world.balance(T0 + HOUR) == Decimal("9.99100")


def test_cancels_are_refused_with_reasons() -> None:
    world = World()
    finished = placed(world, Fate(per_minute=6000))
    without = placed(world, STEADY, service="3")
    running = placed(world, STEADY)
    world.cancel(running, T0)
    assert refused(world.cancel, finished, T0 + MINUTE) is Refusal.CANCEL_FINISHED
    assert refused(world.cancel, without, T0) is Refusal.CANCEL_DISABLED
    assert refused(world.cancel, running, T0 + 1) is Refusal.CANCEL_RUNNING
    assert refused(world.cancel, 7, T0) is Refusal.ORDER


# What tests do to a world


def test_orders_are_seeded_in_bulk() -> None:
    world = World()
    orders = world.seed_orders(1000, T0, services=[1], quantity=500, age=DAY, fate=STEADY)
    assert len(orders) == 1000
    assert world.order(orders[0], T0).placed == T0 - DAY
    assert world.status(orders[0], T0).status == "Completed"
    assert world.status(orders[-1], T0).status == "Processing"
    assert world.balance(T0) == 1000


def test_a_row_is_forced_field_by_field() -> None:
    world = World()
    orders = world.seed_orders(3, T0, services=[1], fate=STEADY)
    world.force(orders[:2], T0, status="Awaiting", remains=None)
    world.force(orders[0], T0, extra="x")
    assert world.row(orders[0], T0) == {
        "charge": Decimal("0.04500"),
        "start_count": 0,
        "status": "Awaiting",
        "remains": None,
        "extra": "x",
    } | {"charge": world.status(orders[0], T0).charge}
    assert world.row(orders[1], T0)["status"] == "Awaiting"
    assert world.row(orders[2], T0)["status"] == "Pending"
    world.release(orders, T0)
    assert world.row(orders[0], T0)["status"] == "Pending"


def test_a_forced_status_counts_for_refills_and_cancels() -> None:
    world = World()
    order = placed(world, STEADY)
    world.force(order, T0, status="Completed")
    assert refused(world.cancel, order, T0) is Refusal.CANCEL_FINISHED
    assert world.refill(order, T0)
    assert refused(world.refill, order, T0 + 31 * DAY) is Refusal.REFILL_OVER


def test_a_row_is_garbled_as_a_whole() -> None:
    world = World()
    order = placed(world, STEADY)
    for answer in ("Server busy", 5, None, [], {}):
        world.garble(order, T0, answer)
        assert world.row(order, T0) == answer


def test_unknown_orders_cannot_be_forced() -> None:
    assert refused(World().force, 7, T0, status="x") is Refusal.ORDER


def test_habits_without_chances_leave_no_chance() -> None:
    service = SimService(
        service=1,
        name="Sure",
        rate=Decimal("1"),
        habits=Habits(partial=0, canceled=0, stalled=0, pending=(0, 0), processing=(0, 0)),
    )
    world = World([service])
    orders = world.seed_orders(500, T0)
    assert {world.status(o, T0 + 100 * DAY).status for o in orders} == {"Completed"}

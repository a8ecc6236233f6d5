"""Orders as customers place them: forms, prices, drip feeds and subscriptions."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import pytest

from watcher.panels.protocol.refusals import Refusal, RefusedAnswer
from watcher.simulator.catalog import SimService
from watcher.simulator.fate import DAY, HOUR, MINUTE, Fate
from watcher.simulator.world import World

LINK = "https://example.com/post/1"
T0 = 1_000_000.0

FOLLOWERS = {"service": "1", "link": LINK, "quantity": "100"}
STEADY = Fate(pending=60, processing=30, per_minute=60, linger=20, start_count=500)


def refused(call: Callable[..., object], *arguments: object, **named: object) -> Refusal:
    with pytest.raises(RefusedAnswer) as caught:
        call(*arguments, **named)
    return caught.value.refusal


def test_an_order_that_cannot_be_paid_is_refused_and_costs_nothing() -> None:
    world = World(balance="0.08999")
    assert refused(world.add, FOLLOWERS, T0) is Refusal.FUNDS
    assert world.balance(T0) == Decimal("0.08999")
    world.set_balance("0.09", T0)
    world.add(FOLLOWERS, T0)
    assert world.balance(T0) == 0


def test_a_link_with_an_active_order_may_take_no_other() -> None:
    world = World()
    world.add(FOLLOWERS, T0, fate=STEADY)
    assert refused(world.add, FOLLOWERS, T0 + 1, once_a_link=True) is Refusal.DUPLICATE
    world.add(FOLLOWERS, T0 + HOUR, once_a_link=True)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"service": "999"}, Refusal.SERVICE),
        ({"service": ""}, Refusal.SERVICE),
        ({"service": "one"}, Refusal.SERVICE),
        ({"link": " "}, Refusal.LINK),
        ({"quantity": ""}, Refusal.QUANTITY),
        ({"quantity": "-5"}, Refusal.QUANTITY),
        ({"quantity": "1_00"}, Refusal.QUANTITY),
        ({"quantity": "٥٠٠"}, Refusal.QUANTITY),
        ({"quantity": "9" * 400}, Refusal.QUANTITY),
        ({"quantity": "49"}, Refusal.LEAST),
        ({"quantity": "10001"}, Refusal.MOST),
        ({"runs": "x"}, Refusal.PARAMETER),
        ({"runs": "0"}, Refusal.PARAMETER),
        ({"runs": "1001", "interval": "5"}, Refusal.PARAMETER),
        ({"runs": "2"}, Refusal.PARAMETER),
        ({"runs": "2", "interval": "5", "service": "2"}, Refusal.PARAMETER),
    ],
)
def test_a_wrong_order_is_refused(change: dict[str, str], refusal: Refusal) -> None:
    world = World()
    assert refused(world.add, {**FOLLOWERS, **change}, T0) is refusal
    assert world.balance(T0) == 1000


@dataclass
class Typed:
    service: str
    sent: dict[str, str]
    quantity: int
    cost: str


TYPED = [
    Typed("7", {}, 1, "4.99"),
    Typed("8", {"quantity": "100", "keywords": "a\nb"}, 100, "0.12"),
    Typed("5", {"comments": "one\r\n\r\ntwo\nthree"}, 3, "0.024"),
    Typed("6", {"comments": "one"}, 1, "0.75"),
    Typed("9", {"quantity": "100", "usernames": "a", "hashtags": "b"}, 100, "0.31"),
    Typed("10", {"usernames": "a\nb"}, 2, "0.007"),
    Typed("11", {"quantity": "100", "hashtag": "b"}, 100, "0.30"),
    Typed("12", {"quantity": "100", "username": "b"}, 100, "0.305"),
    Typed("13", {"quantity": "100", "media": "https://example.com/m"}, 100, "0.315"),
    Typed("14", {"quantity": "100", "username": "b"}, 100, "0.175"),
    Typed("15", {"quantity": "100", "answer_number": "2"}, 100, "0.066"),
    Typed("16", {"quantity": "100", "groups": "g"}, 100, "0.525"),
]


@pytest.mark.parametrize("typed", TYPED, ids=lambda typed: typed.service)
def test_every_type_has_its_own_parameters(typed: Typed) -> None:
    world = World()
    sent = {"service": typed.service, "link": LINK, **typed.sent}
    order = world.add(sent, T0, fate=STEADY)
    assert world.order(order, T0).quantity == typed.quantity
    assert world.balance(T0) == 1000 - Decimal(typed.cost)
    for name in {"link", *typed.sent}:
        missing = {key: value for key, value in sent.items() if key != name}
        with pytest.raises(RefusedAnswer):
            world.add(missing, T0)


def test_an_unknown_type_is_ordered_as_the_default() -> None:
    service = SimService(service=1, name="New", type="Brand New", rate=Decimal("1"))
    world = World([service])
    assert world.add({"service": "1", "link": LINK, "quantity": "10"}, T0)


# Drip feeds and subscriptions


def test_a_drip_feed_places_its_runs_one_after_another() -> None:
    world = World()
    feed = world.add({**FOLLOWERS, "runs": "3", "interval": "10"}, T0, fate=STEADY)
    assert world.balance(T0) == 1000 - 3 * Decimal("0.09")
    assert world.row(feed, T0) == {"status": "In progress", "orders": [feed + 1], "runs": 1}
    assert refused(world.status, feed + 2, T0 + 599) is Refusal.ORDER
    assert world.status(feed + 2, T0 + 600).status == "Pending"
    done = {"status": "Completed", "orders": [feed + 1, feed + 2, feed + 3], "runs": 3}
    assert world.row(feed, T0 + HOUR) == done
    assert refused(world.cancel, feed, T0) is Refusal.CANCEL_FINISHED
    assert refused(world.refill, feed, T0) is Refusal.NOT_COMPLETED


SUBSCRIPTION = {
    "service": "17",
    "username": "someone",
    "min": "10",
    "max": "20",
    "posts": "3",
    "delay": "5",
}


def test_a_subscription_orders_for_each_new_post() -> None:
    world = World()
    number = world.add({**SUBSCRIPTION, "old_posts": "1"}, T0, fate=STEADY)
    assert world.row(number, T0) == {"status": "Active", "orders": [], "posts": 0, "expiry": ""}
    row = world.status(number, T0 + 5 * MINUTE + 6 * HOUR)
    assert (row.status, row.orders, row.posts) == ("Active", [number + 1, number + 2], 2)
    assert world.status(number, T0 + 30 * HOUR).status == "Completed"
    quantities = {world.order(number + n, T0 + 30 * HOUR).quantity for n in (1, 2, 3, 4)}
    assert quantities <= set(range(10, 21))


def test_a_subscription_expires() -> None:
    world = World()
    # T0 is on 12 January 1970, in the afternoon.
    number = world.add({**SUBSCRIPTION, "expiry": "12/01/1970"}, T0, fate=STEADY)
    row = world.status(number, T0 + 2 * DAY)
    assert (row.status, row.posts, row.expiry) == ("Expired", 1, "12/01/1970")


@pytest.mark.parametrize(
    "change",
    [
        {"username": ""},
        {"min": "9"},
        {"max": "2001"},
        {"min": "20", "max": "10"},
        {"posts": "0"},
        {"posts": ""},
        {"posts": "1001"},
        {"delay": "7"},
        {"old_posts": "x"},
        {"expiry": "2030-01-01"},
        {"expiry": "11/01/1970"},
    ],
)
def test_a_wrong_subscription_is_refused(change: dict[str, str]) -> None:
    world = World()
    with pytest.raises(RefusedAnswer):
        world.add({**SUBSCRIPTION, **change}, T0)
    assert world.balance(T0) == 1000


def test_a_package_costs_its_rate() -> None:
    service = SimService(service=1, name="P", type="Package", rate=Decimal("2"), min=1, max=1)
    assert service.price(1) == Decimal("2")

"""A simulated panel over HTTP: the documented protocol."""

from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import pytest

from watcher.panels.profiles import shipped
from watcher.simulator import PRICE_LIST, Fate, SimulatedPanel

STANDARD = shipped()["standard"]
LINK = "https://example.com/post/1"
STEADY = Fate(pending=60, per_minute=60, start_count=500)
FINISHED = Fate(per_minute=1e9, refill_takes=3600)


class Clock:
    """A wall clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def panel(clock: Clock) -> AsyncIterator[SimulatedPanel]:
    async with SimulatedPanel(STANDARD, clock=clock) as panel:
        yield panel


async def ask(panel: SimulatedPanel, action: str, **sent: object) -> object:
    form = {"key": "demo", "action": action, **sent}
    async with aiohttp.ClientSession() as session, session.post(panel.url, data=form) as answer:
        assert answer.status == 200
        assert answer.content_type == "application/json"
        return await answer.json()


async def test_the_price_list(panel: SimulatedPanel) -> None:
    rows = await ask(panel, "services")
    assert len(rows) == len(PRICE_LIST)
    assert rows[0] == {
        "service": 1,
        "name": "Followers [30 days refill]",
        "type": "Default",
        "category": "Followers",
        "rate": "0.90",
        "min": "50",
        "max": "10000",
        "refill": True,
        "cancel": True,
    }


async def test_an_order_from_beginning_to_end(panel: SimulatedPanel, clock: Clock) -> None:
    panel.world.next_fates.append(STEADY)
    order = (await ask(panel, "add", service=1, link=LINK, quantity=100))["order"]
    assert await ask(panel, "status", order=order) == {
        "charge": "0.09000",
        "start_count": "0",
        "status": "Pending",
        "remains": "100",
        "currency": "USD",
    }
    clock.time += 70
    row = await ask(panel, "status", order=order)
    assert (row["status"], row["start_count"], row["remains"]) == ("In progress", "500", "90")
    panel.advance(90)
    row = await ask(panel, "status", order=order)
    assert (row["status"], row["remains"]) == ("Completed", "0")
    assert await ask(panel, "balance") == {"balance": "999.91000", "currency": "USD"}


async def test_time_runs_as_fast_as_it_is_told(clock: Clock) -> None:
    async with SimulatedPanel(STANDARD, clock=clock, speed=60) as panel:
        panel.world.next_fates.append(STEADY)
        order = (await ask(panel, "add", service=1, link=LINK, quantity=100))["order"]
        clock.time += 1.5
        assert (await ask(panel, "status", order=order))["remains"] == "70"


async def test_a_batch_of_statuses(panel: SimulatedPanel) -> None:
    first, second = panel.world.seed_orders(2, panel.now(), services=[1], fate=STEADY)
    rows = await ask(panel, "status", orders=f"{first}, {second},7,junk")
    assert list(rows) == [str(first), str(second), "7", "junk"]
    assert rows[str(second)]["status"] == "Pending"
    assert rows["7"] == rows["junk"] == {"error": "Incorrect order ID"}


async def test_refills(panel: SimulatedPanel) -> None:
    done = panel.world.seed_orders(3, panel.now(), services=[1], age=60, fate=FINISHED)
    assert await ask(panel, "refill", order=done[0]) == {"refill": "1"}
    rows = await ask(panel, "refill", orders=f"{done[0]},{done[1]},7")
    assert rows == [
        {
            "order": done[0],
            "refill": {"error": "The refill task is not completed for this order"},
        },
        {"order": done[1], "refill": 2},
        {"order": 7, "refill": {"error": "Incorrect order ID"}},
    ]
    assert await ask(panel, "refill_status", refill=1) == {"status": "Pending"}
    panel.advance(3600)
    assert await ask(panel, "refill_status", refills="1,2,3") == [
        {"refill": 1, "status": "Completed"},
        {"refill": 2, "status": "Completed"},
        {"refill": 3, "status": {"error": "Refill not found"}},
    ]


async def test_cancels(panel: SimulatedPanel) -> None:
    running, other = panel.world.seed_orders(
        2, panel.now(), services=[1], quantity=5000, fate=STEADY
    )
    (done,) = panel.world.seed_orders(1, panel.now(), services=[1], age=60, fate=FINISHED)
    assert await ask(panel, "cancel", orders=f"{running},{done},7") == [
        {"order": running, "cancel": 1},
        {"order": done, "cancel": {"error": "The order can not be canceled"}},
        {"order": 7, "cancel": {"error": "Incorrect order ID"}},
    ]
    assert await ask(panel, "cancel", order=other) == [{"order": other, "cancel": 1}]
    panel.advance(600)
    rows = await ask(panel, "status", orders=f"{running},{other}")
    assert [(row["status"], row["remains"]) for row in rows.values()] == [("Partial", "4460")] * 2


async def test_a_series_answers_without_charge(panel: SimulatedPanel) -> None:
    sent = {"service": 1, "link": LINK, "quantity": 50, "runs": 2, "interval": 10}
    order = (await ask(panel, "add", **sent))["order"]
    assert await ask(panel, "status", order=order) == {
        "status": "In progress",
        "orders": [order + 1],
        "runs": "1",
    }


@pytest.mark.parametrize(
    ("action", "sent"),
    [
        ("", {}),
        ("unknown", {}),
        ("status", {}),
        ("status", {"order": " "}),
        ("status", {"orders": " , "}),
        ("status", {"orders": ",".join(map(str, range(1, 102)))}),
        ("refill", {}),
        ("refill_status", {"order": 1}),
        ("cancel", {}),
    ],
)
async def test_an_incorrect_request(panel: SimulatedPanel, action: str, sent: dict) -> None:
    assert await ask(panel, action, **sent) == {"error": "Incorrect request"}


@pytest.mark.parametrize("sent", [{"order": 7}, {"order": "junk"}, {"order": "23501,23502"}])
async def test_an_unknown_order(panel: SimulatedPanel, sent: dict) -> None:
    for action in ("status", "refill"):
        assert await ask(panel, action, **sent) == {"error": "Incorrect order ID"}


async def test_an_unknown_refill(panel: SimulatedPanel) -> None:
    assert await ask(panel, "refill_status", refill=9) == {"error": "Refill not found"}


async def test_refused_orders_say_why(panel: SimulatedPanel) -> None:
    answer = await ask(panel, "add", service=1, link=LINK, quantity=49)
    assert answer == {"error": "Quantity less than minimal 50"}
    panel.world.set_balance("0", panel.now())
    answer = await ask(panel, "add", service=1, link=LINK, quantity=50)
    assert answer == {"error": "Not enough funds on balance"}


async def test_a_wrong_key(panel: SimulatedPanel) -> None:
    for key in ("", "other"):
        assert await ask(panel, "balance", key=key) == {"error": "Invalid API key"}


@pytest.mark.parametrize("name", shipped())
async def test_what_a_profile_lacks_is_an_incorrect_request(name: str) -> None:
    profile = shipped()[name]
    asked = {
        "services": ("services", {}),
        "balance": ("balance", {}),
        "add": ("add", {"service": 1, "link": LINK, "quantity": 50}),
        "status": ("status", {"order": 7}),
        "multi_status": ("status", {"orders": 7}),
        "refill": ("refill", {"order": 7}),
        "multi_refill": ("refill", {"orders": 7}),
        "refill_status": ("refill_status", {"refill": 7}),
        "multi_refill_status": ("refill_status", {"refills": 7}),
        "cancel": ("cancel", {"orders": 7}),
    }
    async with SimulatedPanel(profile) as panel:
        for capability, (action, sent) in asked.items():
            lacking = await ask(panel, action, **sent) == {"error": "Incorrect request"}
            assert lacking is not profile.can(capability), capability
        columns = set((await ask(panel, "services"))[0])
    assert columns & {"refill", "cancel", "desc"} == profile.service_fields


async def test_a_profile_bounds_the_batch() -> None:
    async with SimulatedPanel(STANDARD.altered(batch=2)) as panel:
        assert "7" in await ask(panel, "status", orders="7,8")
        assert await ask(panel, "status", orders="7,8,9") == {"error": "Incorrect request"}


async def test_money_is_written_plainly(panel: SimulatedPanel) -> None:
    panel.world.set_balance(Decimal("1E+3"), panel.now())
    assert (await ask(panel, "balance"))["balance"] == "1000"
    panel.world.set_balance(Decimal("0.0000001"), panel.now())
    assert (await ask(panel, "balance"))["balance"] == "0.0000001"

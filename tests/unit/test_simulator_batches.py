"""How simulated panels deviate in batches, refills, cancels and the price list."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.simulator_kit import NOW, STANDARD, Orders, ask, joined, one_of_each
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel, Trait
from watcher.simulator.answers import HOSTILE_CATEGORY, HOSTILE_NAME


@pytest.fixture
async def panel() -> AsyncIterator[SimulatedPanel]:
    async with SimulatedPanel(STANDARD, clock=lambda: NOW) as panel:
        yield panel


@pytest.fixture
def orders(panel: SimulatedPanel) -> Orders:
    return one_of_each(panel)


# Batches


async def test_unknown_ids_in_a_batch(panel: SimulatedPanel, orders: Orders) -> None:
    ids = joined(orders.running, 7)
    body = (await ask(panel, "status", Trait.UNKNOWN_AS_STRING, orders=ids)).body
    assert body["7"] == "Incorrect order ID"
    body = (await ask(panel, "status", Trait.UNKNOWN_LEFT_OUT, orders=ids)).body
    assert list(body) == [str(orders.running)]
    body = (await ask(panel, "refill", Trait.UNKNOWN_LEFT_OUT, orders=ids)).body
    assert [row["order"] for row in body] == [orders.running]
    answer = await ask(panel, "status", Trait.ALL_UNKNOWN_400, orders="7,8")
    assert answer[:2] == (400, {"error": "Incorrect order ID"})
    assert (await ask(panel, "status", Trait.ALL_UNKNOWN_400, orders=ids)).http == 200


async def test_one_bad_id_may_fail_all(panel: SimulatedPanel, orders: Orders) -> None:
    trait = Trait.BAD_ID_FAILS_BATCH
    for bad in (7, "junk"):
        ids = joined(orders.completed, bad)
        for action in ("status", "refill", "cancel"):
            body = (await ask(panel, action, trait, orders=ids)).body
            assert body == {"error": "Incorrect order ID"}
    assert (await ask(panel, "status", trait, orders=orders.completed)).http == 200
    assert panel.journal.carried_out("refill") == {}
    body = (await ask(panel, "refill_status", trait, refills="1,2")).body
    assert body == {"error": "Refill not found"}


async def test_a_long_batch_may_be_cut(panel: SimulatedPanel) -> None:
    ids = panel.world.seed_orders(130, NOW)
    body = (await ask(panel, "status", Trait.BATCH_CUT, orders=joined(*ids))).body
    assert list(body) == [str(order) for order in ids[:100]]
    body = (await ask(panel, "status", orders=joined(*ids))).body
    assert body == {"error": "Incorrect request"}


async def test_statuses_may_be_a_list(panel: SimulatedPanel, orders: Orders) -> None:
    ids = joined(orders.running, 7)
    rows = (await ask(panel, "status", Trait.LIST_WITH_IDS, orders=ids)).body
    assert [row["order"] for row in rows] == [orders.running, 7]
    assert rows[1] == {"order": 7, "error": "Incorrect order ID"}
    rows = (await ask(panel, "status", Trait.LIST_WITHOUT_IDS, orders=ids)).body
    assert [row.get("status") for row in rows] == ["In progress", None]
    assert all("order" not in row for row in rows)


async def test_nothing_may_be_an_empty_list(panel: SimulatedPanel) -> None:
    traits = (Trait.UNKNOWN_LEFT_OUT, Trait.EMPTY_LIST)
    assert (await ask(panel, "status", *traits, orders="7,8")).body == []
    assert (await ask(panel, "status", traits[0], orders="7,8")).body == {}


async def test_a_garbled_row_goes_out_as_it_is(panel: SimulatedPanel, orders: Orders) -> None:
    panel.world.garble([orders.running], NOW, ["what", None])
    ids = joined(orders.running, orders.completed)
    body = (await ask(panel, "status", Trait.COUNTS_AS_INTS, orders=ids)).body
    assert body[str(orders.running)] == ["what", None]
    assert body[str(orders.completed)]["status"] == "Completed"


# Refills and cancels


async def test_failed_refills_may_be_flat(panel: SimulatedPanel, orders: Orders) -> None:
    ids = joined(orders.completed, orders.running)
    body = (await ask(panel, "refill", Trait.REFILL_FLAT_FAILURE, orders=ids)).body
    assert body == [
        {"order": orders.completed, "refill": 1},
        {"order": orders.running, "error": "The order is not completed"},
    ]


async def test_refills_have_other_words(panel: SimulatedPanel, orders: Orders) -> None:
    await ask(panel, "refill", order=orders.completed)
    body = (await ask(panel, "refill_status", Trait.REFILL_OTHER_WORDS, refill=1)).body
    assert body == {"status": "Awaiting"}
    panel.advance(1800)
    body = (await ask(panel, "refill_status", Trait.REFILL_MISSPELT, refills="1")).body
    assert body == [{"refill": 1, "status": "In progess"}]


async def test_a_promised_refill_may_be_disabled(panel: SimulatedPanel, orders: Orders) -> None:
    body = (await ask(panel, "refill", Trait.REFILL_PROMISED, order=orders.completed)).body
    assert body == {"error": "Refill is disabled for this service"}
    assert (await ask(panel, "refill", order=orders.completed)).body == {"refill": "1"}


@pytest.mark.parametrize(
    ("trait", "value"),
    [
        (Trait.CANCEL_STRING, "1"),
        (Trait.CANCEL_TRUE, True),
        (Trait.CANCEL_ID, 2),
        (Trait.CANCEL_STATUS, {"status": "success"}),
        (Trait.CANCEL_MESSAGE, {"message": "Cancel request accepted"}),
    ],
)
async def test_cancels_are_accepted_in_many_ways(
    panel: SimulatedPanel, orders: Orders, trait: Trait, value: object
) -> None:
    await ask(panel, "cancel", orders=orders.pending)
    body = (await ask(panel, "cancel", trait, orders=orders.running)).body
    assert body == [{"order": orders.running, "cancel": value}]
    assert type(body[0]["cancel"]) is type(value)


async def test_a_single_cancel_may_be_an_object(panel: SimulatedPanel, orders: Orders) -> None:
    one = Trait.CANCEL_OBJECT
    body = (await ask(panel, "cancel", one, orders=orders.running)).body
    assert body == {"order": orders.running, "cancel": 1}
    body = (await ask(panel, "cancel", one, Trait.CANCEL_STATUS, orders=orders.pending)).body
    assert body == {"status": "success"}
    body = (await ask(panel, "cancel", one, orders=joined(7, 8))).body
    assert len(body) == 2


# The price list


@pytest.mark.parametrize(
    ("trait", "fields"),
    [
        (Trait.DESCRIPTION, {"description": "Simulated: nothing is delivered."}),
        (Trait.DRIPFEED, {"dripfeed": True}),
        (Trait.AVERAGE_TIME, {"average_time": "60"}),
        (Trait.NUMERIC_PRICES, {"rate": 0.9, "min": 50, "max": 10000}),
    ],
)
async def test_services_have_other_columns(
    panel: SimulatedPanel, trait: Trait, fields: dict[str, object]
) -> None:
    first = (await ask(panel, "services", trait)).body[0]
    assert {name: first[name] for name in fields} == fields


async def test_a_description_stands_in_place_of_desc() -> None:
    async with SimulatedPanel(shipped()["smmgenie"]) as panel:
        assert "desc" in (await ask(panel, "services")).body[0]
        assert "desc" not in (await ask(panel, "services", Trait.DESCRIPTION)).body[0]


async def test_the_price_list_may_be_wrapped(panel: SimulatedPanel) -> None:
    plain = (await ask(panel, "services")).body
    wrapped = (await ask(panel, "services", Trait.WRAPPED_IN_SERVICES)).body
    assert wrapped == {"services": plain}
    assert (await ask(panel, "services", Trait.WRAPPED_IN_DATA)).body == {"data": plain}


async def test_a_bad_key_may_see_an_empty_list(panel: SimulatedPanel) -> None:
    trait = Trait.EMPTY_FOR_BAD_KEY
    assert (await ask(panel, "services", trait, key="wrong")).body == []
    assert "error" in (await ask(panel, "balance", trait, key="wrong")).body


async def test_services_may_have_hostile_names(panel: SimulatedPanel) -> None:
    assert "<script>" not in str((await ask(panel, "services")).body)
    rows = (await ask(panel, "services", Trait.HOSTILE_TEXT)).body
    assert {(row["name"], row["category"]) for row in rows} == {(HOSTILE_NAME, HOSTILE_CATEGORY)}


async def test_an_unlisted_service_is_not_sold(panel: SimulatedPanel, orders: Orders) -> None:
    panel.world.unlist(1)
    sent = {"service": 1, "link": "https://example.com/1", "quantity": 100}
    assert (await ask(panel, "add", **sent)).body == {"error": "Incorrect service ID"}
    assert "status" in (await ask(panel, "status", order=orders.running)).body

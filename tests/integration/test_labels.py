"""The caller's own words on orders, from each way in to each way out."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.test_events import SHOP, STEADY, shop
from tests.support.house import House, a_house
from tests.support.shops import a_market
from tests.unit.store_kit import query
from watcher.simulator import Fate

pytestmark = pytest.mark.engines("sqlite", "postgresql")

GIVEN = {"reference": "1042", "customer": "ann@example.com", "tags": ["vip", "may"], "note": "a\nb"}


def path(order: str) -> str:
    return f"/v1/orders/standard/{order}"


def labels(view: dict[str, Any]) -> dict[str, Any]:
    return {name: view[name] for name in GIVEN}


async def ids(house: House, **query: str) -> list[str]:
    found = await house.call("GET", "/v1/orders", params=query)
    return [order["order"] for order in found["orders"]]


async def test_what_is_given_when_tracking_is_found_again(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        one, two, three = (str(n) for n in house.panel.world.seed_orders(3, house.panel.now()))
        await house.track([one], **GIVEN)
        await house.track([two], tags=["may"], reference=1043)
        await house.track([three])
        assert labels((await house.call("GET", path(one)))["state"]) == GIVEN
        assert await ids(house, tag="may") == [one, two]
        assert await ids(house, tag="vip") == [one]
        assert await ids(house, reference="1043") == [two]
        assert await ids(house, customer="ann@example.com", tag="may") == [one]
        assert await ids(house, tag="ma") == []
        page = await house.call("GET", "/v1/orders", params={"tag": "may", "limit": "1"})
        more = {"tag": "may", "limit": "1", "cursor": page["next"]}
        assert await ids(house, **more) == [two]
        answer = await house.track([one, three], tags=["late"], reference="7")
        assert (answer["known"], answer["updated"]) == (2, 1)
        assert labels((await house.call("GET", path(one)))["state"]) == GIVEN
        assert await ids(house, tag="late") == [three]
        await house.restart()
        assert labels((await house.call("GET", path(one)))["state"]) == GIVEN


async def test_labels_change_and_the_history_says_so_without_personal_data(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        (one,) = await house.place(1, fate=STEADY, quantity=100)
        changed = await house.call("PATCH", path(one), json={**GIVEN, "tags": ["a"]})
        assert labels(changed) == {**GIVEN, "tags": ["a"]}
        await house.call(
            "PATCH", path(one), json={"tags": ["b", "c"], "note": "", "customer": None}
        )
        detail = await house.call("GET", path(one))
        assert labels(detail["state"]) == {
            "reference": "1042", "customer": None, "tags": ["b", "c"], "note": None
        }  # fmt: skip
        assert [h["changes"] for h in detail["history"]] == [
            {
                "reference": [None, "1042"],
                "customer": [None, None],
                "tags": [[], ["a"]],
                "note": [None, None],
            },
            {"tags": [["a"], ["b", "c"]], "note": [None, None], "customer": [None, None]},
        ]
        assert await ids(house, tag="a") == []
        assert await ids(house, tag="c") == [one]
        await house.run(1200.0)  # what the panel tells changes nothing of it
        state = (await house.call("GET", path(one)))["state"]
        assert (state["status"], state["tags"]) == ("completed", ["b", "c"])


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "give at least one of reference, customer, tags, note"),
        ({"refrence": "1"}, "unknown field `refrence`"),
        ({"tags": "vip"}, "Expected `array | null`"),
        ({"tags": ["a,b"]}, "a comma separates tags"),
        ({"tags": [str(n) for n in range(11)]}, "tags: 11 of them; 10 are the most"),
        ({"reference": "r" * 101}, "reference: 101 characters; 100 are the most"),
        ({"note": "a\x00"}, "note: it has a control character"),
        ({"customer": ["ann"]}, "Expected `int | str | null`"),
    ],
)
async def test_a_bad_change_gets_one_sentence_and_changes_nothing(
    tmp_path: Path, body: dict[str, object], sentence: str
) -> None:
    async with a_house(tmp_path) as house:
        (one,) = await house.place(1)
        await house.call("PATCH", path(one), json=GIVEN)
        error = (await house.call("PATCH", path(one), json=body, status=400))["error"]
        assert sentence in error["message"]
        assert "\n" not in error["message"]
        assert labels((await house.call("GET", path(one)))["state"]) == GIVEN
        await house.call("PATCH", path("nowhere"), json={"note": "n"}, status=404)
        refused = await house.track(["77"], tags=["a,b"])
        assert refused["rejected"][0]["error"].startswith("tags: a comma")


async def test_a_submitted_order_has_what_was_said_of_it(tmp_path: Path) -> None:
    body = {"panel": "standard", "service": 1, "link": "https://example.com/a", "quantity": 100}
    async with a_market(tmp_path) as market, aiohttp.ClientSession(market.base) as session:

        async def submit(key: str, **more: object) -> tuple[int, Any]:
            headers = {"Idempotency-Key": key}
            sent = {**body, **GIVEN, **more}
            async with session.post("/v1/submit", json=sent, headers=headers) as answer:
                return answer.status, await answer.json()

        status, answer = await submit("1")
        assert (status, labels(answer["order"])) == (201, GIVEN)
        assert answer["action"]["params"].keys().isdisjoint(GIVEN)
        status, again = await submit("1", note="other")
        assert (status, labels(again["order"])) == (201, GIVEN)
        status, refused = await submit("2", tags=["a,b"])
        assert (status, refused["error"]["code"]) == (400, "invalid")
        assert market.panel.journal.links(carried_out=True).total() == 1
    assert query(tmp_path / "watcher.db", "SELECT labels FROM actions") == [(None,)]


async def test_a_shop_may_send_its_own_number(tmp_path: Path) -> None:
    order = {"service": 1, "link": "https://example.com/a", "quantity": 100}
    async with a_market(tmp_path) as market:
        first = await market.ask("add", **order, reference="1", tags="vip, may", customer="ann")
        again = await market.ask("add", **order, reference="1", tags="vip, may", customer="ann")
        other = await market.ask("add", **order, reference="2")
        assert again == first != other
        stored = await market.daemon.store.orders.get(
            market.panel.profile.name, str(first["order"])
        )
        assert stored is not None
        assert (stored.reference, stored.tags, stored.customer) == ("1", ("vip", "may"), "ann")
        assert await market.ask("add", **order, reference="r" * 101) == {
            "error": "reference: 101 characters; 100 are the most"
        }
        assert market.panel.journal.links(carried_out=True).total() == 2


async def test_rules_read_reference_and_tags(tmp_path: Path) -> None:
    rule = (
        '[[rules]]\nname = "vips"\naction = "refill"\n'
        "when = \"order.status == 'completed' && 'vip' in order.tags"
        " && order.reference.matches('^[0-9]')\"\n"
    )
    async with a_house(tmp_path, rules=rule) as house:
        fate = Fate(per_minute=1e9, refill_takes=1e9)
        one, two, three = await house.place(3, services=[1], fate=fate, quantity=100)
        await house.call("PATCH", path(one), json={"tags": ["vip"], "reference": "1"})
        await house.call("PATCH", path(two), json={"tags": ["vip"]})
        await house.run(3600.0)
        for order, refills in ((one, 1), (two, 0), (three, 0)):
            assert len((await house.call("GET", path(order)))["refills"]) == refills
        await house.restart()
        await house.run(60.0)
        await house.call("PATCH", path(two), json={"reference": "2"})  # looked at again at once
        await house.run(60.0)
        assert len((await house.call("GET", path(two)))["refills"]) == 1


async def test_events_carry_labels_and_tell_of_their_changes(tmp_path: Path) -> None:
    events = SHOP + 'on = ["other", "status"]\n'
    async with shop(tmp_path, events=events) as (house, receiver):
        (one,) = await house.place(1, fate=STEADY, quantity=100)
        await house.call("PATCH", path(one), json=GIVEN)
        await house.run(60.0)
        told = [e["data"] for e in receiver.arrived if e["type"] == "order.other"]
        assert labels(told[0]) == GIVEN
        assert told[0]["changes"]["tags"] == [[], ["vip", "may"]]
        assert told[0]["changes"]["customer"] == [None, None]

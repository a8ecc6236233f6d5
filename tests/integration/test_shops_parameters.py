"""What of a shop's or a program's parameters reaches a panel, and how much of it is kept."""

from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import msgspec
import pytest

from tests.support.house import a_house
from tests.support.shops import SHOP_KEY, Market, a_market
from watcher.model import Action, ActionPlan, Kind, Order
from watcher.panels.breaker import BreakerState
from watcher.web.views import listed_action

LINK = "https://example.com/post/1"
MAPPED = '[[shops]]\nname = "main"\nservices = { 7 = "standard:2" }\n'
ORDER = f"key={SHOP_KEY}&action=add&service=7&link={quote_plus(LINK)}&quantity=100"
DISGUISES = """
+service=1 service%00=1 service%5B=1 service%5B%5D=1 service[]=1 service[0]=1 Service=1 _service=1
service.=1 +key=wrong key%5B=wrong key%00=wrong api_key=wrong +action=cancel&+orders=23501
action%5B=cancel action%00=status order=23501 orders=23501 order[]=23501 refill=1 token=x
""".split()


async def post(market: Market, body: str, kind: str = "application/x-www-form-urlencoded") -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.post(market.url, data=body.encode(), headers={"Content-Type": kind}) as answer,
    ):
        assert answer.status == 200
        return await answer.json()


async def test_no_disguise_reaches_the_panel(tmp_path: Path) -> None:
    async with a_market(tmp_path, shops=MAPPED) as market:
        for disguise in DISGUISES:
            for body in (f"{ORDER}&{disguise}", f"{disguise}&{ORDER}"):
                answer = await post(market, body)
                assert list(answer) == ["error"], body
                assert "can't be" in answer["error"], body
        assert market.panel.journal.requests("add") == []
        assert market.daemon.panel_workers["standard"].gateway.breaker.state is BreakerState.CLOSED
        assert (await market.daemon.store.actions.page())[0] == []


async def test_the_service_is_mapped_once_and_the_last_of_many_counts(tmp_path: Path) -> None:
    async with a_market(tmp_path, shops=MAPPED) as market:
        assert await post(market, f"service=1&{ORDER}") == {"order": 23501}
        for other in ("1", "2"):  # the panel's own numbers
            answer = await post(market, f"{ORDER}&service={other}")
            assert answer == {"error": "Incorrect service ID"}
        sent = [entry.parameters for entry in market.panel.journal.requests("add")]
        assert [one["service"] for one in sent] == ["2"]
        assert set(sent[0]) == {"service", "link", "quantity"}


async def test_values_reach_the_panel_as_they_are(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        values = {
            "link": "https://x.example/?a=b&service=9&key=k#ü",
            "quantity": "100&service=9",
            "country": "a=b;c&order=1",
            "comments": "one\r\ntwo, 100%",
        }
        form = "&".join(f"{name}={quote_plus(value)}" for name, value in values.items())
        await post(market, f"key={SHOP_KEY}&action=add&service=1&{form}")
        (entry,) = market.panel.journal.requests("add")
        assert {name: entry.parameters[name] for name in values} == values
        assert entry.parameters["service"] == "1"


async def test_a_control_character_is_refused(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        for name in ("service", "link", "comments"):
            answer = await post(market, f"{ORDER}&{name}=1%00")
            assert list(answer) == ["error"]
        assert market.panel.journal.requests("add") == []


async def test_the_api_refuses_what_a_shop_may_not_send(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        order = {"panel": "standard", "service": 1, "link": LINK, "quantity": 100}
        for number, name in enumerate((" service", "key[", "action\0", "order", "api_key", "Link")):
            refused = await house.call(
                "POST",
                "/v1/submit",
                json=order | {"params": {name: "2"}},
                headers={"Idempotency-Key": f"try-{number}"},
                status=400,
            )
            assert "can't be" in refused["error"]["message"]
        assert (await house.call("GET", "/v1/actions"))["actions"] == []


async def test_what_was_planned_with_such_names_before_is_rejected(tmp_path: Path) -> None:
    """By a version that took any name: the worker goes on with the others."""
    async with a_house(tmp_path, profiles=("smmxz",)) as house:
        (good,) = await house.place(1, quantity=100, services=[2])
        await house.run(60)
        store, now = house.daemon.store, house.clock()
        bad = Order(panel="smmxz", id="7\x01", submitted_at=now, progressed_at=now)
        await store.orders.track([bad], now=now)
        params = {"service": "1", " service": "2", "link": LINK, "quantity": "100"}
        for kind, order, given in (
            (Kind.SUBMIT, None, params),
            (Kind.SUBMIT, None, {"service": "1", "link": LINK, "quantity": "100"}),
            (Kind.CANCEL, bad.id, None),
            (Kind.CANCEL, good, None),
        ):
            plan = ActionPlan(kind=kind, panel="smmxz", order=order, params=given, reason="before")
            await store.actions.plan(plan, now=now)
        await house.restart()
        await house.run(600)
        actions = (await house.call("GET", "/v1/actions"))["actions"]
        told = {action["id"]: (action["state"], action["answer"]) for action in actions}
        assert told[1][0] == told[3][0] == "rejected"
        assert told[1][1].startswith("not sent: ' service' can't be the name of a parameter")
        assert told[3][1].startswith("not sent: orders has a control character")
        assert told[2][0] == told[4][0] == "accepted"
        assert len(house.panel.journal.requests("add")) == 1
        assert [e.parameters["orders"] for e in house.panel.journal.requests("cancel")] == [good]
        assert house.daemon.panel_workers["smmxz"].gateway.problem is None
        assert house.panel.journal.requests("status")  # its batch has the bad id, too


async def test_an_order_has_a_size_and_lists_have_less_of_it(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        comments = "x" * 70_000
        answer = await post(market, f"{ORDER}&comments={comments}")
        assert "65,536 are the most" in answer["error"]
        assert (await market.daemon.store.actions.page())[0] == []

        await post(
            market, f"{ORDER.replace('service=7', 'service=1')}&comments={comments[:60_000]}"
        )
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{market.base}/v1/actions") as got:
                (listed,) = (await got.json())["actions"]
            async with session.get(f"{market.base}/v1/actions/1") as got:
                whole = (await got.json())["action"]
            for missing in ("2", "x", "9" * 30):
                async with session.get(f"{market.base}/v1/actions/{missing}") as got:
                    assert got.status == 404
        assert listed["params"]["comments"] == "x" * 200 + "…"
        assert listed["params_cut"]
        assert whole["params"]["comments"] == comments[:60_000]
        assert not whole["params_cut"]
        assert whole["params"] | {"comments": ""} == listed["params"] | {"comments": ""}


@pytest.mark.parametrize("letter", ["x", "\x01", "🔥", '"'])
def test_a_list_of_a_thousand_actions_is_small(letter: str) -> None:
    params = {f"{letter * 20}{number}": letter * 2000 for number in range(100)}
    action = Action(
        id=1, kind=Kind.SUBMIT, panel="p", params=params, planned_at=0.0, answer="a" * 200
    )
    assert len(msgspec.json.encode([listed_action(action)] * 1000)) < 2_000_000


async def test_a_page_of_the_list_goes_on_where_it_ended(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        now = house.clock()
        for number in range(250):
            plan = ActionPlan(
                kind=Kind.SUBMIT,
                panel="standard",
                params={"service": "1"},
                reason="",
                idempotency_key=f"{number}",
            )
            await house.daemon.store.actions.plan(plan, now=now)
        ids, cursor = [], ""
        while True:
            more = f"&cursor={cursor}" if cursor else ""
            page = await house.call("GET", f"/v1/actions?limit=120{more}")
            ids.append([action["id"] for action in page["actions"]])
            cursor = page["next"]
            if cursor is None:
                break
        assert [len(some) for some in ids] == [120, 120, 10]
        assert [number for some in ids for number in some] == [*range(250, 0, -1)]

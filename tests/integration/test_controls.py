"""Pauses of panels and rules, snoozes, and the record of who did what."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.house import REFILL_ONCE, SELDOM, House, a_house
from watcher.simulator import Fate

pytestmark = pytest.mark.engines("sqlite", "postgresql")

HOUR, DAY = 3600.0, 86400.0
DONE = Fate(pending=30.0, per_minute=1000.0)
SLOW = Fate(pending=30.0, per_minute=1.0)
ACTING = ("add", "refill", "cancel")


async def pause(house: House, status: int = 200, **body: Any) -> dict[str, Any]:
    path = "/v1/panels/standard/pause"
    answer: dict[str, Any] = await house.call("POST", path, status=status, json=body)
    return answer


async def resume(house: House, **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await house.call("POST", "/v1/panels/standard/resume", json=body)
    return answer


def in_so_long(house: House, seconds: float) -> str:
    return datetime.fromtimestamp(house.clock() + seconds, UTC).isoformat()


def reads(house: House) -> int:
    return sum(entry.action not in ACTING for entry in house.panel.journal.requests())


def acts(house: House) -> int:
    return sum(entry.action in ACTING for entry in house.panel.journal.requests())


async def items(house: House, kind: str) -> list[dict[str, Any]]:
    listed = (await house.call("GET", "/v1/attention"))["attention"]
    return [item for item in listed if item["kind"] == kind]


async def test_paused_reads_reach_the_panel_in_no_way(tmp_path: Path):
    async with a_house(tmp_path, rules=REFILL_ONCE) as house:
        (order, other) = await house.place(2, quantity=1000, services=[1], fate=DONE)
        await house.run(3 * HOUR)
        assert house.panel.journal.sent("refill")  # its status is to be followed
        told = await pause(house, what="reads", reason="they asked us to")
        assert "reads of standard are paused by local" in told["message"]
        before = reads(house)
        await house.track(["777777"])
        await house.call("POST", f"/v1/orders/standard/{order}/check?wait=0", status=202)
        await house.call("POST", "/v1/panels/standard/retry", status=409)
        await house.run(6 * HOUR)
        await house.restart()
        await house.run(HOUR)
        text = house.path.read_text()
        house.path.write_text(text.replace("[defaults]", "[defaults]\nidle_every = 21"))
        await house.daemon.reload()
        await house.run(7 * HOUR)  # price list and balance were due, too
        assert reads(house) == before
        waits = (await house.call("POST", f"/v1/orders/standard/{order}/check?wait=0"))["check"]
        assert (waits["outcome"], waits["why"]) == ("waiting", "paused")
        acted = acts(house)
        await house.call("POST", f"/v1/orders/standard/{other}/refill")
        await house.run(60.0)
        assert acts(house) == acted + 1, "actions go on"
        await resume(house)
        await house.run(60.0)
        assert reads(house) > before
        assert "777777" in str(house.panel.journal.requests("status")[-3:])


async def test_paused_actions_wait_and_nothing_is_lost(tmp_path: Path):
    async with a_house(tmp_path, rules=REFILL_ONCE, defaults=SELDOM) as house:
        await pause(house, what="actions", reason="billing")
        orders = await house.place(3, quantity=1000, services=[1], fate=DONE)
        (open_one,) = await house.place(1, quantity=100_000, services=[1], fate=SLOW)
        await house.run(3 * HOUR)
        by_hand = await house.call("POST", f"/v1/orders/standard/{open_one}/cancel", status=202)
        assert "actions at standard are paused by local" in by_hand["message"]
        assert "sent after the resume" in by_hand["message"]
        body = {"panel": "standard", "service": 1, "link": "https://example.com/a", "quantity": 100}
        placed = await house.call(
            "POST", "/v1/submit", json=body, status=202, headers={"Idempotency-Key": "one"}
        )
        assert placed["action"]["state"] == "planned"
        await house.run(6 * HOUR)
        await house.restart()
        await house.run(6 * HOUR)
        await house.daemon.reload()
        await house.run(HOUR)
        assert acts(house) == 0
        assert house.order(orders[0]).status == "completed", "reads go on"
        listed = (await house.call("GET", "/v1/actions?state=planned"))["actions"]
        assert len(listed) == 5
        await resume(house, what="actions")
        await house.run(120.0)
        assert house.panel.journal.sent("refill") == {int(order): 1 for order in orders}
        assert house.panel.journal.sent("cancel") == {int(open_one): 1}
        assert sum(house.panel.journal.links().values()) == 1
        assert not (await house.call("GET", "/v1/actions?state=planned"))["actions"]


async def test_a_pause_ends_by_itself_and_is_kept_across_restarts(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.place(1, quantity=100_000, services=[1], fate=SLOW)
        await house.run(HOUR)
        until = in_so_long(house, 2 * HOUR)
        await pause(house, what="all", until=until, reason="they move")
        (reading, acting) = await items(house, "paused_by_hand")
        assert (reading["panel"], reading["severity"]) == ("standard", "info")
        assert reading["sentence"].endswith(": they move")
        assert "until 2027-" in reading["sentence"]
        assert reading["command"] == "watcher resume standard"
        assert acting["subject"] == "actions"
        assert await house.metric("panel_paused", panel="standard", what="reads") == 1
        before = reads(house)
        await house.run(HOUR)
        await house.restart()
        await house.run(HOUR - 60.0)
        assert reads(house) == before
        assert not await items(house, "panel_down"), "it is silent because nobody asks it"
        await house.run(120.0)
        assert reads(house) > before
        assert not await items(house, "paused_by_hand")
        assert (await house.call("GET", "/v1/pauses"))["pauses"] == []
        assert await house.metric("panel_paused", panel="standard", what="reads") == 0


async def test_pausing_twice_changes_nothing_and_says_so(tmp_path: Path):
    async with a_house(tmp_path) as house:
        first = await pause(house, what="reads", reason="one")
        again = await pause(house, what="reads", reason="two")
        assert again["message"].endswith(": one: already")
        assert again["pauses"] == first["pauses"]
        assert (await resume(house))["message"] == "reads at standard continue"
        assert (await resume(house))["message"] == "standard was not paused"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"what": "everything"}, "the body: Invalid enum value 'everything' - at `$.what`"),
        ({"reason": "x" * 201}, "the body: Expected `str` of length <= 200 - at `$.reason`"),
        ({"reason": "two\nlines"}, "reason: one line of plain text is wanted"),
        ({"until": "2020-01-01T00:00:00Z"}, "until: 2020-01-01T00:00:00Z is over; it is 2027-"),
        ({"until": "2099-01-01T00:00:00Z"}, "until: a year from now is the most"),
        ({"until": "2027-01-31T00:00:00"}, "until: add the time zone"),
        ({"why": "x"}, "the body: Object contains unknown field `why`"),
    ],
)
async def test_bad_input_gets_a_sentence_and_changes_nothing(
    tmp_path: Path, body: dict[str, str], fault: str
):
    async with a_house(tmp_path) as house:
        answer = await pause(house, status=400, **body)
        assert answer["error"]["message"].startswith(fault)
        assert (await house.call("GET", "/v1/pauses"))["pauses"] == []


async def test_unknown_names_are_refused(tmp_path: Path):
    async with a_house(tmp_path, rules=REFILL_ONCE) as house:
        for verb in ("pause", "resume"):
            for path in (f"/v1/panels/standrad/{verb}", f"/v1/rules/refill dnoe/{verb}"):
                fault = (await house.call("POST", path, status=404, json={}))["error"]["message"]
                assert "did you mean" in fault
        body = {"key": "panel_down/x/"}
        await house.call("POST", "/v1/attention/snooze", status=404, json=body)
        told = await house.call("POST", "/v1/attention/wake", json=body)
        assert told["message"] == "panel_down/x/ was not snoozed"


async def test_a_panel_that_returns_is_still_paused(tmp_path: Path):
    async with a_house(tmp_path, profiles=("standard", "smmxz")) as house:
        await house.run(HOUR)
        await house.call("POST", "/v1/panels/smmxz/pause", json={"reason": "gone"})
        text = house.path.read_text()
        house.path.write_text(text[: text.index("[panels.smmxz]")])
        await house.daemon.reload()
        assert not await items(house, "paused_by_hand")
        house.path.write_text(text)
        before = len(house.panels["smmxz"].journal)
        await house.daemon.reload()
        await house.run(6 * HOUR)
        assert len(house.panels["smmxz"].journal) == before
        assert len(await items(house, "paused_by_hand")) == 2
        await house.call("POST", "/v1/panels/smmxz/resume", json={})
        await house.run(HOUR)
        assert len(house.panels["smmxz"].journal) > before


async def test_a_paused_rule_decides_nothing_until_it_is_resumed(tmp_path: Path):
    async with a_house(tmp_path, rules=REFILL_ONCE) as house:
        path = "/v1/rules/refill%20done"
        await house.call("POST", f"{path}/pause", json={"reason": "too many"})
        (order,) = await house.place(1, quantity=1000, services=[1], fate=DONE)
        await house.run(6 * HOUR)
        await house.restart()
        await house.run(HOUR)
        assert not house.panel.journal.sent("refill")
        (rule,) = (await house.call("GET", "/v1/rules"))["rules"]
        assert rule["paused"]["reason"] == "too many"
        explained = f"/v1/rules/explain?panel=standard&order={order}"
        (decision,) = (await house.call("GET", explained))["decisions"]
        assert decision["reason"] == "paused"
        (item,) = await items(house, "paused_by_hand")
        assert item["command"] == "watcher resume --rule 'refill done'"
        assert await house.metric("rule_paused", rule="refill done") == 1
        await house.call("POST", f"{path}/resume")
        await house.run(HOUR)
        assert house.panel.journal.sent("refill") == {int(order): 1}


async def test_what_is_snoozed_stays_listed_and_alerts_nobody(tmp_path: Path):
    stalled = "stalled_after = '1h'\n"
    async with a_house(tmp_path, defaults=stalled) as house:
        fate = Fate(pending=10 * DAY)
        await house.place(1, quantity=1000, services=[1], fate=fate)
        await house.run(3 * HOUR)
        (item,) = await items(house, "order_stalled")
        labels = {"kind": "order_stalled", "severity": "warning", "panel": "standard"}
        assert await house.metric("attention", **labels) == 1
        body = {"key": item["key"], "reason": "known", "until": in_so_long(house, HOUR)}
        told = await house.call("POST", "/v1/attention/snooze", json=body)
        assert f"{item['key']} is snoozed by local" in told["message"]
        await house.restart()
        await house.run(60.0)
        (item,) = await items(house, "order_stalled")
        assert item["snoozed"]["reason"] == "known"
        assert await house.metric("attention_snoozed", **labels) == 1
        assert 'watcher_attention{kind="order_stalled",panel="standard"' not in await house.scrape()
        await house.run(HOUR)
        (item,) = await items(house, "order_stalled")
        assert item["snoozed"] is None
        assert await house.metric("attention", **labels) == 1


async def test_what_people_did_is_on_record(tmp_path: Path):
    async with a_house(tmp_path, rules=REFILL_ONCE) as house:
        (order,) = await house.place(1, quantity=1000, services=[1], fate=SLOW)
        await pause(house, what="reads", reason="they asked")
        await pause(house, status=400, what="never")
        await resume(house)
        await house.call("POST", f"/v1/orders/standard/{order}/cancel")
        url = f"http://127.0.0.1:{house.daemon.port}"
        async with aiohttp.ClientSession(url, headers={"Sec-Fetch-Site": "same-origin"}) as session:
            path = f"/orders/standard/{order}/refill"
            async with session.post(path, data={"x": "y"}, allow_redirects=False) as answer:
                assert answer.status == 303
        listed = (await house.call("GET", "/v1/audit"))["audit"]
        told = [(d["by"], d["via"], d["did"], d["panel"], d["subject"]) for d in listed]
        assert told == [
            ("local", "page", "refill", "standard", order),
            ("local", "api", "cancel", "standard", order),
            ("local", "api", "resume", "standard", "all"),
            ("local", "api", "pause", "standard", "reads"),
            ("local", "api", "track", "standard", None),
        ]
        assert listed[3]["detail"].endswith("they asked")
        assert listed[4]["detail"] == "1 tracked, 0 known, 0 rejected"
        page = await house.call("GET", "/v1/audit?limit=2")
        assert [d["did"] for d in page["audit"]] == ["refill", "cancel"]
        page = await house.call("GET", f"/v1/audit?limit=2&cursor={page['next']}")
        assert [d["did"] for d in page["audit"]] == ["resume", "pause"]
        assert len((await house.call("GET", "/v1/audit?did=pause"))["audit"]) == 1


async def test_several_actions_are_settled_and_several_orders_untracked(tmp_path: Path):
    async with a_house(tmp_path) as house:
        orders = await house.place(2, quantity=1000, services=[1], fate=SLOW)
        await house.run(60.0)
        body = {"orders": [{"panel": "standard", "order": o} for o in (*orders, "5")]}
        told = await house.call("POST", "/v1/untrack", json=body)
        assert told["untracked"] == 2
        assert [one["item"] for one in told["refused"]] == ["standard/5"]
        body = {"actions": [{"id": 1, "state": "rejected"}]}
        told = await house.call("POST", "/v1/resolve", json=body)
        assert told["refused"] == [{"item": "1", "error": "there is no action 1"}]


async def test_the_page_has_a_button_for_each(tmp_path: Path):
    async with a_house(tmp_path, rules=REFILL_ONCE, defaults="stalled_after = '1h'\n") as house:
        await house.place(1, quantity=1000, services=[1], fate=Fate(pending=10 * DAY))
        await house.run(3 * HOUR)
        (item,) = await items(house, "order_stalled")
        url = f"http://127.0.0.1:{house.daemon.port}"
        async with aiohttp.ClientSession(url, headers={"Sec-Fetch-Site": "same-origin"}) as session:

            async def post(path: str, **fields: str) -> int:
                data = {"back": "/panels", **fields}
                async with session.post(path, data=data, allow_redirects=False) as answer:
                    return answer.status

            async def get(path: str) -> str:
                async with session.get(path) as answer:
                    assert answer.status == 200
                    return await answer.text()

            fields = {"what": "actions", "hours": "4", "reason": "they move"}
            assert await post("/panels/standard/pause", **fields) == 303
            assert ": they move" in await get("/panels/standard")
            assert await post("/rules/refill done/pause", hours="", reason="") == 303
            assert "paused by hand" in await get("/")
            assert await post("/attention/snooze", key=item["key"], hours="1") == 303
            pauses = (await house.call("GET", "/v1/pauses"))["pauses"]
            assert [p["what"] for p in pauses] == ["actions", "rule", "attention"]
            assert pauses[0]["via"] == "page"
            assert await post("/panels/standard/resume", what="actions") == 303
            assert await post("/rules/refill done/resume") == 303
            assert await post("/attention/wake", key=item["key"]) == 303
            assert (await house.call("GET", "/v1/pauses"))["pauses"] == []
            assert await post("/panels/standard/pause", what="x") == 400
            assert await post("/panels/standard/pause", hours="soon") == 400
            assert await post("/panels/standard/pause", reason="x" * 201) == 400
            assert await post("/panels/nowhere/pause") == 404
            assert await post("/actions/resolve", **{"state-1": "rejected"}) == 200
            assert await post("/actions/resolve", **{"state-1": ""}) == 400
            assert await post("/actions/resolve", **{"state-1": "perhaps"}) == 400
            assert (await house.call("GET", "/v1/pauses"))["pauses"] == []
            assert "they move" in await get("/audit")
            assert "Nothing fits." in await get("/audit?by=nobody")

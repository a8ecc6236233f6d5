"""At most once: whatever happens to a request that costs or changes something."""

import asyncio
from pathlib import Path

import pytest

from tests.support.house import SELDOM, House, a_house
from watcher.model import Action, ActionState, Kind
from watcher.simulator import Fate, Trait
from watcher.web.views import outcome

HOUR = 3600.0
DONE = Fate(pending=30.0, per_minute=1000.0, refill_takes=2 * HOUR)

# The panel acts and the answer is spoilt, or nobody can know: never again by itself.
AMBIGUOUS = [
    Trait.CLOSE_AFTER,
    Trait.CLOSE_BEFORE,
    Trait.CUT_ANSWER,
    Trait.EMPTY_BODY,
    Trait.HTML_200,
    Trait.HTML_503,
    Trait.HTML_504_AFTER,
]


async def finished_orders(house: House, count: int) -> list[str]:
    ids = await house.place(count, quantity=100, services=[1], fate=DONE)
    await house.run(HOUR)
    return ids


async def refill(house: House, order: str, status: int = 202) -> dict:
    return await house.call("POST", f"/v1/orders/standard/{order}/refill", status=status)


async def only_action(house: House) -> dict:
    (action,) = (await house.call("GET", "/v1/actions"))["actions"]
    return action


@pytest.mark.parametrize("trait", AMBIGUOUS)
async def test_what_may_have_been_done_is_unresolved_and_never_sent_again(
    tmp_path: Path, trait: Trait
):
    async with a_house(tmp_path, defaults=SELDOM) as house:
        (order,) = await finished_orders(house, 1)
        house.panel.switches.on(trait, action="refill", times=1)
        await refill(house, order)
        await house.run(HOUR)
        action = await only_action(house)
        assert action["state"] == "unresolved"
        assert action["answer"]
        assert house.panel.journal.sent("refill")[int(order)] == 1
        conflict = await refill(house, order, status=409)
        assert str(action["id"]) in conflict["error"]["message"]
        await house.restart()
        await house.run(48 * HOUR)
        assert house.panel.journal.sent("refill")[int(order)] == 1
        assert (await only_action(house))["state"] == "unresolved"
        metrics = house.daemon.daemon_status.state().panels[0]
        assert metrics.unresolved["refill"] == 1


async def test_a_person_settles_an_unresolved_action(tmp_path: Path):
    async with a_house(tmp_path) as house:
        first, second = await finished_orders(house, 2)
        house.panel.switches.on(Trait.CLOSE_AFTER, action="refill")
        await refill(house, first)
        await refill(house, second)
        await house.run(60.0)
        house.panel.switches.off()
        path = "/v1/actions/{}/resolve"
        await house.call("POST", path.format(1), json={"state": "accepted", "result": "1"})
        await house.call("POST", path.format(2), json={"state": "rejected"})
        await house.call("POST", path.format(2), json={"state": "rejected"}, status=409)
        await house.call("POST", path.format(99), json={"state": "rejected"}, status=404)
        await house.call("POST", path.format(1), json={"state": "planned"}, status=400)
        assert house.daemon.daemon_status.state().panels[0].unresolved["refill"] == 0
        await house.run(5 * HOUR)
        shown = await house.call("GET", f"/v1/orders/standard/{first}")
        assert [r["status"] for r in shown["refills"]] == ["completed"], "it is followed"
        await refill(house, second)  # its way is free again


async def test_what_was_certainly_not_done_is_sent_again(tmp_path: Path):
    async with a_house(tmp_path) as house:
        (order,) = await finished_orders(house, 1)
        await house.panel.stop()
        await refill(house, order)
        await house.run(60.0)
        assert (await only_action(house))["state"] == "planned"
        await house.panel.start()
        await house.run(600.0)
        assert (await only_action(house))["state"] == "accepted"
        assert house.panel.journal.carried_out("refill") == {int(order): 1}


@pytest.mark.parametrize("form", [None, Trait.RETRY_AFTER_SECONDS, Trait.RATE_LIMIT_IN_200])
async def test_a_rate_limit_is_proof_that_nothing_was_done(tmp_path: Path, form: Trait | None):
    traits = [form] if form else []
    async with a_house(tmp_path, traits=traits) as house:
        (order,) = await finished_orders(house, 1)
        house.panel.switches.on(Trait.RATE_LIMITED, action="refill", times=2)
        await refill(house, order)
        await house.run(HOUR)
        assert (await only_action(house))["state"] == "accepted"
        assert house.panel.journal.carried_out("refill") == {int(order): 1}


async def test_a_wrong_key_keeps_actions_planned_until_it_is_right(tmp_path: Path):
    async with a_house(tmp_path) as house:
        (order,) = await finished_orders(house, 1)
        house.panel.change_key("another")
        await refill(house, order)
        await house.run(600.0)
        assert (await only_action(house))["state"] == "planned"
        health = (await house.call("GET", "/v1/panels"))["panels"][0]
        assert "key" in health["problem"].lower()


async def test_a_bad_order_in_a_batch_does_not_spoil_the_others(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await finished_orders(house, 5)
        open_order = (await house.place(1, quantity=100, services=[1], fate=Fate(pending=1e9)))[0]
        for order in [*ids, open_order]:
            await refill(house, order)
        await house.run(60.0)
        states = {
            action["order"]: action["state"]
            for action in (await house.call("GET", "/v1/actions"))["actions"]
        }
        assert {states[order] for order in ids} == {"accepted"}
        assert states[open_order] == "rejected"


async def test_a_batch_refused_as_a_whole_is_sent_one_by_one(tmp_path: Path):
    async with a_house(tmp_path, traits=[Trait.BAD_ID_FAILS_BATCH]) as house:
        ids = await finished_orders(house, 3)
        await house.track(["999999999"])
        for order in [*ids, "999999999"]:
            await refill(house, order)
        await house.run(600.0)
        assert house.panel.journal.carried_out("refill") == dict.fromkeys(map(int, ids), 1)
        states = [a["state"] for a in (await house.call("GET", "/v1/actions"))["actions"]]
        assert sorted(states) == ["accepted", "accepted", "accepted", "rejected"]


async def test_a_submission_is_placed_once_for_a_key_and_tracked(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.run(30.0)
        body = {
            "panel": "standard",
            "service": 3,
            "link": "https://example.com/a",
            "quantity": 100,
        }
        headers = {"Idempotency-Key": "k1"}
        asked = house.call("POST", "/v1/submit", json=body, headers=headers, status=201)
        placed = await with_worker(house, asked)
        order = placed["order"]["order"]
        again = await house.call("POST", "/v1/submit", json=body, headers=headers, status=201)
        assert again["order"]["order"] == order
        assert house.panel.journal.links(carried_out=True).total() == 1
        other = {**body, "quantity": 200}
        await house.call("POST", "/v1/submit", json=other, headers=headers, status=409)
        await house.call("POST", "/v1/submit", json=body, status=400)
        await house.run(HOUR)
        assert house.order(order).service == "3"
        assert house.order(order).status.value != "unknown"


async def test_a_submission_that_the_panel_refuses_says_why(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.run(30.0)
        house.panel.world.set_balance("0", house.panel.now())
        body = {"panel": "standard", "service": 3, "link": "https://example.com", "quantity": 100}
        asked = house.call(
            "POST", "/v1/submit", json=body, headers={"Idempotency-Key": "k"}, status=422
        )
        refused = await with_worker(house, asked)
        assert refused["error"]["code"] == "rejected"
        assert "funds" in refused["error"]["message"]
        missing = {"panel": "standard", "service": 3, "quantity": 100}
        answer = await house.call(
            "POST", "/v1/submit", json=missing, headers={"Idempotency-Key": "k2"}, status=400
        )
        assert "link" in answer["error"]["message"]


async def test_an_ambiguous_submission_is_202_and_resolved_by_its_order_id(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.run(30.0)
        house.panel.switches.on(Trait.CLOSE_AFTER, action="add", times=1)
        body = {"panel": "standard", "service": 3, "link": "https://example.com", "quantity": 100}
        headers = {"Idempotency-Key": "k"}
        asked = house.call("POST", "/v1/submit", json=body, headers=headers, status=202)
        answer = await with_worker(house, asked)
        assert answer["action"]["state"] == "unresolved"
        again = await house.call("POST", "/v1/submit", json=body, headers=headers, status=202)
        assert again["action"]["id"] == answer["action"]["id"]
        assert house.panel.journal.links(carried_out=True).total() == 1
        path = f"/v1/actions/{answer['action']['id']}/resolve"
        await house.call("POST", path, json={"state": "accepted"}, status=400)
        settled = await house.call("POST", path, json={"state": "accepted", "result": "23501"})
        assert settled["order"]["order"] == "23501"
        await house.run(HOUR)
        assert house.order("23501").status.value != "unknown"


async def test_a_planned_submission_can_be_withdrawn_and_is_never_placed(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.run(30.0)
        await house.panel.stop()
        body = {"panel": "standard", "service": 3, "link": "https://example.com", "quantity": 100}
        asked = house.call(
            "POST", "/v1/submit", json=body, headers={"Idempotency-Key": "k"}, status=202
        )
        task = asyncio.ensure_future(asked)
        while (await house.call("GET", "/v1/actions"))["actions"] == []:
            await asyncio.sleep(0.01)
        (planned,) = (await house.call("GET", "/v1/actions"))["actions"]
        assert planned["outcome"].startswith("not sent yet")
        path = f"/v1/actions/{planned['id']}/withdraw"
        withdrawn = await house.call("POST", path)
        assert withdrawn["action"]["state"] == "rejected"
        assert withdrawn["action"]["outcome"] == "not sent: withdrawn by hand"
        task.cancel()
        refused = await house.call("POST", path, status=409)
        assert refused["error"]["message"] == (
            f"action {planned['id']} is rejected: only a planned action can be withdrawn"
        )
        await house.call("POST", "/v1/actions/99/withdraw", status=404)
        await house.call("POST", "/v1/actions/x/withdraw", status=404)
        await house.panel.start()
        await house.run(24 * HOUR)
        assert house.panel.journal.links(carried_out=True).total() == 0
        await house.restart()
        await house.run(HOUR)
        assert house.panel.journal.links(carried_out=True).total() == 0


async def test_a_planned_submission_says_that_it_will_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("watcher.web.order_actions.SUBMIT_WAIT", 0.05)
    async with a_house(tmp_path) as house:
        await house.run(30.0)
        await house.panel.stop()
        body = {"panel": "standard", "service": 3, "link": "https://example.com", "quantity": 100}
        headers = {"Idempotency-Key": "k"}
        answer = await house.call("POST", "/v1/submit", json=body, headers=headers, status=202)
        assert answer["action"]["state"] == "planned"
        assert "will be placed as soon as the panel can be asked" in answer["message"]
        assert f"/v1/actions/{answer['action']['id']}/withdraw" in answer["message"]


@pytest.mark.parametrize(
    ("kind", "state", "sent", "result", "answer", "told"),
    [
        ("refill", "accepted", 1.0, "200", "200", "refill 200 started"),
        ("refill", "accepted", 1.0, None, "It was sent", "refill started: It was sent"),
        ("refill", "accepted", 1.0, "200", "HTTP 503", "refill 200 started: HTTP 503"),
        ("submit", "accepted", 1.0, "23501", "23501", "placed as order 23501"),
        ("cancel", "accepted", 1.0, "1", "1", "the panel accepted the cancel"),
        ("cancel", "accepted", 1.0, None, "true", "the panel accepted the cancel"),
        ("cancel", "accepted", 1.0, None, "Ok", "the panel accepted the cancel"),
        ("cancel", "accepted", 1.0, None, "77", "the panel accepted the cancel"),
        ("cancel", "accepted", 1.0, None, "In queue", "the panel accepted the cancel: In queue"),
        ("cancel", "rejected", 1.0, None, "Too late", "refused: Too late"),
        ("cancel", "rejected", None, None, "withdrawn by hand", "not sent: withdrawn by hand"),
        ("cancel", "unresolved", 1.0, None, "HTTP 503", "unknown: HTTP 503"),
        ("cancel", "planned", None, None, None, "not sent yet"),
        ("cancel", "sending", 1.0, None, None, "being sent"),
    ],
)
def test_actions_tell_in_words_what_came_of_them(
    kind: str,
    state: str,
    sent: float | None,
    result: str | None,
    answer: str | None,
    told: str,
):
    action = Action(
        id=1,
        kind=Kind(kind),
        panel="p",
        state=ActionState(state),
        planned_at=0.0,
        sent_at=sent,
        result=result,
        answer=answer,
    )
    assert outcome(action) == told


async def test_what_a_panel_can_not_do_is_refused_at_once(tmp_path: Path):
    async with a_house(tmp_path, profiles=["genzsmm"]) as house:
        ids = await house.place(1)
        path = f"/v1/orders/genzsmm/{ids[0]}/cancel"
        refused = await house.call("POST", path, status=422)
        assert refused["error"]["code"] == "unsupported"
        await house.call("POST", "/v1/orders/genzsmm/77/refill", status=404)
        await house.call("POST", "/v1/orders/nobody/77/refill", status=404)


async def with_worker(house: House, asked):
    """Run the action worker while a submission waits for its outcome."""
    task = asyncio.ensure_future(asked)
    for _ in range(500):
        if task.done():
            break
        await asyncio.sleep(0.01)
        await house.run(0.5)
    return await task

"""Any node of a cluster answers: what another one leads is passed on to it, once, or refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.two_nodes import LED, TOKEN, Pair, trust, two_nodes
from watcher.simulator import Fate

A, B = "standard", "smmgenie"  # led by node a, led by node b
STILL = Fate(per_minute=0.001)
HOP = "X-Watcher-Hop"


async def placed(pair: Pair, node: str, panel: str, count: int = 1) -> list[str]:
    """Orders at the panel that its leader tracks."""
    house = pair.houses[node]
    world, now = house.panels[panel].world, house.panels[panel].now()
    ids = [str(one) for one in world.seed_orders(count, now, fate=STILL)]
    await house.track(ids, panel)
    return ids


async def actions(pair: Pair, node: str) -> list[dict[str, Any]]:
    return (await pair.ask(node, "GET", "/v1/actions")).json["actions"]


async def test_an_order_is_shown_and_changed_where_its_panel_is_led(tmp_path: Path):
    async with two_nodes(tmp_path) as pair:
        (order,) = await placed(pair, "b", B)
        path = f"/v1/orders/{B}/{order}"
        shown = await pair.ask("a", "GET", path)
        assert (shown.status, shown.json["state"]["order"]) == (200, order)
        assert shown.json["next_check"] is not None, "only its leader's memory has that"
        changed = await pair.ask("a", "PATCH", path, json={"note": "by way of a"})
        assert changed.json["note"] == "by way of a"
        acted = await pair.ask("a", "POST", f"{path}/refill", json={})
        assert acted.status == 202
        assert [one["order"] for one in await actions(pair, "b")] == [order]
        assert await actions(pair, "a") == []
        number = acted.json["action"]["id"]
        withdrawn = await pair.ask("b", "POST", f"/v1/actions/{number}/withdraw", json={})
        assert withdrawn.status in (200, 409)
        missing = await pair.ask("a", "GET", f"/v1/orders/{B}/999999")
        assert missing.status == 404, "the leader's refusal comes back"


async def test_a_submission_goes_to_the_leader_with_its_key(tmp_path: Path):
    async with two_nodes(tmp_path) as pair:
        body = {"panel": B, "service": 1, "link": "https://example.com/x", "quantity": 10}
        headers = {"Idempotency-Key": "1042"}
        await pair.ask("b", "POST", f"/v1/panels/{B}/pause", json={"what": "actions"})
        first = await pair.ask("a", "POST", "/v1/submit", json=body, headers=headers)
        again = await pair.ask("b", "POST", "/v1/submit", json=body, headers=headers)
        assert (first.status, again.status) == (202, 202)
        assert first.json["action"]["id"] == again.json["action"]["id"]
        assert await actions(pair, "a") == []


async def test_a_list_is_tracked_by_the_leaders_of_its_panels(tmp_path: Path):
    async with two_nodes(tmp_path) as pair:
        items: list[Any] = [{"panel": A, "order": 1}, {"panel": B, "order": 2}]
        items += [{"panel": B, "order": 3}, {"panel": "nobody", "order": 4}, 5]
        answer = await pair.ask("a", "POST", "/v1/orders", json={"orders": items})
        assert (answer.json["tracked"], answer.json["known"]) == (3, 0)
        assert [one["index"] for one in answer.json["rejected"]] == [3, 4]
        watched = {name: h.daemon.watchlist for name, h in pair.houses.items()}
        assert watched["a"].order(A, "1")
        assert watched["b"].order(B, "2")
        assert watched["b"].order(B, "3")
        assert watched["a"].order(B, "2") is None
        again = await pair.ask("b", "POST", "/v1/orders", json={"orders": items})
        assert (again.json["tracked"], again.json["known"]) == (0, 3)


async def test_lists_of_checks_and_of_orders_to_untrack_are_spread(tmp_path: Path):
    async with two_nodes(tmp_path) as pair:
        (one,) = await placed(pair, "a", A)
        (two,) = await placed(pair, "b", B)
        orders = [{"panel": B, "order": two}, {"panel": A, "order": one}]
        checked = await pair.ask("a", "POST", "/v1/checks", json={"orders": orders, "wait": 0})
        assert [(c["panel"], c["outcome"]) for c in checked.json["checks"]] == [
            (B, "waiting"),
            (A, "waiting"),
        ]
        orders.append({"panel": B, "order": "999999"})
        gone = await pair.ask("a", "POST", "/v1/untrack", json={"orders": orders})
        assert gone.json["untracked"] == 2
        assert [one["item"] for one in gone.json["refused"]] == [f"{B}/999999"]
        audits = [await pair.ask(node, "GET", "/v1/audit") for node in "ab"]
        did = [[deed["did"] for deed in audit.json["audit"]] for audit in audits]
        assert did[0].count("untrack") == 1
        assert did[1].count("untrack") == 0, "who splits a request writes it down, once"


async def test_what_nobody_leads_is_refused_and_may_be_asked_again(tmp_path: Path):
    async with two_nodes(tmp_path) as pair:
        (order,) = await placed(pair, "b", B)
        pair.let_lead({"a": A})
        for node in "ab":
            for method, path in (
                ("POST", f"/v1/orders/{B}/{order}/refill"),
                ("POST", f"/v1/panels/{B}/retry"),
                ("DELETE", f"/v1/orders/{B}/{order}"),
                ("GET", f"/v1/rules/explain?panel={B}&order={order}"),
            ):
                refused = await pair.ask(node, method, path, json={})
                assert refused.status == 503, (node, path)
                assert refused.json["error"]["code"] == "not_led"
                assert int(refused.headers["Retry-After"]) >= 1
        shown = await pair.ask("b", "GET", f"/v1/orders/{B}/{order}")
        assert shown.status == 200, "the database has it"
        assert await actions(pair, "b") == []


async def test_a_panel_that_is_not_open_yet_may_be_asked_again(tmp_path: Path):
    """This node leads it by the database, and is still taking it over, or letting it go."""
    async with two_nodes(tmp_path) as pair:
        await pair.houses["a"].daemon.core.let_go([A])
        for path in (f"/v1/panels/{A}/retry", f"/v1/orders/{A}/1/refill"):
            answer = await pair.ask("a", "POST", path, json={})
            assert answer.status == 503, answer
            assert int(answer.headers["Retry-After"]) > 0


async def test_a_request_is_passed_on_once(tmp_path: Path):
    """Each takes the other for the leader: neither may send it back."""
    async with two_nodes(tmp_path) as pair:
        pair.let_lead({"b": A}, only="a")
        pair.let_lead({"a": A}, only="b")
        refused = await pair.ask("a", "POST", f"/v1/panels/{A}/retry", json={})
        assert (refused.status, refused.json["error"]["code"]) == (503, "not_led")


async def test_a_leader_that_cannot_be_reached(tmp_path: Path):
    async with two_nodes(tmp_path) as pair:
        (order,) = await placed(pair, "b", B)
        await pair.houses["b"].daemon._stop_listening()
        refused = await pair.ask("a", "POST", f"/v1/orders/{B}/{order}/refill", json={})
        assert (refused.status, refused.json["error"]["code"]) == (503, "not_led")
        assert "node b" in refused.json["error"]["message"]
        assert "can't be reached" in refused.json["error"]["message"]


async def test_a_node_without_a_lease_tells_nothing(tmp_path: Path):
    async with two_nodes(tmp_path) as pair:
        trust(pair.houses["a"], False)
        for path in ("/v1/panels", "/v1/orders", "/", "/api/v2"):
            refused = await pair.ask("a", "GET", path)
            assert refused.status == 503, path
        assert (await pair.ask("a", "GET", "/metrics")).status == 200
        assert (await pair.ask("a", "GET", "/healthz")).status == 200
        refused = await pair.ask("a", "GET", "/v1/panels")
        assert refused.json["error"]["code"] == "no_lease"


async def test_only_a_node_is_believed_for_whom_it_asks(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("a-token-of-this-api-alone-0123456789")
    path.chmod(0o600)
    daemon = f'token_file = "{path}"\n'
    async with two_nodes(tmp_path, daemon=daemon) as pair:
        told = json.dumps({"name": "x", "rights": ["admin"]})
        for token in (None, "wrong", TOKEN[:-1]):
            headers = {HOP: told} | ({"Authorization": f"Bearer {token}"} if token else {})
            assert (await pair.ask("a", "GET", "/v1/panels", headers=headers)).status == 401
        headers = {HOP: told, "Authorization": f"Bearer {TOKEN}"}
        assert (await pair.ask("a", "GET", "/v1/whoami", headers=headers)).json["name"] == "x"
        reading = {HOP: json.dumps({"name": "x", "rights": ["read"]})}
        headers = {**reading, "Authorization": f"Bearer {TOKEN}"}
        refused = await pair.ask("a", "POST", f"/v1/panels/{A}/retry", headers=headers, json={})
        assert refused.status == 403
        alone = {"Authorization": f"Bearer {TOKEN}"}
        assert (await pair.ask("a", "GET", "/v1/panels", headers=alone)).status == 401
        api = {"Authorization": "Bearer a-token-of-this-api-alone-0123456789"}
        passed = await pair.ask("a", "POST", f"/v1/panels/{B}/retry", headers=api, json={})
        assert passed.status == 202
        audit = await pair.ask("b", "GET", "/v1/audit", headers=api)
        assert [(d["by"], d["did"]) for d in audit.json["audit"]] == [("token", "retry")]
        audit = await pair.ask("a", "GET", "/v1/audit", headers=api)
        assert audit.json["audit"] == [], "it was done at b, and b has written it down"


async def test_the_page_is_of_any_node(tmp_path: Path):
    async with two_nodes(tmp_path) as pair:
        (order,) = await placed(pair, "b", B)
        page = await pair.ask("a", "GET", f"/orders/{B}/{order}")
        assert page.status == 200
        assert "Content-Security-Policy" in page.headers
        assert b"Next check" in page.body
        form = {"Origin": pair.urls["a"], "Content-Type": "application/x-www-form-urlencoded"}
        acted = await pair.ask("a", "POST", f"/orders/{B}/{order}/refill", data=b"", headers=form)
        assert acted.status == 303
        assert acted.headers["Location"].startswith(f"/orders/{B}/{order}")
        ticked = f"order={B}/{order}&do=untrack-surely".encode()
        gone = await pair.ask("a", "POST", "/orders/selection", data=ticked, headers=form)
        assert gone.status == 200
        for path in ("/", "/panels", f"/panels/{B}", "/orders", "/actions", "/services", "/nodes"):
            shown = await pair.ask("a", "GET", path)
            assert shown.status == 200, (path, shown.body)


@pytest.mark.parametrize("node", "ab")
async def test_who_leads_is_told(tmp_path: Path, node: str):
    async with two_nodes(tmp_path) as pair:
        panels = (await pair.ask(node, "GET", "/v1/panels")).json["panels"]
        assert {one["panel"]: one["node"] for one in panels} == {A: "a", B: "b"}
        nodes = (await pair.ask(node, "GET", "/v1/nodes")).json
        assert nodes["answered_by"] == node


async def test_a_panel_is_shown_by_what_its_leader_has_told(tmp_path: Path):
    """Each node here has a database of its own: what b tells is put into a's."""
    async with two_nodes(tmp_path, defaults='low_balance = "5"\n') as pair:
        await placed(pair, "b", B, 3)
        statuses = {name: house.daemon.daemon_status for name, house in pair.houses.items()}
        for name, house in pair.houses.items():
            await house.run(30.0)
            await statuses[name].exchange(house.clock())
        (told,) = [
            one for one in await pair.houses["b"].daemon.store.panel_status.all() if one.panel == B
        ]
        a = pair.houses["a"].daemon
        del a.panel_workers[B]  # as a node that does not lead it
        await a.store.panel_status.keep("b", {B: told.state}, now=told.at)
        await statuses["a"].exchange(told.at)
        shown = [(await pair.ask(node, "GET", "/v1/panels")).json["panels"][1] for node in "ab"]
        assert shown[0].pop("told_at") is not None
        assert shown[1].pop("told_at") is None
        assert shown[0] == shown[1]
        assert shown[0]["orders_open"] == 3
        for path in ("/", "/panels", f"/panels/{B}", "/orders", "/actions", "/services", "/nodes"):
            page = await pair.ask("a", "GET", path)
            assert page.status == 200, (path, page.body)
        scraped = await pair.houses["a"].scrape()
        assert f'watcher_panel_leader{{node="b",panel="{B}"}} 1.0' in scraped
        assert f'watcher_panel_up{{panel="{B}"}}' not in scraped, "only its leader tells"


async def test_who_is_told_is_known_where_that_duty_is(tmp_path: Path):
    """Notifications and events are of one node: its lists are shown, and its tests are sent."""
    env = {"PHONE_URL": "http://127.0.0.1:9/", "BOOKS_URL": "http://127.0.0.1:9/"}
    targets = '[[notify]]\nname = "phone"\n[[events]]\nname = "books"\n'
    async with two_nodes(tmp_path, rules=targets, env=env) as pair:
        pair.let_lead({**LED, "b": ":outlets"})
        for daemon in (house.daemon for house in pair.houses.values()):
            if daemon.leadership.name == "a":
                daemon.receivers.notify_workers.clear()
        for path in ("/v1/notify", "/v1/events"):
            answers = [await pair.ask(node, "GET", path) for node in "ab"]
            assert answers[0].json == answers[1].json
            assert len(answers[0].json["targets"]) == 1
        refused = await pair.ask("a", "POST", "/v1/notify/phone/test", json={})
        assert (refused.status, refused.json["error"]["code"]) == (502, "undelivered")
        pair.let_lead(LED)
        assert (await pair.ask("a", "GET", "/v1/events")).status == 503


async def test_a_logout_is_one_at_every_node(tmp_path: Path):
    async with two_nodes(tmp_path) as pair:
        sessions = pair.houses["a"].daemon.store.sessions
        known = await sessions.ended()
        await sessions.end("a-digest", pair.houses["a"].clock() + 60, now=pair.houses["a"].clock())
        await pair.houses["a"].daemon.daemon_status.exchange(pair.houses["a"].clock())
        assert known == {"a-digest"}, "the set that sessions are looked up in"

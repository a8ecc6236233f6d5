"""The HTTP API as others meet it: its description, its refusals, its metrics and its page."""

import csv
import re
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

from tests.support.house import House, a_house
from watcher.daemon import backups
from watcher.simulator import Fate, Trait
from watcher.simulator.answers import HOSTILE_NAME
from watcher.web.server import ROUTES

OF_A_CLUSTER = {
    "node_up",
    "node_panels",
    "node_lease_until_timestamp_seconds",
    "node_clock_offset_seconds",
    "panel_leader",
    "panels_unled",
}
METRICS = Path(__file__).parents[2] / "docs" / "metrics.tsv"
RULE = """
[[rules]]
name = "refill <b>done</b>"
action = "refill"
when = "order.status == 'completed'"
"""
DONE = Fate(pending=30.0, per_minute=1000.0)


async def fetch(house: House, path: str, **more) -> tuple[int, str, dict[str, str]]:
    url = f"http://127.0.0.1:{house.daemon.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, **more) as answer:
        return answer.status, await answer.text(), dict(answer.headers)


async def families(house: House) -> dict:
    return {family.name: family for family in text_string_to_metric_families(await house.scrape())}


async def test_every_metric_is_there_from_the_start_as_it_is_documented(tmp_path: Path):
    async with a_house(tmp_path, rules=RULE, defaults="low_balance = '5'") as house:
        await house.run(30.0)
        found = await families(house)
        with METRICS.open() as file:
            documented = list(csv.DictReader(file, delimiter="\t"))
        assert len(documented) == 65
        documented = [row for row in documented if row["name"] not in OF_A_CLUSTER]
        for row in documented:
            family = found.get(f"watcher_{row['name'].removesuffix('_total')}")
            assert family is not None, row["name"]
            assert family.type == row["type"], row["name"]
            assert family.documentation == row["help"], row["name"]
            labels = {name for sample in family.samples for name in sample.labels} - {"le"}
            expected = set(filter(None, row["labels"].split(",")))
            assert labels <= expected, row["name"]
        known = {f"watcher_{row['name'].removesuffix('_total')}" for row in documented}
        assert {name for name in found if name.startswith("watcher_")} <= known


async def test_metrics_tell_what_happened(tmp_path: Path):
    async with a_house(tmp_path, rules=RULE) as house:
        await house.place(7, services=[1], quantity=100, fate=DONE)
        await house.track(["999999999"])
        await house.run(7200.0)
        found = await families(house)

        def value(name: str, **labels: str) -> float:
            name = f"watcher_{name}"
            samples = [
                s
                for f in found.values()
                for s in f.samples
                if s.name == name and s.labels == labels
            ]
            assert len(samples) == 1, (name, labels)
            return samples[0].value

        assert value("orders", panel="standard", status="completed") == 7
        assert value("orders", panel="standard", status="unknown") == 1
        assert value("orders_finished_total", panel="standard", status="completed") == 7
        assert value("order_completion_duration_seconds_count", panel="standard") == 7
        assert value("actions_total", panel="standard", action="refill") == 7
        outcome = {"panel": "standard", "action": "refill", "outcome": "accepted"}
        assert value("action_results_total", **outcome) == 7
        assert value("panel_up", panel="standard") == 1
        paid = sum(order.charge or 0 for order in house.daemon.watchlist.panel("standard").orders())
        spent = value("spend_total", panel="standard", currency="USD")
        assert spent == pytest.approx(float(paid))
        assert value("rule_firings_total", rule="refill <b>done</b>") == 7


async def test_the_description_is_valid_and_complete(tmp_path: Path):
    async with a_house(tmp_path) as house:
        description = await house.call("GET", "/v1/openapi.json")
        validate(description)
        described = {
            (method.upper(), path)
            for path, methods in description["paths"].items()
            for method in methods
        }
        served = {(route.method, route.path) for route in ROUTES}
        served |= {("POST", "/api/v2"), ("GET", "/v1/orders.csv")}
        assert described == served


async def test_answers_are_as_described(tmp_path: Path):
    env = {"PHONE_URL": "http://127.0.0.1:9/", "SHOP_URL": "http://127.0.0.1:9/"}
    targets = '[[notify]]\nname = "phone"\n[[events]]\nname = "shop"\n'
    async with a_house(tmp_path, rules=RULE + targets, env=env) as house:
        (order,) = await house.place(1, services=[1], quantity=100, fate=DONE)
        await house.run(7200.0)
        description = await house.call("GET", "/v1/openapi.json")
        checked = 0
        for template, methods in description["paths"].items():
            if "get" not in methods or template.endswith(".csv"):
                continue
            path = template.replace("{panel}", "standard").replace("{order}", order)
            path = path.replace("{name}", "shop").replace("{id}", "1")
            query = f"?panel=standard&order={order}" if path.endswith("explain") else ""
            answer = await house.call("GET", path + query)
            schema = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            whole = {**schema, "components": description["components"]}
            jsonschema.validate(answer, whole)
            checked += 1
        assert checked == 18


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("DELETE", "/v1/orders", None, 405),
        ("GET", "/v1/orders?limit=0", None, 400),
        ("GET", "/v1/orders?limit=many", None, 400),
        ("GET", "/v1/orders?cursor=-1", None, 400),
        ("GET", "/v1/orders?status=done", None, 400),
        ("GET", "/v1/orders?stalled=perhaps", None, 400),
        ("GET", "/v1/orders?since=yesterday", None, 400),
        ("GET", "/v1/history?since=2024-05-31T12:00:00", None, 400),
        ("GET", "/v1/orders/standard/1", None, 404),
        ("GET", "/v1/orders/nobody/1", None, 404),
        ("GET", "/v1/rules/explain", None, 404),
        ("GET", "/v1/panels/nobody/services", None, 404),
        ("POST", "/v1/orders", b"", 400),
        ("POST", "/v1/orders", b"[1", 400),
        ("POST", "/v1/orders", b"\xff", 400),
        ("POST", "/v1/orders", b'{"orders": 1}', 400),
        ("POST", "/v1/orders", b'{"orders": %s' % (b"[" * 100_000), 400),
        ("POST", "/v1/orders", b'{"orders": [%s]}' % (b"9" * 10_000), 400),
        ("POST", "/v1/orders", b'{"orders": [%s1]}' % (b"1," * 10_000), 400),
        ("POST", "/v1/submit", b"{}", 400),
        ("POST", "/v1/actions/x/resolve", b'{"state": "accepted"}', 404),
        ("PUT", "/v1/orders/standard/1/count", b'{"count": -1}', 400),
    ],
)
async def test_bad_requests_get_a_clear_refusal(tmp_path, method, path, body, status):
    async with a_house(tmp_path) as house:
        headers = {"Content-Type": "application/json"} if body else None
        answer = await house.call(method, path, data=body, headers=headers, status=status)
        assert set(answer["error"]) == {"code", "message"}
        assert answer["error"]["message"]


async def test_tracking_takes_the_good_and_names_the_bad(tmp_path: Path):
    async with a_house(tmp_path) as house:
        orders = [
            {"panel": "standard", "order": 1},
            {"panel": "nobody", "order": 2},
            {"panel": "standard"},
            "text",
            {"panel": "standard", "order": "a b"},
            {"panel": "standard", "order": "3", "submitted_at": "2099-01-01T00:00:00Z"},
            {"panel": "standard", "order": "4", "submitted_at": "2026-01-01T00:00:00Z"},
            {"panel": "standard", "order": "1"},
        ]
        answer = await house.call("POST", "/v1/orders", json={"orders": orders})
        assert (answer["tracked"], answer["known"]) == (2, 1)
        assert [r["index"] for r in answer["rejected"]] == [1, 2, 3, 4, 5]
        again = await house.call("POST", "/v1/orders", json={"orders": orders})
        assert (again["tracked"], again["known"]) == (0, 3)


async def test_listings_page_by_cursor(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(25)
        found, cursor = [], ""
        while True:
            page = await house.call("GET", f"/v1/orders?limit=10{cursor}")
            found += [order["order"] for order in page["orders"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert found == ids


async def test_what_changed_pages_by_cursor_from_either_end(tmp_path: Path):
    async with a_house(tmp_path, profiles=("standard", "smmgenie")) as house:
        ids = await house.place(8, services=[1], quantity=100, fate=DONE)
        other = house.panels["smmgenie"].world.seed_orders(1, house.clock(), fate=DONE)
        await house.track(other, panel="smmgenie")
        await house.run(7200.0)
        found = await every_change(house, "")
        assert {change["order"] for change in found if change["panel"] == "standard"} == set(ids)
        assert [change["at"] for change in found] == sorted(change["at"] for change in found)
        assert all(len(values) == 2 for change in found for values in change["changes"].values())
        assert await every_change(house, "&newest=true") == found[::-1]
        of_one = [change for change in found if change["panel"] == "smmgenie"]
        assert of_one
        assert await every_change(house, "&panel=smmgenie") == of_one
        assert await every_change(house, "&panel=nobody") == []
        middle = found[len(found) // 2]["at"]
        later = [change for change in found if change["at"] >= middle]
        assert 0 < len(later) < len(found)
        assert await every_change(house, f"&since={middle}") == later
        assert await every_change(house, f"&since={middle}&newest=true") == later[::-1]


async def every_change(house: House, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await house.call("GET", f"/v1/history?limit=3{query}{cursor}")
        found += page["history"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


async def test_a_list_says_of_each_order_when_it_is_checked_next(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.place(2)
        await house.run(600.0)
        listed = (await house.call("GET", "/v1/orders"))["orders"]
        assert len(listed) == 2
        for order in listed:
            shown = await house.call("GET", f"/v1/orders/standard/{order['order']}")
            assert order["next_check_at"] == shown["next_check"]["at"] is not None


async def test_a_list_has_links_also_where_memory_has_none(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.track(["1"], link="https://example.com/p")
        (order,) = (await house.call("GET", "/v1/orders"))["orders"]
        assert order["link"] == "https://example.com/p"


async def test_orders_submitted_since(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.track(["1"], submitted_at="2023-01-01T00:00:00Z")
        await house.track(["2"], submitted_at="2023-02-01T00:00:00Z")
        page = await house.call("GET", "/v1/orders?since=2023-01-31T23:00:00-01:00")
        assert [order["order"] for order in page["orders"]] == ["2"]


async def test_a_token_is_asked_for_where_there_is_one(tmp_path: Path):
    token_file = tmp_path / "api.token"
    token_file.write_text("token-of-the-tests\n")
    token_file.chmod(0o600)
    async with a_house(tmp_path) as house:
        text = house.path.read_text().replace("[daemon]", '[daemon]\ntoken_file = "api.token"')
        house.path.write_text(text)
        await house.daemon.reload()
        for path in ("/metrics", "/healthz", "/readyz"):
            assert (await fetch(house, path))[0] == 200
        for path in ("/", "/v1/orders", "/v1/openapi.json", "/nowhere", "/v1/backup"):
            assert (await fetch(house, path))[0] == 401
            wrong = {"Authorization": "Bearer token-of-the-test"}
            assert (await fetch(house, path, headers=wrong))[0] == 401
        right = {"Authorization": "Bearer token-of-the-tests"}
        assert (await fetch(house, "/v1/orders", headers=right))[0] == 200
        by_browser = {"Authorization": aiohttp.encode_basic_auth("me", "token-of-the-tests")}
        assert (await fetch(house, "/", headers=by_browser))[0] == 200
        assert (await fetch(house, "/v1/orders", headers=by_browser))[0] == 401


async def test_the_page_shows_panels_text_as_text(tmp_path: Path):
    traits = [Trait.ERROR_CODES, Trait.HOSTILE_TEXT]
    async with a_house(tmp_path, rules=RULE, traits=traits) as house:
        await house.place(1, services=[1], quantity=100, fate=DONE)
        await house.run(7200.0)
        status, html, headers = await fetch(house, "/")
        assert status == 200
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "refill &lt;b&gt;done&lt;/b&gt;" in html
        assert "<b>done" not in html
        assert html.count("<script") == 1  # the page's own
        assert "standard" in html
        services = (await house.call("GET", "/v1/panels/standard/services"))["services"]
        assert HOSTILE_NAME in {service["name"] for service in services}


async def test_the_probes(tmp_path: Path):
    async with a_house(tmp_path) as house:
        assert (await fetch(house, "/healthz"))[:2] == (200, "ok\n")
        assert (await fetch(house, "/readyz"))[:2] == (200, "ok\n")


async def test_a_backup_is_a_whole_database(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.place(5)
        url = f"http://127.0.0.1:{house.daemon.port}/v1/backup"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            copy = await answer.read()
            assert int(answer.headers["Content-Length"]) == len(copy)
        path = tmp_path / "copy.db"
        path.write_bytes(copy)
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (5,)
        connection.close()
        assert house.daemon.daemon_status.state().backup_at > 0
        assert not list(tmp_path.glob(".backup-*"))


async def test_a_backup_for_which_there_is_no_room_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with a_house(tmp_path) as house:
        monkeypatch.setattr(backups, "SPARE_ROOM", 2**60)
        answer = await house.call("GET", "/v1/backup", status=503)
        assert "too little room for a backup" in answer["error"]["message"]
        assert not list(tmp_path.glob(".watcher.db.copy-*"))


def test_no_label_names_an_order_a_service_or_a_link():
    text = METRICS.read_text()
    labels = set(
        re.findall(r"[a-z_]+", " ".join(line.split("\t")[2] for line in text.splitlines()))
    )
    assert labels <= set(
        "labels version revision python sqlite engine engine_version panel action reason status"
        " currency outcome rule notifier task operation shop target state field kind severity"
        " what node".split()
    )

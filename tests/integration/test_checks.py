"""Checks that somebody asks for: by the API, by the command, on the page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.cli_daemon import CannedDaemon, Request
from tests.support.house import House, a_house
from watcher.daemon import checks
from watcher.simulator import Ending, Fate
from watcher.web.page import selection

SLOW = Fate(pending=30.0, per_minute=1.0)
HOUR = 3600.0
SIXTY = "requests_per_minute = 60\n"


def path_of(order: str, wait: float = 0) -> str:
    return f"/v1/orders/standard/{order}/check?wait={wait:g}"


async def check(house: House, order: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await house.call("POST", path_of(order), **more))["check"]
    return found


async def check_all(house: House, orders: list[str], **more: Any) -> list[dict[str, Any]]:
    body = {"orders": [{"panel": "standard", "order": order} for order in orders], "wait": 0}
    found: list[dict[str, Any]] = (await house.call("POST", "/v1/checks", json=body, **more))[
        "checks"
    ]
    return found


async def test_a_check_takes_the_next_request_and_says_what_was_learnt(tmp_path: Path):
    async with a_house(tmp_path, defaults=SIXTY) as house:
        (order,) = await house.place(1, quantity=1000, services=[1], fate=SLOW)
        await house.run(HOUR)
        asked = len(house.panel.journal.requests("status"))
        waits = await check(house, order, status=202)
        assert (waits["outcome"], waits["why"]) in {("waiting", "queued"), ("waiting", "resting")}
        await house.run(11.0)
        learnt = await check(house, order, status=200)
        assert learnt["outcome"] in {"changed", "unchanged"}
        assert learnt["state"]["status"] == "in_progress"
        assert len(house.panel.journal.requests("status")) >= asked + 1
        assert house.order(order).remains == learnt["state"]["remains"]


async def test_what_changed_is_told_with_old_and_new(tmp_path: Path):
    async with a_house(tmp_path, defaults=SIXTY) as house:
        (order,) = await house.place(1, quantity=1000, services=[1], fate=SLOW)
        await house.run(HOUR)
        await check(house, order)
        before = house.order(order).remains
        await house.run(300.0)
        learnt = await check(house, order, status=200)
        assert learnt["outcome"] == "changed"
        assert learnt["changes"]["remains"] == [before, house.order(order).remains]
        assert f"remains {before} →" in learnt["sentence"]


async def test_five_hundred_checks_take_five_requests(tmp_path: Path):
    async with a_house(tmp_path, defaults=SIXTY) as house:
        orders = await house.place(2500, quantity=100_000, services=[1], fate=SLOW)
        await house.run(3 * HOUR)
        asked = len(house.panel.journal.requests("status"))
        wanted = orders[:500]
        assert {one["outcome"] for one in await check_all(house, wanted, status=202)} == {"waiting"}
        await house.run(6.0)
        fresh = house.panel.journal.requests("status")[asked:]
        ids = [set(entry.parameters["orders"].split(",")) for entry in fresh]
        assert sum(1 for batch in ids if batch & set(wanted)) == 5
        found = await check_all(house, wanted, status=200)
        assert len(found) == 500
        assert {one["outcome"] for one in found} <= {"changed", "unchanged"}


async def test_an_order_that_the_panel_does_not_know_is_refused(tmp_path: Path):
    async with a_house(tmp_path, defaults=SIXTY) as house:
        await house.track(["999999"])
        await house.run(HOUR)
        await check(house, "999999", status=202)
        await house.run(11.0)
        refused = await check(house, "999999", status=200)
        assert refused["outcome"] == "refused"
        assert "standard does not report it" in refused["sentence"]


async def test_what_cant_be_checked_is_said_in_one_sentence(tmp_path: Path):
    async with a_house(tmp_path, defaults=SIXTY) as house:
        (order,) = await house.place(1, quantity=1, services=[1], fate=Fate(ending=Ending.CANCELED))
        await house.run(HOUR)
        assert (
            "is closed"
            in (await house.call("POST", path_of(order), status=409))["error"]["message"]
        )
        await house.call("POST", path_of("123"), status=404)
        nowhere = "/v1/orders/nowhere/1/check"
        fault = (await house.call("POST", nowhere, status=404))["error"]["message"]
        assert fault.startswith("there is no panel 'nowhere'")
        listed = await check_all(house, [order, "123"], status=200)
        assert [one["outcome"] for one in listed] == ["not_watched", "not_watched"]
        for wait in ("-1", "26", "nan", "soon"):
            path = f"/v1/orders/standard/{order}/check?wait={wait}"
            fault = (await house.call("POST", path, status=400))["error"]["message"]
            assert fault == "wait: from 0 to 25 seconds"


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_list_has_one_to_a_thousand_orders(tmp_path: Path, count: int):
    async with a_house(tmp_path) as house:
        body = {"orders": [{"panel": "standard", "order": n} for n in range(count)]}
        fault = (await house.call("POST", "/v1/checks", status=400, json=body))["error"]
        assert "length" in fault["message"]
        assert not house.panel.journal.requests("status")


async def test_a_caller_waits_for_a_bounded_number_of_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checks, "MOST_WAITING", 3)
    async with a_house(tmp_path, defaults=SIXTY) as house:
        orders = await house.place(5, quantity=100_000, services=[1], fate=SLOW)
        await house.run(HOUR)
        await check_all(house, orders[:3], status=202)
        await check_all(house, orders[:3], status=202)  # these wait already
        fault = (await house.call("POST", path_of(orders[3]), status=429))["error"]
        assert "wait to be checked for you" in fault["message"]
        await house.run(11.0)
        await check_all(house, orders[3:], status=202)


async def test_it_says_why_the_panel_is_not_asked(tmp_path: Path):
    async with a_house(tmp_path, defaults=SIXTY) as house:
        (order,) = await house.place(1, quantity=100_000, services=[1], fate=SLOW)
        await house.run(HOUR)
        gateway = house.daemon.panel_workers["standard"].gateway
        gateway.pace.pause_until = house.clock() + 600.0
        limited = await check(house, order, status=202)
        assert (limited["why"], limited["outcome"]) == ("limited", "waiting")
        assert limited["until"] is not None
        asked = len(house.panel.journal.requests())
        await house.run(300.0)
        assert len(house.panel.journal.requests()) == asked, "within the rate, never outside it"
        await house.run(400.0)
        assert (await check(house, order, status=200))["outcome"] == "changed"


async def test_a_waiting_check_outlives_a_reload(tmp_path: Path):
    async with a_house(tmp_path, defaults=SIXTY) as house:
        (order,) = await house.place(1, quantity=100_000, services=[1], fate=SLOW)
        await house.run(HOUR)
        await check(house, order, status=202)
        text = house.path.read_text()
        house.path.write_text(text.replace("[defaults]", "[defaults]\nidle_every = 21"))
        await house.daemon.reload()
        await check(house, order)
        await house.run(12.0)
        assert (await check(house, order, status=200))["outcome"] in {"changed", "unchanged"}


async def test_the_page_checks_one_order_and_a_selection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(selection, "_WAIT", 0.0)
    async with a_house(tmp_path, defaults=SIXTY) as house:
        orders = await house.place(3, quantity=100_000, services=[1], fate=SLOW)
        await house.run(HOUR)
        url = f"http://127.0.0.1:{house.daemon.port}"
        async with aiohttp.ClientSession(url, headers={"Sec-Fetch-Site": "same-origin"}) as session:

            async def post(path: str, *fields: tuple[str, str]) -> tuple[int, str]:
                data = aiohttp.FormData([*fields, ("x", "y")])
                async with session.post(path, data=data) as answer:
                    return answer.status, await answer.text()

            async with session.get("/orders") as page:
                assert f'name="order" value="standard/{orders[0]}"' in await page.text()
            status, text = await post(f"/orders/standard/{orders[0]}/check")
            assert (status, "Not checked yet: " in text) == (200, True)
            ticked = [("order", f"standard/{order}") for order in orders]
            status, text = await post("/orders/selection", *ticked, ("do", "check"))
            assert (status, "with the next request to standard" in text) == (200, True)
            status, text = await post("/orders/selection", *ticked, ("do", "untrack"))
            assert (status, "Untrack 3 orders" in text) == (200, True)
            assert house.order(orders[0]).id == orders[0]
            status, text = await post("/orders/selection", *ticked[:2], ("do", "untrack-surely"))
            assert (status, text.count("untracked<")) == (200, 2)
            assert house.daemon.watchlist.order("standard", orders[0]) is None
            assert (await post("/orders/selection", ("do", "check")))[0] == 400
            assert (await post("/orders/selection", *ticked))[0] == 400
            assert (await post("/orders/selection", ("order", "x"), ("do", "check")))[0] == 400


def a_view(order: str, outcome: str, sentence: str) -> dict[str, Any]:
    waits = outcome == "waiting"
    return {
        "panel": "p",
        "order": order,
        "outcome": outcome,
        "sentence": sentence,
        "why": "queued" if waits else None,
        "until": None,
        "changes": {},
        "state": None,
    }


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        yield canned


def test_the_command_says_what_was_learnt(daemon: CannedDaemon) -> None:
    views = [
        a_view("1", "changed", "remains 5 → 3"),
        a_view("2", "unchanged", "unchanged: pending"),
    ]
    daemon.put("POST /v1/checks", {"checks": views})
    result = daemon.watcher("check", "p", 1, 2)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "1: remains 5 → 3\n2: unchanged: pending\n"
    (request,) = daemon.asked("POST /v1/checks")
    assert request.body["orders"] == [{"panel": "p", "order": "1"}, {"panel": "p", "order": "2"}]


def test_the_command_says_what_is_not_known_yet(daemon: CannedDaemon) -> None:
    waits = a_view("2", "waiting", "it goes with the next request to p")
    daemon.put("POST /v1/checks", {"checks": [a_view("1", "unchanged", "unchanged"), waits]}, 202)
    result = daemon.watcher("check", "p", 1, 2)
    assert (result.exit_code, result.stdout) == (1, "1: unchanged\n")
    assert result.stderr == "2: it goes with the next request to p\n"


def test_the_command_waits_until_each_is_answered(daemon: CannedDaemon) -> None:
    def answer(request: Request) -> tuple[int, Any]:
        first = len(daemon.asked("POST /v1/checks")) == 1
        views = [
            a_view(
                item["order"], "waiting" if first and item["order"] == "2" else "unchanged", "so"
            )
            for item in request.body["orders"]
        ]
        return 202 if first else 200, {"checks": views}

    daemon.answers["POST /v1/checks"] = answer
    result = daemon.watcher("check", "p", 1, 2, "--wait")
    assert (result.exit_code, result.stdout) == (0, "1: so\n2: so\n")
    assert result.stderr == "1 of 2 wait: so\n"
    assert len(daemon.asked("POST /v1/checks")) == 2

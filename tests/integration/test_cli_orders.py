"""`watcher orders`, `show`, `submit`, `refill`, `cancel`, `actions`, `resolve`, `withdraw`."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from tests.integration.cli_daemon import (
    HOSTILE,
    CannedDaemon,
    Request,
    action_view,
    now,
    order_view,
    panel_view,
)
from watcher.cli import waiting
from watcher.web.panel_shapes import PanelList
from watcher.web.shapes import (
    ActionAnswer,
    ActionList,
    ActionView,
    FiringView,
    HistoryView,
    NextCheckView,
    OrderDetail,
    OrderList,
    RefillView,
)


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        yield canned


def paged(count: int) -> Callable[[Request], tuple[int, OrderList]]:
    def answer(request: Request) -> tuple[int, OrderList]:
        first, limit = int(request.query.get("cursor", 0)), int(request.query["limit"])
        orders = [order_view(str(n)) for n in range(first, min(count, first + limit))]
        after = first + limit
        return 200, OrderList(orders, str(after) if after < count else None)

    return answer


def test_orders_are_listed(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/orders", OrderList([order_view(), order_view("2", panel="other")], None))
    result = daemon.watcher("orders")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].split()[:4] == ["order", "panel", "service", "status"]
    for word in ("23501", "smmgenie", "in_progress", "157", "0.27819 USD", "5m"):
        assert word in result.stdout.splitlines()[1]
    assert result.stderr == ""


def test_orders_are_filtered_by_the_daemon(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/orders", OrderList([], None))
    daemon.put("GET /v1/panels", PanelList([panel_view("genie")]))
    args = "orders --panel genie --status partial --stalled --problem --limit 7 --cursor 9"
    result = daemon.watcher(*args.split())
    assert result.stdout == "no orders\n"
    [request] = daemon.asked("GET /v1/orders")
    assert request.query == {
        "panel": "genie",
        "status": "partial",
        "stalled": "true",
        "problem": "true",
        "limit": "7",
        "cursor": "9",
    }


@pytest.mark.parametrize("listing", ["orders", "actions"])
def test_nothing_of_a_panel_that_is_not_there(daemon: CannedDaemon, listing: str) -> None:
    daemon.put(f"GET /v1/{listing}", {listing: [], "next": None})
    daemon.put("GET /v1/panels", PanelList([panel_view("genie"), panel_view("other")]))
    result = daemon.watcher(listing, "--panel", "geni")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "there is no panel 'geni': did you mean 'genie'? there are: genie, other\n"
    )


def test_orders_say_that_there_are_more(daemon: CannedDaemon) -> None:
    daemon.answers["GET /v1/orders"] = paged(60)
    result = daemon.watcher("orders")
    assert len(result.stdout.splitlines()) == 51
    assert "more than these 50" in result.stderr


@pytest.mark.parametrize(("args", "count"), [(("--all",), 2500), (("--limit", "1200"), 1200)])
def test_orders_come_in_pages(daemon: CannedDaemon, args: tuple[str, ...], count: int) -> None:
    daemon.answers["GET /v1/orders"] = paged(2500)
    result = daemon.watcher("orders", *args)
    ids = [line.split()[0] for line in result.stdout.splitlines()]
    assert [i for i in ids if i != "order"] == [str(n) for n in range(count)]
    assert max(int(request.query["limit"]) for request in daemon.requests) == 1000


def test_orders_as_json_are_one_document(daemon: CannedDaemon) -> None:
    daemon.answers["GET /v1/orders"] = paged(2500)
    every = json.loads(daemon.watcher("orders", "--all", "--json").stdout)
    assert [order["order"] for order in every["orders"]] == [str(n) for n in range(2500)]
    assert every["next"] is None
    some = json.loads(daemon.watcher("orders", "--limit", "3", "--json").stdout)
    assert (len(some["orders"]), some["next"]) == (3, "3")
    assert some["orders"][0]["charge"] == "0.27819"


def test_json_keeps_what_this_version_does_not_know(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/orders", {"orders": [{"order": "1", "new": 1.5}], "next": None})
    assert json.loads(daemon.watcher("orders", "--json").stdout)["orders"][0]["new"] == 1.5


def test_a_panels_words_are_neither_markup_nor_control(daemon: CannedDaemon) -> None:
    order = order_view(problem=HOSTILE, link=HOSTILE, status_text=HOSTILE)
    daemon.put("GET /v1/orders", OrderList([order], None))
    daemon.put(
        "GET /v1/orders/smmgenie/23501",
        OrderDetail(
            state=order,
            history=[HistoryView(now(), {"problem": [None, HOSTILE]})],
            refills=[],
            actions=[action_view(answer=HOSTILE)],
            firings=[],
        ),
    )
    for args in (("orders",), ("show", "smmgenie", "23501")):
        for json_too in ((), ("--json",)):
            result = daemon.watcher(*args, *json_too, FORCE_COLOR="1", NO_COLOR="1", COLUMNS="200")
            assert "[bold]x[/] :smile:" in result.stdout
            for control in ("\x1b[31m", "\x07", "\x9b", "\u202e"):
                assert control not in result.stdout


def test_colour_only_where_it_is_wanted(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/orders", OrderList([order_view(status="completed")], None))
    assert "\x1b" not in daemon.watcher("orders").stdout
    assert "\x1b[32mcompleted" in daemon.watcher("orders", FORCE_COLOR="1", TERM="xterm").stdout
    plain = daemon.watcher("orders", FORCE_COLOR="1", TERM="xterm", NO_COLOR="1").stdout
    assert "\x1b[3" not in plain


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_a_list_fits_the_window(daemon: CannedDaemon, width: int) -> None:
    daemon.put("GET /v1/orders", OrderList([order_view(problem="why " * 50)], None))
    lines = daemon.watcher("orders", COLUMNS=str(width)).stdout.splitlines()
    assert lines[1].startswith("23501")
    assert "in_progress" in lines[1]
    assert all(len(line) <= width for line in lines)


def test_show_says_what_is_not_known_of_an_order_that_was_tracked_late(
    daemon: CannedDaemon,
) -> None:
    state = order_view(status="completed", phase="guarded", submitted_known=False)
    detail = OrderDetail(state=state, history=[], refills=[], actions=[], firings=[])
    daemon.put("GET /v1/orders/smmgenie/23501", detail)
    shown = daemon.watcher("show", "smmgenie", "23501").stdout
    assert re.search(r"submitted +before \d{4}-.*, when it was tracked\n", shown)
    assert re.search(r"finished +not known: it was final at its first check\n", shown)


def test_why_an_order_is_checked_when_it_is(daemon: CannedDaemon) -> None:
    at = now() + timedelta(minutes=10)
    check = NextCheckView(
        at=at,
        reason="is being delivered",
        stage="moving",
        every=95.0,
        hazard_per_hour=0.2,
        change_within_hour=0.181,
        change_expected_at=now() + timedelta(hours=3, minutes=28, seconds=30),
    )
    detail = OrderDetail(
        state=order_view(), history=[], refills=[], actions=[], firings=[], next_check=check
    )
    daemon.put("GET /v1/orders/smmgenie/23501", detail)
    shown = daemon.watcher("show", "smmgenie", "23501").stdout
    assert re.search(r"why then +is being delivered\n", shown)
    assert re.search(r"usually every +1m 35s\n", shown)
    assert re.search(r"change within 1h +chance 18 %\n", shown)


def test_one_order_with_its_history(daemon: CannedDaemon) -> None:
    finished = now() - timedelta(days=1)
    daemon.put(
        "GET /v1/orders/smmgenie/23501",
        OrderDetail(
            state=order_view(status="completed", finished_at=finished, count=4000),
            history=[
                HistoryView(
                    finished,
                    {
                        "status": ["in_progress", "completed"],
                        "finished_at": [None, finished.timestamp()],
                    },
                )
            ],
            refills=[
                RefillView(
                    refill="5",
                    status="rejected",
                    status_text="Rejected",
                    requested_at=now(),
                    finished_at=now(),
                )
            ],
            actions=[action_view(state="accepted", rule="daily", result="5")],
            firings=[
                FiringView(rule="daily", action="refill", at=now(), dry_run=True, detail="it drops")
            ],
        ),
    )
    result = daemon.watcher("show", "smmgenie", "23501")
    assert result.exit_code == 0
    for text in (
        "23501 at smmgenie",
        "https://example.com/a",
        " (1d ago)",
        "status in_progress → completed, finished_at none → 20",
        "5       rejected  Rejected",
        "refill (dry run)",
        "it drops",
        "17  refill  smmgenie  23501  accepted",
    ):
        assert text in result.stdout
    assert result.stdout.count("UTC") == 1
    raw = json.loads(daemon.watcher("show", "smmgenie", "23501", "--json").stdout)
    assert raw["history"][0]["changes"]["status"] == ["in_progress", "completed"]


def test_an_order_that_is_not_there(daemon: CannedDaemon) -> None:
    daemon.refuse("GET /v1/orders/p/a%2Fb", 404, "not_found", "order 'a/b' is not tracked")
    result = daemon.watcher("show", "p", "a/b")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "order 'a/b' is not tracked\n"


def test_refill_asks_for_each_and_tells_of_each(daemon: CannedDaemon) -> None:
    daemon.put("POST /v1/orders/genie/1/refill", ActionAnswer(action_view(17)), 202)
    daemon.refuse("POST /v1/orders/genie/2/refill", 409, "conflict", "a refill is under way")
    daemon.put("POST /v1/orders/genie/3/refill", ActionAnswer(action_view(18)), 202)
    result = daemon.watcher("refill", "genie", "1", "2", "3")
    assert result.exit_code == 1
    assert result.stdout == (
        "1: refill is planned as action 17\n3: refill is planned as action 18\n"
    )
    assert result.stderr == "2: a refill is under way\n"


def answers(*views: ActionView) -> Callable[[Request], tuple[int, ActionAnswer]]:
    """Answer with one view after the other, then always with the last."""
    left = list(views)
    return lambda request: (200, ActionAnswer(left.pop(0) if len(left) > 1 else left[0]))


def test_refill_waits_for_what_comes_of_it(
    daemon: CannedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_POLL_EVERY", 0.0)
    for order, number in (("1", 17), ("2", 18)):
        daemon.put(f"POST /v1/orders/genie/{order}/refill", ActionAnswer(action_view(number)), 202)
    good = action_view(17, order="1", state="accepted", outcome="refill 200 started")
    other = action_view(18, order="2", state="accepted", outcome="refill 201 started")
    daemon.answers["GET /v1/actions/17"] = answers(action_view(17), good)
    daemon.put("GET /v1/actions/18", ActionAnswer(other))
    result = daemon.watcher("refill", "genie", "1", "2", "--wait")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "1: refill 200 started\n2: refill 201 started\n"
    raw = json.loads(daemon.watcher("refill", "genie", "1", "2", "--wait", "--json").stdout)
    assert [action["state"] for action in raw["actions"]] == ["accepted", "accepted"]


@pytest.mark.parametrize(
    ("state", "outcome", "told"),
    [
        ("rejected", "refused: Too early", "1: cancel refused: Too early\n"),
        ("unresolved", "unknown: timeout", "1: action 17 is unresolved: the panel may have taken"),
        ("planned", "not sent yet", "1: action 17 is still planned: the cancel will be asked for"),
        ("sending", "being sent", "1: action 17 is still sending: see `watcher actions`\n"),
    ],
)
def test_waiting_for_what_is_not_accepted_fails(
    daemon: CannedDaemon, monkeypatch: pytest.MonkeyPatch, state: str, outcome: str, told: str
) -> None:
    monkeypatch.setattr(waiting, "WAIT", 0.0)
    daemon.put("POST /v1/orders/genie/1/cancel", ActionAnswer(action_view(17, kind="cancel")), 202)
    ended = action_view(17, kind="cancel", order="1", state=state, outcome=outcome)
    daemon.put("GET /v1/actions/17", ActionAnswer(ended))
    result = daemon.watcher("cancel", "genie", "1", "--wait")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(told)
    assert "--result" not in result.stderr


def test_a_daemon_that_goes_away_while_one_waits(daemon: CannedDaemon) -> None:
    daemon.put("POST /v1/orders/genie/1/refill", ActionAnswer(action_view(17)), 202)
    daemon.put("GET /v1/actions/17", "cut")
    result = daemon.watcher("refill", "genie", "1", "--wait")
    assert result.exit_code == 3
    assert "the request stands: see `watcher actions`" in result.stderr


def test_cancel_is_done_when_all_are_taken(daemon: CannedDaemon) -> None:
    daemon.put("POST /v1/orders/genie/1/cancel", ActionAnswer(action_view(17)), 202)
    assert daemon.watcher("cancel", "genie", "1").exit_code == 0
    assert len(daemon.requests) == 1


def test_a_cut_answer_is_not_asked_for_again(daemon: CannedDaemon) -> None:
    daemon.put("POST /v1/orders/genie/1/cancel", "cut")
    result = daemon.watcher("cancel", "genie", "1", "2")
    assert result.exit_code == 3
    assert len(daemon.requests) == 1
    assert "order 1 may have been taken" in result.stderr
    assert "nor were 1 order after it" in result.stderr


def test_submit_prints_the_order(daemon: CannedDaemon, tmp_path: Path) -> None:
    comments = tmp_path / "comments.txt"
    comments.write_text("first\nsecond\n")
    answer = ActionAnswer(action_view(kind="submit", state="accepted"), order_view())
    daemon.put("POST /v1/submit", answer, 201)
    result = daemon.watcher(
        "submit", "genie", "--service", "12", "--link", "https://example.com/a",
        "--quantity", "1000", "--param", "runs=5", "--param", "note=a=b",
        "--comments-file", str(comments), "--idempotency-key", "k-1",
    )  # fmt: skip
    assert result.exit_code == 0
    assert "23501 at smmgenie" in result.stdout
    [request] = daemon.requests
    assert request.headers["Idempotency-Key"] == "k-1"
    assert request.body == {
        "panel": "genie",
        "service": "12",
        "link": "https://example.com/a",
        "quantity": 1000,
        "params": {"runs": "5", "note": "a=b", "comments": "first\nsecond"},
    }


def test_submit_makes_and_tells_a_key(daemon: CannedDaemon) -> None:
    answer = ActionAnswer(action_view(kind="submit", state="accepted"), order_view())
    daemon.put("POST /v1/submit", answer, 201)
    first = daemon.watcher("submit", "genie", "--service", "12", "--json")
    daemon.watcher("submit", "genie", "--service", "12")
    keys = [request.headers["Idempotency-Key"] for request in daemon.requests]
    assert keys[0] != keys[1]
    assert first.stderr == f"idempotency key: {keys[0]}\n"
    assert json.loads(first.stdout)["order"]["order"] == "23501"


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        ("unresolved", "watcher resolve 17"),
        ("sending", "watcher actions"),
        ("planned", "watcher withdraw 17"),
        ("planned", "will be placed as soon as the panel can be asked"),
    ],
)
def test_submit_that_is_not_settled(daemon: CannedDaemon, state: str, hint: str) -> None:
    daemon.put("POST /v1/submit", ActionAnswer(action_view(kind="submit", state=state)), 202)
    result = daemon.watcher("submit", "genie", "--service", "12")
    assert result.exit_code == 1
    assert hint in result.stderr


def test_submit_refused_by_the_panel(daemon: CannedDaemon) -> None:
    daemon.refuse("POST /v1/submit", 422, "rejected", f"Not enough funds {HOSTILE}")
    result = daemon.watcher("submit", "genie", "--service", "12")
    assert result.exit_code == 1
    assert "Not enough funds [bold]x[/] :smile:" in result.stderr
    assert "\x1b" not in result.stderr


def test_submit_without_an_answer_tells_how_to_ask_again(daemon: CannedDaemon) -> None:
    daemon.put("POST /v1/submit", "cut")
    result = daemon.watcher("submit", "genie", "--service", "12", "--idempotency-key", "k-1")
    assert result.exit_code == 3
    assert "add --idempotency-key k-1" in result.stderr
    assert len(daemon.requests) == 1


@pytest.mark.parametrize(
    "args",
    [
        ("--param", "x"),
        ("--param", " service=2"),
        ("--param", "action[=cancel"),
        ("--param", "api_key=x"),
        ("--param", "a=1", "--param", "a=2"),
        ("--idempotency-key", "a\nb"),
        ("--idempotency-key", ""),
        ("--comments-file", "/nowhere/at/all"),
        ("--quantity", "-1"),
    ],
)
def test_submit_used_wrongly(daemon: CannedDaemon, args: tuple[str, ...]) -> None:
    assert daemon.watcher("submit", "genie", "--service", "12", *args).exit_code == 2
    assert daemon.requests == []


def test_actions_are_listed(daemon: CannedDaemon) -> None:
    actions = [action_view(18, state="unresolved", answer=HOSTILE), action_view(17)]
    daemon.put("GET /v1/actions", ActionList(actions, "17"))
    result = daemon.watcher("actions", "--state", "unresolved", "--panel", "p", "--limit", "2")
    assert daemon.requests[0].query == {"state": "unresolved", "panel": "p", "limit": "2"}
    assert result.exit_code == 0
    assert "unresolved" in result.stdout
    assert "\x1b" not in result.stdout
    assert "more than these 2" in result.stderr
    raw = json.loads(daemon.watcher("actions", "--limit", "2", "--json").stdout)
    assert [action["id"] for action in raw["actions"]] == [18, 17]


def test_resolve(daemon: CannedDaemon) -> None:
    settled = action_view(17, kind="submit", state="accepted")
    daemon.put("POST /v1/actions/17/resolve", ActionAnswer(settled, order_view()))
    result = daemon.watcher("resolve", "17", "accepted", "--result", "23501")
    assert result.stdout == "action 17 is accepted\norder 23501 at smmgenie is tracked\n"
    assert daemon.requests[0].body == {"state": "accepted", "result": "23501"}
    daemon.refuse("POST /v1/actions/17/resolve", 409, "conflict", "action 17 is accepted already")
    assert daemon.watcher("resolve", "17", "rejected").exit_code == 1
    assert daemon.watcher("resolve", "17", "perhaps").exit_code == 2


def test_withdraw(daemon: CannedDaemon) -> None:
    withdrawn = action_view(17, kind="submit", state="rejected")
    daemon.put("POST /v1/actions/17/withdraw", ActionAnswer(withdrawn))
    result = daemon.watcher("withdraw", "17")
    assert (result.exit_code, result.stdout) == (0, "action 17 is withdrawn: nothing was sent\n")
    raw = json.loads(daemon.watcher("withdraw", "17", "--json").stdout)
    assert raw["action"]["id"] == 17
    told = "action 17 is sending: only a planned action can be withdrawn"
    daemon.refuse("POST /v1/actions/17/withdraw", 409, "conflict", told)
    result = daemon.watcher("withdraw", "17")
    assert result.exit_code == 1
    assert told in result.stderr
    assert daemon.watcher("withdraw", "x").exit_code == 2


def test_actions_tell_in_words_what_came_of_them(daemon: CannedDaemon) -> None:
    view = action_view(17, state="accepted", result="200", answer="200")
    told = msgspec.structs.replace(view, outcome="refill 200 started")
    daemon.put("GET /v1/actions", ActionList([told], None))
    result = daemon.watcher("actions")
    assert "refill 200 started" in result.stdout
    assert result.stdout.count("200") == 1


def test_what_was_asked_for_as_json(daemon: CannedDaemon) -> None:
    daemon.put("POST /v1/orders/genie/1/refill", ActionAnswer(action_view(17)), 202)
    daemon.refuse("POST /v1/orders/genie/2/refill", 409, "conflict", "a refill is under way")
    result = daemon.watcher("refill", "genie", "1", "2", "--json")
    assert result.exit_code == 1
    assert [action["id"] for action in json.loads(result.stdout)["actions"]] == [17]
    daemon.put("POST /v1/actions/17/resolve", ActionAnswer(action_view(17, state="accepted")))
    settled = daemon.watcher("resolve", "17", "accepted", "--json")
    assert json.loads(settled.stdout)["action"]["state"] == "accepted"

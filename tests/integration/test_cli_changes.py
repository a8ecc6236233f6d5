"""`watcher edit` and `watcher changes`, and the labels that other commands take."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli_daemon import HOSTILE, CannedDaemon, Request, now, order_view
from watcher.cli import changes as command
from watcher.web.change_shapes import ChangeList, OrderChangeView
from watcher.web.shapes import OrderList, TrackAnswer

EDIT = "PATCH /v1/orders/genie/23501"
CHANGES = "GET /v1/changes"


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        yield canned


def a_page(*orders: str, cursor: str = "c1AB", more: bool = False) -> ChangeList:
    changes = [
        OrderChangeView(
            panel="genie",
            order=order,
            reference="1042",
            at=now(),
            changes={"tags": [[], ["vip", HOSTILE]], "note": [None, None]},
            state=order_view(order=order),
        )
        for order in orders
    ]
    return ChangeList(changes, cursor, more)


def test_edit_sends_what_is_given_and_shows_the_order(daemon: CannedDaemon) -> None:
    daemon.put(EDIT, order_view(order="23501", reference="7", tags=["a", "b"]))
    result = daemon.watcher("edit", "genie", "23501", "--tag", "a", "--tag", "b", "--note", "")
    assert result.exit_code == 0
    assert daemon.asked(EDIT)[0].body == {"tags": ["a", "b"], "note": ""}
    assert "a, b" in result.stdout
    daemon.watcher("edit", "genie", "23501", "--tag", "", "--reference", "7")
    assert daemon.asked(EDIT)[1].body == {"tags": [], "reference": "7"}


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ((), "give at least one of"),
        (("--tag", "a,b"), "a comma separates tags"),
        (("--reference", "r" * 101), "101 characters"),
        (("--note", "a\x07"), "control character"),
    ],
)
def test_bad_labels_are_told_before_anything_is_sent(
    daemon: CannedDaemon, options: tuple[str, ...], cause: str
) -> None:
    result = daemon.watcher("edit", "genie", "23501", *options, COLUMNS="300")
    assert result.exit_code == 2
    assert cause in result.stderr
    assert daemon.requests == []


def test_labels_of_other_commands(daemon: CannedDaemon, tmp_path: Path) -> None:
    daemon.put("GET /v1/panels", {"panels": []})
    taken: list[Any] = []

    def takes(request: Request) -> tuple[int, TrackAnswer]:
        taken.extend(request.body["orders"])
        return 200, TrackAnswer(len(request.body["orders"]), 0, [])

    daemon.answers["POST /v1/orders"] = takes
    file = tmp_path / "orders.csv"
    file.write_text("order,tags,customer\n1,old,\n2,,eve\n")
    options = ("--tag", "may", "--customer", "ann", "--dry-run")
    result = daemon.watcher("track", "genie", "--file", file, *options)
    assert result.exit_code == 0
    alone = daemon.watcher("track", "genie", "1", "2", "--reference", "7", COLUMNS="300")
    assert alone.exit_code == 2
    assert "one order's own" in alone.stderr
    daemon.put("GET /v1/orders", OrderList([order_view(reference="7", tags=["vip"])], None))
    listed = daemon.watcher("orders", "--tag", "vip", "--reference", "7", "--customer", "ann")
    assert "vip" in listed.stdout
    query = daemon.asked("GET /v1/orders")[0].query
    assert (query["tag"], query["reference"], query["customer"]) == ("vip", "7", "ann")
    assert taken == []


def test_changes_are_listed(daemon: CannedDaemon) -> None:
    daemon.put(CHANGES, a_page("23501", "23502", more=True))
    result = daemon.watcher("changes", "--tag", "vip", "--after", "c1AA", "--limit", "2")
    assert result.exit_code == 0
    assert "23501" in result.stdout
    assert "note changed" in result.stdout
    assert "\x1b" not in result.stdout
    assert "--follow --after c1AB" in result.stderr
    assert daemon.asked(CHANGES)[0].query == {"tag": "vip", "after": "c1AA", "limit": "2"}
    daemon.put(CHANGES, a_page())
    assert daemon.watcher("changes").stdout == "no changes\n"
    daemon.refuse(CHANGES, 410, "stale_cursor", "begin anew")
    result = daemon.watcher("changes", "--after", "c1AA")
    assert (result.exit_code, result.stderr) == (1, "begin anew\n")


def test_following_goes_on_while_the_daemon_is_away(
    daemon: CannedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_AGAIN_AFTER", 0.0)
    answers: list[Any] = [
        a_page(cursor="c1A"),
        a_page("1", cursor="c1B"),
        "cut",
        "cut",
        a_page(cursor="c1C"),
        a_page("2", cursor="c1D"),
    ]

    def answer(request: Request) -> tuple[int, Any]:
        if not answers:
            return 410, {"error": {"code": "stale_cursor", "message": "begin anew"}}
        return 200, answers.pop(0)

    daemon.answers[CHANGES] = answer
    result = daemon.watcher("changes", "--follow", "--json")
    assert result.exit_code == 1
    pages = [json.loads(line) for line in result.stdout.splitlines()]
    assert [[c["order"] for c in page["changes"]] for page in pages] == [["1"], ["2"]]
    assert result.stderr.count("asking again until it answers") == 1
    asked = [request.query.get("after") for request in daemon.asked(CHANGES)]
    assert asked == ["now", "c1A", "c1B", "c1B", "c1B", "c1C", "c1D"]

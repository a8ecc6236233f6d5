"""`watcher track` over real HTTP: ids, files, streams, and what goes wrong on the way."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.integration.cli_daemon import CannedDaemon, Request, panel_view
from watcher.web.panel_shapes import PanelList, ServiceList, ServiceView
from watcher.web.shapes import Rejected, TrackAnswer

CALL = "POST /v1/orders"


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        canned.answers[CALL] = takes()
        canned.put("GET /v1/panels", PanelList([panel_view("genie")]))
        yield canned


def takes(
    *refused: str, known: tuple[str, ...] = ()
) -> Callable[[Request], tuple[int, TrackAnswer]]:
    """Takes all but some."""

    def answer(request: Request) -> tuple[int, TrackAnswer]:
        ids = [item["order"] for item in request.body["orders"]]
        rejected = [Rejected(n, "refused here") for n, order in enumerate(ids) if order in refused]
        old = sum(order in known for order in ids)
        return 200, TrackAnswer(len(ids) - len(rejected) - old, old, rejected)

    return answer


def watcher(daemon: CannedDaemon, *args: str, **given: Any) -> Result:
    return daemon.watcher("track", "genie", *args, **given)


def service(number: str) -> ServiceView:
    return ServiceView(
        service=number,
        name="Likes",
        type="Default",
        category="c",
        rate="0.9",
        min=1,
        max=1000,
        refill=True,
        cancel=True,
        refill_disabled=None,
        gone_at=None,
    )


def sent(daemon: CannedDaemon) -> list[str]:
    return [item["order"] for request in daemon.asked(CALL) for item in request.body["orders"]]


def test_ids_by_hand(daemon: CannedDaemon) -> None:
    daemon.answers[CALL] = takes(known=("2",))
    result = watcher(daemon, "1", "2")
    assert (result.exit_code, result.stdout) == (0, "1 order tracked, 1 known already\n")
    assert result.stderr == (
        "2 orders have no service: rules on service.* can't apply to them; give --service, or a "
        "list with a column of the panel's services\n"
    )
    assert sent(daemon) == ["1", "2"]


def test_what_is_not_known_of_orders_is_told_with_what_it_means_for_rules(
    daemon: CannedDaemon,
) -> None:
    daemon.answers[CALL] = lambda request: (200, TrackAnswer(3, 0, [], undated=1, finish_unknown=2))
    result = watcher(daemon, "1", "2", "3")
    assert (result.exit_code, result.stdout) == (0, "3 orders tracked, 0 known already\n")
    undated, unfinished, without_service = result.stderr.splitlines()
    assert undated.startswith("1 order without a date: order.age counts from now")
    assert unfinished.startswith("2 orders without a time of completion")
    assert without_service.startswith("3 orders have no service")
    told = json.loads(watcher(daemon, "1", "--json").stdout)
    assert (told["undated"], told["finish_unknown"]) == (1, 2)


@pytest.mark.parametrize("args", [(), ("1 2",), ("--file", "/nowhere/at/all"), ("--file", "/")])
def test_used_wrongly(daemon: CannedDaemon, args: tuple[str, ...]) -> None:
    assert watcher(daemon, *args).exit_code == 2
    assert daemon.requests == []


def test_a_file_with_bad_lines(daemon: CannedDaemon, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    text = "order;service;qty;date\n1;7;10;2024-05-31 12:00:00\n2;7;many;\n3;7;10;\n4;7;10;\n"
    file.write_text(text)
    daemon.answers[CALL] = takes("3")
    result = watcher(daemon, "--file", str(file))
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"{file}: CSV with semicolons between cells, a plain list of orders; order from 'order', "
        "service from 'service', quantity from 'qty', submitted_at from 'date'",
        "line 3: quantity: 'many' is not a whole number",
        "line 4: order 3: refused here",
    ]
    assert result.stdout == "2 orders tracked, 0 known already, 2 not taken\n"
    first = daemon.asked(CALL)[0].body["orders"][0]
    assert first["submitted_at"] == "2024-05-31T12:00:00Z"


def test_what_is_not_taken_goes_to_a_file(daemon: CannedDaemon, tmp_path: Path) -> None:
    file, rejected = tmp_path / "orders.csv", tmp_path / "rejected.csv"
    file.write_text("order,qty\n1,10\n2,many\n3,10\n")
    daemon.answers[CALL] = takes("3")
    result = watcher(daemon, "--file", str(file), "--rejected", str(rejected), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "tracked": 1,
        "known": 0,
        "rejected": 2,
        "updated": 0,
        "undated": 0,
        "finish_unknown": 0,
        "without_service": 2,
        "unlisted_services": {},
        "layout": {
            "form": "CSV with commas between cells",
            "maker": "a plain list of orders",
            "columns": {"order": "order", "quantity": "qty"},
            "samples": {"order": "'1'", "quantity": "'10'"},
            "own": [],
            "unused": [],
            "unit": "line",
            "remarks": [],
        },
        "notes": [],
    }
    assert rejected.read_text() == (
        "line,order,cause\n3,,quantity: 'many' is not a whole number\n4,3,refused here\n"
    )
    assert "many" not in result.stderr


def test_a_dry_run_tells_and_sends_nothing(daemon: CannedDaemon, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    text = (
        "ID,External ID,Status,Date,Completed at\n"
        "1,700,Completed,31.05.2024,01.06.2024 10:00\n"
        "2,701,In progress,01.06.2024,02.06.2024\n3,,,,\n4,x y,,,\n"
    )
    file.write_bytes(text.encode("utf-16"))
    result = watcher(daemon, "--file", str(file), "--dry-run")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"{file}: CSV with commas between cells, a shop's list of orders",
        "  order from 'External ID', as '700'",
        "  submitted_at from 'Date', as '31.05.2024'",
        "  finished_at from 'Completed at', as '01.06.2024 10:00'",
        "  status from 'Status', as 'Completed'",
        "  reference from 'ID', as '1'",
        "line 5: 'x y' is not an order's id",
        "a finished_at of an unfinished order is left out: line 3, 'In progress'",
        "not ordered at a panel, skipped: line 4",
        "1 order without a time of completion: if one is final at its first check, rules on "
        "order.finished_ago don't act on it",
        "2 orders have no service: rules on service.* can't apply to them; give --service, or a "
        "list with a column of the panel's services",
    ]
    assert result.stdout.splitlines() == [
        "2 orders to track, 1 not taken; nothing was sent",
        "submitted 2024-05-31 to 2024-06-01",
    ]
    assert daemon.requests == []


def test_a_column_is_named_and_the_dates_are_told(daemon: CannedDaemon) -> None:
    args = ("--file", "-", "--column", "order=Nr.", "--dates", "mdy")
    result = watcher(daemon, *args, stdin=b"ID,Nr.,Date\n1,700,05/06/2024\n")
    assert result.exit_code == 0
    [item] = daemon.asked(CALL)[0].body["orders"]
    assert (item["order"], item["submitted_at"]) == ("700", "2024-05-06T00:00:00Z")


@pytest.mark.parametrize("given", ["order", "order=", "nonsense=ID"])
def test_a_column_that_is_none(daemon: CannedDaemon, given: str) -> None:
    result = watcher(daemon, "--file", "-", "--column", given, stdin=b"1\n")
    assert result.exit_code == 2
    assert daemon.requests == []


def test_standard_input(daemon: CannedDaemon) -> None:
    result = watcher(daemon, "9", "--file", "-", stdin=b'{"order": 1}\n{"order": "2"}\n')
    assert result.exit_code == 0
    assert sent(daemon) == ["9", "1", "2"]


def test_an_empty_file_is_nothing_to_do(daemon: CannedDaemon) -> None:
    result = watcher(daemon, "--file", "-", stdin=b"")
    assert (result.exit_code, result.stdout) == (0, "0 orders tracked, 0 known already\n")
    assert daemon.asked(CALL) == []


def test_many_orders_go_in_parts(daemon: CannedDaemon) -> None:
    ids = [str(number) for number in range(12_345)]
    daemon.answers[CALL] = takes("0", "7000")
    result = watcher(daemon, "--file", "-", stdin="\n".join(ids).encode())
    assert [len(request.body["orders"]) for request in daemon.asked(CALL)] == [5000, 5000, 2345]
    assert sent(daemon) == ids
    assert "line 7001: order 7000: refused here" in result.stderr
    assert result.stdout == "12,343 orders tracked, 0 known already, 2 not taken\n"


def test_long_links_go_in_smaller_parts(daemon: CannedDaemon) -> None:
    lines = "".join(f"{number},{'ж' * 4000}\n" for number in range(1000))
    assert watcher(daemon, "--file", "-", stdin=f"id,link\n{lines}".encode()).exit_code == 0
    assert sent(daemon) == [str(number) for number in range(1000)]
    assert max(len(request.body["orders"]) for request in daemon.asked(CALL)) < 600


def test_a_daemon_that_goes_away_amid_it(daemon: CannedDaemon) -> None:
    def answer(request: Request) -> tuple[int, object]:
        return takes()(request) if len(daemon.asked(CALL)) == 1 else (200, "cut")

    daemon.answers[CALL] = answer
    result = watcher(daemon, "--file", "-", stdin=b"\n".join(b"%d" % n for n in range(6000)))
    assert result.exit_code == 3
    assert "5,000 orders tracked" in result.stdout
    assert "run the same again" in result.stderr


def test_a_panel_that_is_not_there_is_told_of_once(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/panels", PanelList([panel_view("a"), panel_view("b")]))
    result = watcher(daemon, "--file", "-", stdin=b"1\n2\n3\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "there is no panel 'genie'; there are: a, b\n"
    assert daemon.asked(CALL) == []


def test_a_token_that_is_wrong(daemon: CannedDaemon) -> None:
    daemon.refuse(CALL, 401, "unauthorized", "a token is required")
    result = watcher(daemon, "1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("a token is required (")


def test_progress_is_shown_on_a_terminal_only(daemon: CannedDaemon, tmp_path: Path) -> None:
    file = tmp_path / "orders.txt"
    file.write_text("\n".join(str(number) for number in range(6000)) + "\n7 [bold]8[/]\n")
    cause = "line 6001: '7 [bold]8[/]' is not an order's id\n"
    assert watcher(daemon, "--file", str(file), "--service", "7").stderr == cause
    shown = watcher(daemon, "--file", str(file), FORCE_COLOR="1", TERM="xterm", COLUMNS="80")
    assert "6,001 orders" in shown.stderr
    assert cause in shown.stderr
    assert shown.stdout == "6,000 orders tracked, 0 known already, 1 not taken\n"


def test_orders_are_sent_while_the_rest_is_still_to_come(
    daemon: CannedDaemon, tmp_path: Path
) -> None:
    pipe = tmp_path / "orders.jsonl"
    os.mkfifo(pipe)
    arrived = threading.Event()

    def answer(request: Request) -> tuple[int, TrackAnswer]:
        arrived.set()
        return takes()(request)

    def write() -> None:
        with pipe.open("wb") as stream:
            stream.write(b"".join(b'{"order":%d}\n' % number for number in range(6000)))
            stream.flush()
            early.append(arrived.wait(10))
            stream.write(b'{"order":"7000"}\n')

    early: list[bool] = []
    daemon.answers[CALL] = answer
    writer = threading.Thread(target=write)
    writer.start()
    result = watcher(daemon, "--file", str(pipe))
    writer.join()
    assert early == [True]
    assert (result.exit_code, sent(daemon)[-1]) == (0, "7000")


def test_ids_by_hand_get_their_service(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/panels/genie/services", {"services": []})
    result = watcher(daemon, "1", "2", "--service", "12 - Likes")
    assert (result.exit_code, result.stderr) == (0, "")
    [request] = daemon.asked(CALL)
    assert [item["service"] for item in request.body["orders"]] == ["12", "12"]


@pytest.mark.parametrize(
    "args", [("--service", "Likes"), ("--encoding", "klingon"), ("--service", "")]
)
def test_an_option_that_can_not_be(daemon: CannedDaemon, args: tuple[str, ...]) -> None:
    assert watcher(daemon, "1", *args).exit_code == 2
    assert daemon.requests == []


def test_services_that_the_panel_does_not_list_are_told_of(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/panels/genie/services", ServiceList([service("12")]))
    text = b"order,service\n1,12\n2,88\n3,88\n4,\n"
    result = watcher(daemon, "--file", "-", "--service", "77", stdin=text)
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1] == (
        "genie does not list these services: 88 (2), 77 (1); are they the panel's own numbers?"
    )


def test_a_completion_is_sent(daemon: CannedDaemon) -> None:
    text = b"order,service,completed at\n1,12,2024-05-31 12:00\n2,12,950\n"
    result = watcher(daemon, "--file", "-", stdin=text)
    assert result.exit_code == 0
    assert [item["finished_at"] for item in daemon.asked(CALL)[0].body["orders"]] == [
        "2024-05-31T12:00:00Z",
        None,
    ]
    assert "a finished_at that can't be read is left out: line 3" in result.stderr


def test_the_orders_of_another_panel_are_left_to_it(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/panels", PanelList([panel_view("genie"), panel_view("other")]))
    rows = (("1", "genie.com"), ("2", "other.com"), ("3", "else"), ("4", "genie.com"))
    lines = [f"{order},{name}" for order, name in rows]
    text = "\n".join(["external id,provider", *lines]).encode()
    result = watcher(daemon, "--file", "-", "--service", "7", stdin=text)
    assert (result.exit_code, sent(daemon)) == (0, ["1", "4"])
    assert result.stderr.splitlines()[1:] == [
        "of provider 'other.com', not genie; `watcher track other` takes these: line 3",
        "of provider 'else', not genie; skipped: line 4",
        "provider 'genie.com' is taken for genie: no other can be it",
    ]
    again = watcher(daemon, "--file", "-", "--provider", "ELSE", "--json", stdin=text)
    assert (again.exit_code, sent(daemon)) == (0, ["1", "4", "3"])
    assert json.loads(again.stdout)["notes"][0]["rows"] == 2


def test_orders_that_get_a_service_are_counted(daemon: CannedDaemon) -> None:
    daemon.put(CALL, TrackAnswer(0, 2, [], updated=1))
    assert watcher(daemon, "1", "2", "--service", "7").stdout == (
        "0 orders tracked, 2 known already (1 of them with more details now)\n"
    )

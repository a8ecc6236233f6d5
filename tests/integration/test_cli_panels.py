"""`watcher panels`, `services`, `rules`, and how the daemon is reached."""

import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.integration.cli_daemon import HOSTILE, CannedDaemon, now, panel_view
from watcher.web.panel_shapes import (
    DecisionView,
    Explanation,
    LessonView,
    PanelList,
    RuleList,
    RuleView,
    ServiceList,
    ServiceView,
)

SERVICE = ServiceView(
    service="12",
    name=HOSTILE,
    type="Default",
    category="Instagram",
    rate="0.90",
    min=10,
    max=100_000,
    refill=True,
    cancel=None,
    refill_disabled=None,
    gone_at=None,
)


def rule() -> RuleView:
    return RuleView(
        name="refill daily",
        action="refill",
        panels=["genie"],
        when="order.status == 'completed' && order.drop > 0.1",
        every=86400.0,
        attempts=30,
        per_hour=200,
        dry_run=True,
        evaluations=10_000,
        firings=5,
        failures=0,
        held={"genie": now() + timedelta(hours=1, minutes=1)},
    )


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        canned.put("GET /v1/panels", PanelList([panel_view("genie")]))
        canned.put("GET /v1/panels/genie/services", ServiceList([SERVICE]))
        canned.put("GET /v1/rules", RuleList([rule()]))
        yield canned


def test_panels(daemon: CannedDaemon) -> None:
    result = daemon.watcher("panels")
    assert result.exit_code == 0
    for word in ("genie", "up", "25.10 USD", "1234", "1m 15s", "2m"):
        assert word in result.stdout
    assert json.loads(daemon.watcher("panels", "--json").stdout)["panels"][0]["lag"] == 75.2


def test_what_a_services_orders_have_taught(daemon: CannedDaemon) -> None:
    lesson = LessonView(
        start_delay=310.0,
        duration={"100": 1800.0, "1000": 5700.0, "10000": 18000.0},
        orders=812.4,
        completed=0.91,
        partial=0.06,
        canceled=0.03,
    )
    taught = msgspec.structs.replace(SERVICE, learnt=lesson)
    daemon.put("GET /v1/panels/genie/services", ServiceList([taught]))
    (row,) = daemon.watcher("services", "genie").stdout.splitlines()[1:]
    for told in ("5m 10s", "1h 35m", "91%", "6%", "3%"):
        assert told in row


def test_services(daemon: CannedDaemon) -> None:
    result = daemon.watcher("services", "genie")
    assert result.exit_code == 0
    assert "[bold]x[/] :smile: �[31mred" in result.stdout
    assert "\x1b" not in result.stdout
    raw = daemon.watcher("services", "genie", "--json").stdout
    assert json.loads(raw)["services"][0]["name"] == HOSTILE
    assert "\x9b" not in raw


def taught(service: str, completed: float | None, **changed: Any) -> ServiceView:
    lesson = LessonView(
        start_delay=changed.pop("start", 310.0),
        duration={"1000": changed.pop("takes", 5700.0)},
        orders=812.4,
        completed=completed,
        partial=changed.pop("partial", 0.06),
        canceled=changed.pop("canceled", 0.03),
    )
    return msgspec.structs.replace(SERVICE, service=service, learnt=lesson, **changed)


SOME = [
    SERVICE,
    taught("2", 0.88, rate="1.50", start=60.0, partial=0.12, name="beta"),
    taught("10", 0.97, rate="0.40", start=9000.0, partial=0.01, refill=False, name="Alpha"),
    taught("9", None, rate=None, start=None, partial=None, refill=None, name="gamma"),
]


@pytest.mark.parametrize(
    ("column", "order"),
    [
        ("service", ["2", "9", "10", "12"]),
        ("completed", ["10", "2", "12", "9"]),
        ("partial", ["10", "2", "12", "9"]),
        ("starts", ["2", "10", "12", "9"]),
        ("price", ["10", "12", "2", "9"]),
        ("refill", ["12", "2", "10", "9"]),
        ("max", ["12", "2", "10", "9"]),
    ],
)
def test_services_are_sorted_with_the_best_first(
    daemon: CannedDaemon, column: str, order: list[str]
) -> None:
    daemon.put("GET /v1/panels/genie/services", ServiceList(SOME))
    rows = daemon.watcher("services", "genie", "--sort", column).stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == order
    raw = json.loads(daemon.watcher("services", "genie", "--sort", column, "--json").stdout)
    assert [service["service"] for service in raw["services"]] == order


def test_a_column_that_there_is_not(daemon: CannedDaemon) -> None:
    result = daemon.watcher("services", "genie", "--sort", "speed", COLUMNS="400")
    assert result.exit_code == 2
    for name in ("'service'", "'completed'", "'starts'", "'price'"):
        assert name in result.stderr
    assert daemon.requests == []


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_the_columns_that_matter_fit_a_small_window(daemon: CannedDaemon, width: int) -> None:
    many = [taught(f"1{n}", 0.88, start=750.0 * n, rate=f"{n}.27819") for n in range(100, 110)]
    daemon.put("GET /v1/panels/genie/services", ServiceList(many))
    head, row, *_ = daemon.watcher("services", "genie", COLUMNS=str(width)).stdout.splitlines()
    assert max(len(head), len(row)) <= width
    for told in ("1100", "20h 50m", "1h 35m", "88%", "6%", "3%", "yes", "100.27819"):
        assert told in row
    words = ("id", "name", "starts", "1k in", "compl.", "part.", "canc.", "refill", "price")
    if width == 80:
        assert re.split(r"  +", head.strip()) == [*words[:3], "1k in", *words[4:]]
    if width >= 120:
        assert "1,000 take" in head


def test_rules(daemon: CannedDaemon) -> None:
    result = daemon.watcher("rules")
    for words in (
        "refill daily",
        "refill (dry run)",
        "order.status == 'completed' && order.drop > 0.1",
        "once in 1d, 30 times at most",
        "200 an hour",
        "10,000 evaluations, fired 5 times",
        "genie (resumes in 1h",
    ):
        assert words in result.stdout
    assert json.loads(daemon.watcher("rules", "--json").stdout)["rules"][0]["per_hour"] == 200


def test_rules_explained(daemon: CannedDaemon) -> None:
    decision = DecisionView(
        rule="refill daily",
        action="refill",
        fires=False,
        reason="value_unknown",
        detail="the panel has not reported order.drop",
        again_at=None,
    )
    daemon.put("GET /v1/rules/explain", Explanation([decision]))
    result = daemon.watcher("rules", "--explain", "genie", "23501")
    assert daemon.requests[0].query == {"panel": "genie", "order": "23501"}
    assert "no     value_unknown  the panel has not reported order.drop" in result.stdout
    raw = json.loads(daemon.watcher("rules", "--explain", "genie", "1", "--json").stdout)
    assert raw["decisions"][0]["fires"] is False
    assert daemon.watcher("rules", "--explain", "genie").exit_code == 2


def test_lists_may_be_empty(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/rules", RuleList([]))
    daemon.put("GET /v1/panels/genie/services", ServiceList([]))
    assert "no rules" in daemon.watcher("rules").stdout
    assert "no services" in daemon.watcher("services", "genie").stdout


def test_a_panel_that_is_not_there(daemon: CannedDaemon) -> None:
    result = daemon.watcher("services", "other")
    assert (result.exit_code, result.stderr) == (1, "there is no such thing\n")


def test_the_token_of_a_file_or_the_environment(daemon: CannedDaemon, tmp_path: Path) -> None:
    file = tmp_path / "api.token"
    file.write_text("from-file\n")
    file.chmod(0o600)
    daemon.watcher("panels")
    daemon.watcher("panels", WATCHER_TOKEN="from-env")
    daemon.watcher("panels", "--token-file", str(file), WATCHER_TOKEN="from-env")
    given = [request.headers.get("Authorization") for request in daemon.requests]
    assert given == [None, "Bearer from-env", "Bearer from-file"]


@pytest.mark.parametrize(
    ("content", "mode", "cause"),
    [
        (b"secret", 0o640, "can be read by others"),
        (b"", 0o600, "is empty"),
        (b"\xff\xfesecret", 0o600, "is not text"),
        ("секрет".encode(), 0o600, "characters that no token has"),
        (None, 0, "No such file"),
    ],
)
def test_a_token_file_that_can_not_be_used(
    daemon: CannedDaemon, tmp_path: Path, content: bytes | None, mode: int, cause: str
) -> None:
    file = tmp_path / "t"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    result = daemon.watcher("panels", "--token-file", str(file), COLUMNS="300")
    assert result.exit_code == 2
    assert cause in result.stderr
    assert "secret" not in result.stderr
    assert daemon.requests == []


def test_a_daemon_that_wants_a_token(daemon: CannedDaemon) -> None:
    daemon.refuse("GET /v1/panels", 401, "unauthorized", "a token is required")
    result = daemon.watcher("panels")
    assert result.exit_code == 1
    assert "set WATCHER_TOKEN" in result.stderr


def test_no_daemon(daemon: CannedDaemon) -> None:
    result = daemon.watcher("panels", "--url", "http://127.0.0.1:1")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == (
        "no daemon answers at http://127.0.0.1:1: "
        "start it with `watcher run`, or name another with --url\n"
    )
    assert daemon.watcher("panels", "--url", "http://watcher.invalid").exit_code == 3


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (200, b"[]"), (200, b"\xff"), (502, b"<html>"), (200, b""), (302, b"")],
)
def test_what_answers_is_something_else(daemon: CannedDaemon, status: int, body: bytes) -> None:
    daemon.put("GET /v1/panels", body, status)
    daemon.headers = {"Location": f"{daemon.url}/v1/rules"}
    result = daemon.watcher("panels", WATCHER_TOKEN="secret")
    assert result.exit_code == 3
    assert "is not watcher" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    # A redirect is not followed: it would take the token elsewhere.
    assert len(daemon.requests) == 1


def test_an_answer_of_another_shape(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/panels", {"panels": [{"panel": 5}]})
    result = daemon.watcher("panels")
    assert result.exit_code == 3
    assert "does not answer as this version does" in result.stderr


@pytest.mark.parametrize("call", ["cut", "half"])
def test_an_answer_that_breaks_off(daemon: CannedDaemon, call: str) -> None:
    daemon.put("GET /v1/panels", call)
    result = daemon.watcher("panels")
    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 1


def test_a_proxy_is_not_asked_for_this_machine(daemon: CannedDaemon) -> None:
    proxy = {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    assert daemon.watcher("panels", **proxy).exit_code == 0


def test_an_argument_that_is_no_text(daemon: CannedDaemon) -> None:
    result = daemon.watcher("services", os.fsdecode(b"\xff"))
    assert (result.exit_code, result.stderr) == (2, "an argument is not UTF-8\n")

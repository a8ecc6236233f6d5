"""`watcher notify` and `watcher events`: who is told, tests of it, and telling once more."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.integration.cli_daemon import HOSTILE, CannedDaemon, now
from watcher.web.delivery_shapes import (
    DeadList,
    DeadView,
    Delivered,
    EventsList,
    EventsView,
    NotifyList,
    NotifyView,
    ReplayAnswer,
)


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        yield canned


def a_target(name: str, error: str | None = None) -> NotifyView:
    return NotifyView(
        name=name,
        on=["balance_low"],
        queued=3,
        given_up=1,
        arrived_at=now() - timedelta(minutes=5),
        error=error,
    )


def a_shop() -> EventsView:
    return EventsView(
        name="shop",
        on=["status"],
        panels=None,
        behind=12,
        orders_waiting=2,
        dead=1,
        arrived_at=None,
        paused_until=now() + timedelta(minutes=30, seconds=30),
        error=HOSTILE,
    )


def test_who_is_told(daemon: CannedDaemon):
    daemon.put("GET /v1/notify", NotifyList([a_target("phone", HOSTILE)]))
    result = daemon.watcher("notify")
    assert result.exit_code == 0
    assert "phone" in result.stdout
    assert "balance_low" in result.stdout
    assert "\x1b" not in result.stdout
    listed = json.loads(daemon.watcher("notify", "--json").stdout)
    assert listed["targets"][0]["queued"] == 3
    daemon.put("GET /v1/notify", NotifyList([]))
    assert "no [[notify]]" in daemon.watcher("notify").stdout


def test_all_targets_are_tested_or_those_that_are_named(daemon: CannedDaemon):
    daemon.put("GET /v1/notify", NotifyList([a_target("phone"), a_target("mail")]))
    daemon.put("POST /v1/notify/phone/test", Delivered("phone"))
    daemon.refuse("POST /v1/notify/mail/test", 502, "undelivered", "mail: HTTP 500")
    result = daemon.watcher("notify", "test")
    assert (result.exit_code, result.stdout) == (1, "phone: delivered\n")
    assert result.stderr == "mail: HTTP 500\n"
    assert daemon.watcher("notify", "test", "phone").exit_code == 0
    daemon.put("GET /v1/notify", NotifyList([]))
    nobody = daemon.watcher("notify", "test")
    assert (nobody.exit_code, nobody.stderr) == (
        1, "nobody is notified: the configuration has no [[notify]]\n",
    )  # fmt: skip


def test_programs_that_are_told(daemon: CannedDaemon):
    daemon.put("GET /v1/events", EventsList([a_shop()]))
    result = daemon.watcher("events")
    assert result.exit_code == 0
    assert "12" in result.stdout
    assert "in 30m" in result.stdout
    assert "\x1b" not in result.stdout
    assert json.loads(daemon.watcher("events", "--json").stdout)["targets"][0]["dead"] == 1
    daemon.put("GET /v1/events", EventsList([]))
    assert "no [[events]]" in daemon.watcher("events").stdout


def test_dead_letters(daemon: CannedDaemon):
    daemon.put(
        "GET /v1/events/shop/dead", DeadList([DeadView(7, "smm", "23501", now(), "HTTP 500")])
    )
    result = daemon.watcher("events", "dead", "shop")
    assert "23501" in result.stdout
    assert "HTTP 500" in result.stdout
    assert json.loads(daemon.watcher("events", "dead", "shop", "--json").stdout)["dead"]
    daemon.put("GET /v1/events/shop/dead", DeadList([]))
    assert daemon.watcher("events", "dead", "shop").stdout == "no dead letters\n"


def test_telling_again(daemon: CannedDaemon):
    call = "POST /v1/events/shop/replay"
    daemon.put(call, ReplayAnswer("shop", 2), 202)

    def body(*options: str) -> dict[str, object]:
        result = daemon.watcher("events", "replay", "shop", *options)
        assert result.exit_code == 0, result.output
        return daemon.asked(call)[-1].body

    assert body("--dead") == {"dead": True}
    assert body("--order", "smm", "7") == {"order": {"panel": "smm", "order": "7"}}
    at = "2026-07-01T12:00+00:00"
    assert datetime.fromisoformat(str(body("--since", at)["since"])) == datetime.fromisoformat(at)
    since = datetime.fromisoformat(str(body("--since", "2h")["since"]))
    assert timedelta(hours=2) <= now() - since < timedelta(hours=2, minutes=1)


@pytest.mark.parametrize(
    "options", [(), ("--dead", "--since", "2h"), ("--since", "yesterday"), ("--since", "9999999d")]
)
def test_what_is_no_replay(daemon: CannedDaemon, options: tuple[str, ...]):
    result = daemon.watcher("events", "replay", "shop", *options)
    assert result.exit_code == 2
    assert daemon.requests == []

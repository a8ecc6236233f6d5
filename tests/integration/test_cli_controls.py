"""`watcher pause`, `resume`, `attention`, `snooze`, `audit`, and `resolve` of several."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.cli_daemon import CannedDaemon, action_view, now
from watcher.web.control_shapes import RefusedItem, ResolveManyAnswer

TOLD = {"message": "reads of p are paused by token", "pauses": []}


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        yield canned


@pytest.mark.parametrize(
    ("options", "what"),
    [((), "all"), (("--reads",), "reads"), (("--actions",), "actions")],
)
def test_pause_and_resume_a_panel(daemon: CannedDaemon, options: tuple[str], what: str) -> None:
    for verb in ("pause", "resume"):
        daemon.put(f"POST /v1/panels/p/{verb}", TOLD)
        result = daemon.watcher(verb, "p", *options)
        assert (result.exit_code, result.stdout) == (0, f"{TOLD['message']}\n")
        assert daemon.requests[-1].body["what"] == what


def test_a_pause_has_an_end_and_a_reason(daemon: CannedDaemon) -> None:
    daemon.put("POST /v1/panels/p/pause", TOLD)
    daemon.watcher("pause", "p", "--for", "2h", "--reason", "they move")
    body = daemon.requests[-1].body
    left = datetime.fromisoformat(body["until"]) - datetime.now(UTC)
    assert timedelta(hours=1.9) < left <= timedelta(hours=2)
    assert body["reason"] == "they move"
    daemon.watcher("pause", "p", "--until", "2031-12-24 18:00")
    assert daemon.requests[-1].body["until"] == "2031-12-24T18:00:00+00:00"


def test_pause_and_resume_a_rule(daemon: CannedDaemon) -> None:
    for verb in ("pause", "resume"):
        daemon.put(f"POST /v1/rules/refill%20all/{verb}", TOLD)
        assert daemon.watcher(verb, "--rule", "refill all").exit_code == 0


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        ((), "give a panel, or --rule with a rule"),
        (("p", "--rule", "r"), "give a panel or --rule, not both"),
        (("p", "--for", "soon"), "'soon' is not a time as 30m, 2h or 3d"),
        (("p", "--until", "soon"), "'soon' is not a time as"),
        (("p", "--for", "2h", "--until", "2031-12-24"), "give --for or --until, not both"),
    ],
)
def test_a_wrong_pause_is_refused(daemon: CannedDaemon, args: tuple[str], fault: str) -> None:
    result = daemon.watcher("pause", *args)
    assert result.exit_code == 2
    assert fault in " ".join(result.stderr.replace("│", " ").split())
    assert not daemon.requests


def an_item(**changed: Any) -> dict[str, Any]:
    item = {
        "key": "panel_down/p/",
        "kind": "panel_down",
        "severity": "critical",
        "since": now().isoformat(),
        "panel": "p",
        "subject": "",
        "title": "Panel down",
        "sentence": "no check has succeeded",
        "todo": "Look.",
        "command": "watcher panels retry p",
        "link": None,
        "doc": "page.md",
    }
    return {**item, **changed}


def test_attention_and_snooze(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/attention", {"attention": [an_item()], "next": None})
    result = daemon.watcher("attention")
    assert "panel_down/p/" in result.stdout
    assert "watcher panels retry p" in result.stdout
    daemon.put("POST /v1/attention/snooze", {"message": "snoozed", "pauses": []})
    assert daemon.watcher("snooze", "panel_down/p/", "--reason", "known").stdout == "snoozed\n"
    assert daemon.requests[-1].body == {"key": "panel_down/p/", "until": None, "reason": "known"}
    daemon.put("POST /v1/attention/wake", {"message": "awake", "pauses": []})
    assert daemon.watcher("snooze", "panel_down/p/", "--end").stdout == "awake\n"


def test_audit(daemon: CannedDaemon) -> None:
    deed = {"id": 1, "at": now().isoformat(), "by": "token", "via": "page", "did": "refill"}
    deed |= {"panel": "p", "subject": "23501", "detail": None}
    daemon.put("GET /v1/audit", {"audit": [deed], "next": None})
    result = daemon.watcher("audit", "--by", "token", "--since", "7d")
    assert result.exit_code == 0, result.output
    assert {"token", "page", "refill", "23501"} <= set(result.stdout.split())
    assert daemon.requests[-1].query["by"] == "token"
    assert "since" in daemon.requests[-1].query


def test_several_actions_are_resolved(daemon: CannedDaemon) -> None:
    settled = [action_view(17, state="rejected"), action_view(18, state="rejected")]
    refused = [RefusedItem("19", "there is no action 19")]
    daemon.put("POST /v1/resolve", ResolveManyAnswer(settled, refused))
    result = daemon.watcher("resolve", 17, 18, 19, "rejected")
    assert (result.exit_code, result.stderr) == (1, "action 19: there is no action 19\n")
    assert result.stdout == "action 17 is rejected\naction 18 is rejected\n"
    asked = [{"id": number, "state": "rejected"} for number in (17, 18, 19)]
    assert daemon.requests[-1].body == {"actions": asked}
    assert daemon.watcher("resolve", 17, 18, "accepted", "--result", "5").exit_code == 2

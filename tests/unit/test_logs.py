"""Log lines: one event a line whatever it holds, and no secret in any of them."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watcher import logs

KEY = 'k3y/with "odd" + letters'
HOSTILE = (
    "fine\n2026-01-01 [info ] orders.deleted count=9\r\x1b[2J\x1b]0;x\x07 \u202egnp\u2066 \x85 "
    "\u2028 \x9b31m \u200b \ud83d"
)
FORMS = ("json", "console")


@pytest.fixture(autouse=True)
def _secrets() -> Iterator[None]:
    logs.redaction.know([KEY, "short"])
    yield
    logs.redaction.know([])


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was logged; split at every kind of line break that there is."""
    return capsys.readouterr().err.splitlines()


def only_plain(text: str) -> bool:
    return all(character.isprintable() for character in text)


@pytest.mark.parametrize("form", FORMS)
def test_a_field_can_forge_no_line(form: str, capsys):
    logs.configure("info", form)
    structlog.get_logger().info(
        "panel.failing", cause=HOSTILE, nested={HOSTILE: [HOSTILE, {"x": (HOSTILE,)}]}
    )
    found = lines(capsys)
    assert len(found) == 1
    assert only_plain(found[0])


@pytest.mark.parametrize("form", FORMS)
def test_a_library_can_forge_no_line(form: str, capsys):
    logs.configure("info", form)
    logging.getLogger("aiohttp.server").error("bad: %s", HOSTILE)
    found = lines(capsys)
    assert len(found) == 1
    assert only_plain(found[0])


@pytest.mark.parametrize("form", FORMS)
@given(text=st.text(st.characters(codec=None)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_no_text_forges_a_line(form: str, capsys, text: str):
    logs.configure("info", form)
    structlog.get_logger().info(text, field=text, more=[text])
    found = lines(capsys)
    assert len(found) == 1
    assert only_plain(found[0])


@pytest.mark.parametrize("form", FORMS)
def test_an_exceptions_text_can_forge_no_line(form: str, capsys):
    logs.configure("info", form)
    fail(HOSTILE)
    found = lines(capsys)
    if form == "json":
        (line,) = found
        assert "Traceback" in json.loads(line)["exception"]
    else:
        assert all(line.startswith("  | ") for line in found[1:])
    assert all(map(only_plain, found))


@pytest.mark.parametrize("form", FORMS)
def test_a_traceback_shows_no_variable(form: str, capsys, recwarn):
    logs.configure("info", form)
    fail("it broke")
    text = "\n".join(lines(capsys))
    assert "ValueError: it broke" in text
    assert "precious" not in text.replace("precious =", "")
    assert not recwarn.list


@pytest.mark.parametrize("form", FORMS)
def test_no_secret_is_written_wherever_it_stands(form: str, capsys):
    logs.configure("info", form)
    log = structlog.get_logger()
    log.info(
        KEY,
        plain=f"a {KEY} b",
        nested={KEY: [KEY, (KEY, {"deep": {KEY}})]},
        error=ValueError(KEY),
        data=KEY.encode(),
        url="https://panel.example/?key=k3y%2Fwith%20%22odd%22%20%2B%20letters",
        form="key=k3y%2Fwith+%22odd%22+%2B+letters",
        answer=json.dumps({"key": KEY}),
    )
    fail(KEY)
    logging.getLogger("library").warning("key %s", KEY, extra={"key": KEY})
    text = "\n".join(lines(capsys))
    assert "odd" not in text
    assert "k3y" not in text
    assert "…" in text or "\\u2026" in text


def test_deep_values_end_somewhere(capsys):
    logs.configure("info", "json")
    value: list = [KEY]
    for _ in range(100):
        value = [value]
    structlog.get_logger().info("deep", value=value)
    (line,) = lines(capsys)
    assert "odd" not in line


def fail(message: str) -> None:
    precious = "precious" + "!"
    try:
        raise ValueError(message)
    except ValueError:
        structlog.get_logger().exception("task.failed", size=len(precious))


def test_an_escape_needs_no_file_that_may_not_be_opened_any_more():
    held = "assert 'encodings.unicode_escape' in sys.modules"
    subprocess.run([sys.executable, "-c", f"import sys, watcher.logs; {held}"], check=True)


@pytest.mark.parametrize("form", FORMS)
def test_a_log_that_can_not_be_written_stops_nothing(form: str, monkeypatch):
    """Else a full disk would end the very tasks that are to go on once there is room."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        stream = io.TextIOWrapper(full, write_through=True)
        monkeypatch.setattr("sys.stderr", stream)
        logs.configure("info", form)
        structlog.get_logger().info("daemon.started")
        with pytest.raises(OSError, match="No space left"):
            stream.write("without that care")


def test_journald_gets_priorities(capfd: pytest.CaptureFixture[str], monkeypatch):
    stream = os.fstat(sys.stderr.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{stream.st_dev}:{stream.st_ino}")
    logs.configure("info", "auto")
    for level in ("info", "warning", "error"):
        getattr(structlog.get_logger(), level)("an.event")
    logging.getLogger("library").warning("from elsewhere")
    lines = capfd.readouterr().err.splitlines()
    assert [line[:3] for line in lines] == ["<6>", "<4>", "<3>", "<4>"]
    assert [json.loads(line[3:])["event"] for line in lines[:3]] == ["an.event"] * 3


def test_a_stream_that_is_not_the_journal_gets_none(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    logs.configure("info", "json")
    structlog.get_logger().info("an.event")
    assert json.loads(capfd.readouterr().err)["event"] == "an.event"


def test_lines_of_one_event_are_limited_and_the_rest_counted() -> None:
    now = [0.0]
    limit = logs.LineLimit(clock=lambda: now[0])

    def write(event: str) -> dict[str, Any] | None:
        try:
            return dict(limit(None, "error", {"event": event}))
        except structlog.DropEvent:
            return None

    written = [write("web.failed") for _ in range(int(logs.MOST_LINES) + 30)]
    assert sum(line is not None for line in written) == logs.MOST_LINES
    assert write("another") == {"event": "another"}
    now[0] = 1 / logs.LINES_A_SECOND
    assert write("web.failed") == {"event": "web.failed", "lines_dropped": 30}
    assert write("web.failed") is None
    now[0] = 3600.0
    assert write("web.failed") == {"event": "web.failed", "lines_dropped": 1}
    assert write("web.failed") == {"event": "web.failed"}


def test_the_events_that_are_counted_are_limited() -> None:
    limit = logs.LineLimit(clock=lambda: 0.0)
    for number in range(5000):
        limit(None, "error", {"event": f"a text of a library {number}"})
    assert len(limit._events) == 1000

"""What is printed: safe, readable, and no wider than the window."""

import io
import json
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from watcher.cli.output import (
    ago,
    moment,
    show_json,
    show_json_pages,
    span,
    stamp,
    warn,
    zone_words,
)
from watcher.cli.tables import Column, show_facts, show_table
from watcher.common.wording import clean, counted

NOW = datetime(2024, 5, 31, 12, tzinfo=UTC)
COLUMNS = (
    Column("order"),
    Column("panel", drop=1),
    Column("note", drop=2, flexible=True),
    Column("why", drop=3, wraps=True),
)


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@given(st.text())
def test_no_text_controls_the_terminal(text: str) -> None:
    kept = clean(text)
    kept.encode()
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in kept)
    assert not set(kept) & set("\u202e\u2066\u2028")


def test_emoji_stay_whole() -> None:
    assert clean("👨‍👩‍👧 é") == "👨‍👩‍👧 é"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0s"),
        (59.6, "1m"),
        (61, "1m 1s"),
        (3600, "1h"),
        (3605, "1h"),
        (90061, "1d 1h"),
        (86400 * 30, "30d"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_times() -> None:
    assert ago(NOW - timedelta(hours=3), NOW) == "3h ago"
    assert ago(NOW + timedelta(hours=3), NOW) == "in 3h"
    assert ago(NOW, NOW) == "now"
    assert ago(None) == moment(None) == stamp(None) == ""


@pytest.mark.parametrize(
    ("place", "utc", "shown", "words"),
    [
        ("Asia/Kolkata", "", "2024-05-31 17:30:00", "local, UTC+05:30 now"),
        ("America/Phoenix", "", "2024-05-31 05:00:00", "local, UTC-07:00 now"),
        ("Asia/Kolkata", "1", "2024-05-31 12:00:00", "UTC"),
        ("UTC", "", "2024-05-31 12:00:00", "UTC"),
    ],
)
def test_times_are_local_unless_utc_is_wanted(
    place: str, utc: str, shown: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", place)
    monkeypatch.setenv("WATCHER_UTC", utc)
    time.tzset()
    try:
        assert stamp(NOW) == shown
        assert moment(NOW).startswith(f"{shown} (")
        assert zone_words() == words
    finally:
        monkeypatch.undo()
        time.tzset()


def test_counts() -> None:
    assert [counted(n, "order") for n in (0, 1, 2000)] == ["0 orders", "1 order", "2,000 orders"]


def test_nothing_is_cut_where_nobody_looks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    show_table(COLUMNS, [("1", "genie", "x" * 300, "y " * 300)])
    line = printed(capsys)[1]
    assert "x" * 300 in line
    assert "y " * 299 in line


@pytest.mark.parametrize("width", range(8, 80, 3))
def test_a_table_fits_the_window(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    show_table(COLUMNS, [("235010", "genie", "説明" * 30, "because of this and that"), ("7",) * 4])
    lines = printed(capsys)
    assert all(cell_len(line) <= width for line in lines)
    assert lines[1].startswith("235010")
    assert ("genie" in lines[1]) == (width >= 13)


def test_a_text_that_is_cut_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    show_table(COLUMNS[:3], [("1", "genie", "long " * 20)])
    assert printed(capsys)[1].endswith("…")


def test_a_column_that_says_nothing_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(COLUMNS, [("1", None, "", None)])
    assert printed(capsys)[0].split() == ["order"]


def test_facts_leave_out_what_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    show_facts([("order", "[bold]7[/]"), ("charge", None), ("remains", 0), ("held", [])])
    assert [line.split() for line in printed(capsys)] == [["order", "[bold]7[/]"], ["remains", "0"]]


@given(st.text())
def test_json_is_whole_and_safe(text: str) -> None:
    before, sys.stdout = sys.stdout, io.StringIO()
    try:
        show_json({"name": text.encode("utf-8", "replace").decode()})
        raw = sys.stdout.getvalue()
    finally:
        sys.stdout = before
    assert json.loads(raw) == {"name": text.encode("utf-8", "replace").decode()}
    assert not any(127 <= ord(c) < 160 or ord(c) == 27 for c in raw)


@pytest.mark.parametrize(
    "pages", [[([], None)], [([1], None)], [([1, 2], "2"), ([3], None)], [([1], "2"), ([], "9")]]
)
def test_pages_are_one_document(
    pages: list[tuple[list[int], str | None]], capsys: pytest.CaptureFixture[str]
) -> None:
    show_json_pages("orders", pages)
    every = [item for items, _ in pages for item in items]
    assert json.loads(capsys.readouterr().out) == {"orders": every, "next": pages[-1][1]}


@pytest.mark.parametrize(("on_terminal", "cut"), [(True, 20), (False, 1000)])
def test_lines_break_between_words_where_somebody_reads_them(on_terminal: bool, cut: int) -> None:
    told = io.StringIO()
    console = Console(file=told, force_terminal=on_terminal, no_color=True, width=20)
    line = "the panel answers at its usual address, and its key is good"
    warn(line, console=console)
    lines = told.getvalue().splitlines()
    assert " ".join(text.rstrip() for text in lines) == line
    assert max(map(len, lines)) <= cut
    assert (len(lines) > 1) == on_terminal

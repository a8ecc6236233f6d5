"""`watcher top`: panels and the last changes on one screen."""

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from watcher.cli.api_client import ApiClient, Query, Unreachable, path_of
from watcher.cli.command import command
from watcher.cli.options import Json, Utc
from watcher.cli.output import ago, output, show_json, span, use_utc, zone
from watcher.cli.panels import details, state_word
from watcher.cli.show import changes_text
from watcher.cli.tables import Column, table_lines
from watcher.common.wording import clean, counted
from watcher.daemon.attention_kinds import Severity
from watcher.web.panel_shapes import AttentionList, AttentionView, PanelView
from watcher.web.shapes import ChangeView, HistoryList

if TYPE_CHECKING:  # imported late, as in output.py
    from rich.console import Console
    from rich.text import Text

_CHANGES = 100  # the most that a tall window shows
_SAID_ALREADY = frozenset({"status_text", "phase", "finished_at"})  # by the status
_STYLES = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.INFO: "dim"}
_QUIT = frozenset("qQ\x03\x04")

_PANELS = (
    Column("panel"),
    Column("state"),
    Column("lag", right=True),
    Column("due", drop=1, right=True),
    Column("open", drop=2, right=True),
    Column("a minute", drop=4, right=True),
    Column("balance", drop=3, right=True),
    Column("stalled", drop=5, right=True),
    Column("unresolved", drop=6, right=True),
    Column("guarded", drop=8, right=True),
    Column("answered", drop=7, right=True),
    Column("problem", drop=9, flexible=True),
)
_LAST = (
    Column("ago", right=True),
    Column("panel", drop=1),
    Column("order"),
    Column("change", flexible=True),
)


class TopData(msgspec.Struct, frozen=True):
    """The daemon's state at one moment."""

    attention: list[AttentionView]
    panels: list[PanelView]
    last: list[ChangeView]
    at: datetime


@command("Panels and database", examples=("watcher top", "watcher top --every 5 --utc"))
def top(
    client: ApiClient,
    every: Annotated[
        float,
        typer.Option("--every", metavar="SECONDS", min=0.2, help="Seconds between two looks."),
    ] = 2.0,
    utc: Utc = False,
    json: Json = False,
) -> None:
    """Watch panels, lag, attention and what changed last; q ends it. In a pipe: once."""
    if utc:
        use_utc()
    data = _fetch(client)
    if json:
        lines = [attention_line(item) for item in data.attention]
        show_json({"attention": lines, "panels": data.panels})
        return
    console = output()
    if not (console.is_terminal and sys.stdin.isatty()):
        for line in frame(console, data, None):
            console.print(line, soft_wrap=True)
        return
    _watch(client, console, data, every)


def attention_line(item: AttentionView) -> str:
    """Return one line: what, where, and the command that helps."""
    place = f" at {item.panel}" if item.panel else ""
    command = f" (`{item.command}`)" if item.command else ""
    return f"{item.title}{place}: {item.sentence}{command}"


def frame(
    console: "Console", data: TopData, height: int | None, problem: str | None = None
) -> list["Text"]:
    """The screen's lines: no more than `height`, None is as many as there are.

    Each part gets what room it needs; what changed last gets what is left.
    """
    from rich.text import Text

    panels, room = data.panels, 1_000_000 if height is None else height
    opened, due = sum(p.orders_open for p in panels), sum(p.orders_due for p in panels)
    clock = f"{data.at.astimezone(zone()):%H:%M:%S}{' UTC' if zone() else ''}"
    title = f"watcher  {counted(opened, 'open order')}, {due:,} due  {clock}"
    lines = [Text(title, style="bold")]
    if problem is not None:
        lines.append(Text(clean(problem), style="bold red"))
    cares = [
        Text(clean(attention_line(item)), style=_STYLES[item.severity]) for item in data.attention
    ]
    cares = cares or [Text("nothing needs attention", style="green")]
    parts = (cares, table_lines(console, _PANELS, [_panel_row(panel) for panel in panels]))
    for part in parts:
        # Half of what is left at the most, so that each part has some.
        lines += [Text(""), *_shortened(part, (room - len(lines)) // 2 if height else len(part))]
    left = room - len(lines) - 1
    if data.last and left >= 2:
        rows = [_change_row(change) for change in data.last[: left - 1]]
        lines += [Text(""), *table_lines(console, _LAST, rows)]
    for line in lines:
        line.truncate(console.width, overflow="ellipsis")
    return lines[:room]


def _shortened(lines: list["Text"], most: int) -> list["Text"]:
    from rich.text import Text

    if len(lines) <= max(most, 2):
        return lines
    kept = max(most, 2) - 1
    return [*lines[:kept], Text(f"and {len(lines) - kept:,} more", style="dim")]


def _panel_row(panel: PanelView) -> tuple[object, ...]:
    return (
        panel.panel,
        state_word(panel),
        None if panel.lag is None else span(panel.lag),
        panel.orders_due,
        panel.orders_open,
        f"{panel.requests_per_minute:.0f}",
        f"{panel.balance or ''} {panel.currency or ''}".strip() or None,
        panel.orders_stalled,
        panel.actions_unresolved,
        panel.orders_guarded,
        ago(panel.last_success_at) or "never",
        "; ".join(details(panel)) or None,
    )


def _change_row(change: ChangeView) -> tuple[object, ...]:
    told = {name: values for name, values in change.changes.items() if name not in _SAID_ALREADY}
    return ago(change.at), change.panel, change.order, changes_text(told or change.changes)


def _fetch(client: ApiClient) -> TopData:
    query: Query = {"newest": "true", "limit": _CHANGES}
    last = client.shaped(client.get(path_of("history"), query), HistoryList).history
    items = client.shaped(client.get(path_of("attention")), AttentionList).attention
    return TopData(items, client.panels(), last, datetime.now(UTC))


def _watch(client: ApiClient, console: "Console", data: TopData, every: float) -> None:
    from rich.console import Group
    from rich.live import Live

    problem: str | None = None
    looked = time.monotonic()
    with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(Group(*frame(console, data, console.height, problem)), refresh=True)
            if pressed(max(0.0, looked + every - time.monotonic())):
                return
            if time.monotonic() < looked + every:
                continue  # the window has another size
            try:
                data, problem = _fetch(client), None
            except Unreachable as error:
                problem = str(error)
            looked = time.monotonic()


@contextmanager
def _keys() -> Iterator["_Pressed"]:
    """Read keys as they are pressed, and wake up when the window changes its size."""
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    awake, waking = socket.socketpair()
    for end in (awake, waking):
        end.setblocking(False)
    resized = signal.signal(signal.SIGWINCH, lambda number, stack: None)
    woken = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    try:
        tty.setcbreak(keyboard)
        yield _Pressed(keyboard, awake)
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGWINCH, resized)
        awake.close()
        waking.close()


class _Pressed:
    """Waits for a key, a new size of the window, or the time; whether it is to end."""

    def __init__(self, keyboard: int, awake: socket.socket) -> None:
        self._keyboard = keyboard
        self._awake = awake

    def __call__(self, seconds: float) -> bool:
        awake = self._awake.fileno()
        ready = select.select([self._keyboard, awake], [], [], seconds)[0]
        if awake in ready:
            self._awake.recv(1024)
        if self._keyboard not in ready:
            return False
        typed = os.read(self._keyboard, 1024).decode(errors="replace")
        return not typed or bool(_QUIT & set(typed))

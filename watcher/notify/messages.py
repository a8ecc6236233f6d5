"""The messages to people: title, text, and JSON for programs. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from watcher.alerts import AlertNotice, AlertStage

_MOST_LINES, _LONGEST_LINE, _LONGEST_TEXT = 20, 300, 1500  # what chats and push services accept


class NotifyMessage(msgspec.Struct, frozen=True):
    """One message. The title is ASCII: it may become a header."""

    title: str
    text: str
    body: bytes  # as JSON, with each notice


def letter(notices: Sequence[AlertNotice], now: float) -> NotifyMessage:
    """Return one message with all these notices."""
    first, more = notices[0], len(notices) - 1
    title = f"watcher: {_head(first)}" + (f", and {more} more" if more else "")
    return _letter("notification", title, _text(notices), notices, now)


def trial(name: str, now: float) -> NotifyMessage:
    """Return a test message."""
    text = f"This is a test of target {name}: messages arrive."
    return _letter("test", "watcher: a test", text, (), now)


def _letter(
    kind: str, title: str, text: str, notices: Sequence[AlertNotice], now: float
) -> NotifyMessage:
    title = title.encode("ascii", "replace").decode()
    document = {
        "type": kind,
        "timestamp": _moment(now),
        "title": title,
        "text": text,
        "notices": [_plain(notice) for notice in notices],
    }
    return NotifyMessage(title, text, msgspec.json.encode(document))


def _text(notices: Sequence[AlertNotice]) -> str:
    lines: list[str] = []
    for notice in notices[:_MOST_LINES]:
        line = _line(notice)
        if sum(map(len, lines)) + len(line) > _LONGEST_TEXT:
            break
        lines.append(line)
    left = len(notices) - len(lines)
    return "\n".join([*lines, *([f"and {left} more"] if left else [])])


def _line(notice: AlertNotice) -> str:
    lasted = ""
    if notice.stage in (AlertStage.LASTS, AlertStage.OVER):
        lasted = f" ({_hours(notice.at - notice.began_at)})"
    line = f"{_head(notice)}{lasted}"
    if notice.stage is not AlertStage.OVER:
        line += f": {notice.trouble.text}"
    elif notice.trouble.subject:
        line += f": {notice.trouble.subject}"
    return " ".join(line.split())[:_LONGEST_LINE]  # a panel's words can't forge a line


def _head(notice: AlertNotice) -> str:
    """Return the heading, as "panel down at smm" or "balance low at smm, still"."""
    trouble = notice.trouble
    place = f" at {trouble.panel}" if trouble.panel else ""
    stage = {AlertStage.LASTS: ", still", AlertStage.OVER: ", over"}.get(notice.stage, "")
    return f"{trouble.event.replace('_', ' ')}{place}{stage}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _plain(notice: AlertNotice) -> dict[str, Any]:
    trouble = notice.trouble
    return {
        "event": trouble.event,
        "stage": notice.stage,
        "panel": trouble.panel,
        "subject": trouble.subject,
        "text": trouble.text,
        "at": _moment(notice.at),
        "began_at": _moment(notice.began_at),
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

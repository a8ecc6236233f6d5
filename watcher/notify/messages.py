"""The messages to people: title, text, and JSON for programs. Pure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from watcher.alerts import AlertNotice, AlertStage

_MOST_LINES, _LONGEST_LINE, _LONGEST_TEXT = 20, 300, 1500  # what chats and push services accept
_MOST_ALIKE = 3  # moments of one kind at one panel; more become one line
_EXAMPLES = 2  # of those in that line


class NotifyMessage(msgspec.Struct, frozen=True):
    """One message. The title is ASCII: it may become a header."""

    title: str
    text: str
    body: bytes  # as JSON, with each notice


def message_for(notices: Sequence[AlertNotice], now: float) -> NotifyMessage:
    """Return one message with all these notices."""
    first, *others = _groups(notices)
    more = sum(map(len, others))
    title = f"watcher: {_heading(first)}" + (f", and {more} more" if more else "")
    return _message("notification", title, _text(notices), notices, now)


def trial(name: str, now: float) -> NotifyMessage:
    """Return a test message."""
    text = f"This is a test of target {name}: messages arrive."
    return _message("test", "watcher: a test", text, (), now)


def _message(
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
    left = len(notices)
    for group in _groups(notices)[:_MOST_LINES]:
        line = " ".join(_line(group).split())[:_LONGEST_LINE]  # a panel's words can't forge a line
        if sum(map(len, lines)) + len(line) > _LONGEST_TEXT:
            break
        lines.append(line)
        left -= len(group)
    return "\n".join([*lines, *([f"and {left} more"] if left else [])])


def _groups(notices: Iterable[AlertNotice]) -> list[list[AlertNotice]]:
    """Return the notices by line: many moments of one kind at one panel share one."""
    alike: dict[str, list[AlertNotice]] = {}
    for notice in notices:
        is_moment = notice.stage is AlertStage.ONCE
        alike.setdefault(_head(notice) if is_moment else notice.alert.key, []).append(notice)
    groups: list[list[AlertNotice]] = []
    for group in alike.values():
        groups += [group] if len(group) > _MOST_ALIKE else [[notice] for notice in group]
    return groups


def _line(group: Sequence[AlertNotice]) -> str:
    heading, notice = _heading(group), group[0]
    if len(group) > 1:
        some = "; ".join(notice.alert.text for notice in group[:_EXAMPLES])
        return f"{heading}: {some}; …"
    if notice.stage in (AlertStage.LASTS, AlertStage.OVER):
        heading += f" ({_hours(notice.at - notice.began_at)})"
    if notice.stage is not AlertStage.OVER:
        return f"{heading}: {notice.alert.text}"
    subject = "" if notice.alert.is_refusal else notice.alert.subject
    return f"{heading}: {subject}" if subject else heading


def _heading(group: Sequence[AlertNotice]) -> str:
    return _head(group[0]) + (f", {len(group)} times" if len(group) > 1 else "")


def _head(notice: AlertNotice) -> str:
    """Return the heading, as "panel down at smm" or "balance low at smm, still"."""
    alert = notice.alert
    place = f" at {alert.panel}" if alert.panel else ""
    stage = {AlertStage.LASTS: ", still", AlertStage.OVER: ", over"}.get(notice.stage, "")
    what = "panel refusing" if alert.is_refusal else alert.event.replace("_", " ")
    return f"{what}{place}{stage}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _plain(notice: AlertNotice) -> dict[str, Any]:
    alert = notice.alert
    return {
        "event": alert.event,
        "stage": notice.stage,
        "panel": alert.panel,
        "subject": alert.subject,
        "text": alert.text,
        "at": _moment(notice.at),
        "began_at": _moment(notice.began_at),
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

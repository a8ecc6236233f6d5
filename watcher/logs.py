"""Structured logs: events with fields, as JSON for machines and as text for a terminal.

The logs contain text from panels. Such text can't forge a line, move a terminal's cursor or reverse
text. Known secrets are removed everywhere.
"""

import codecs
import json
import logging
import os
import sys
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, TextIO, cast
from urllib.parse import quote, quote_plus

import structlog
from structlog.types import EventDict, Processor

from watcher.common.clock import Clock

# Priority prefixes that journald reads at the start of a line, sd-daemon(3).
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SHORTEST_SECRET = 6  # characters: removing shorter ones would damage ordinary words
_DEEPEST = 8
# Lines per event: burst, then per second. Panels and clients must not be able to fill the disk.
MOST_LINES, LINES_A_SECOND = 500.0, 20.0
_MOST_EVENTS = 1000  # events whose lines are counted: libraries' events are free text
_MANY_LINES = ("exception", "stack")


class Redaction:
    """Removes known secrets from an event, and escapes every character that does not print.

    A traceback keeps its lines.
    """

    def __init__(self) -> None:
        self._spellings: tuple[str, ...] = ()

    def know(self, secrets: Collection[str]) -> None:
        """Set the secrets; also matches their encoded forms in URLs, forms, JSON and Python."""
        spellings = {
            spelling
            for secret in secrets
            if len(secret) >= _SHORTEST_SECRET
            for spelling in _spellings(secret)
        }
        self._spellings = tuple(sorted(spellings, key=len, reverse=True))

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        return {
            self._text(name): self._lines(value) if name in _MANY_LINES else self._clean(value)
            for name, value in event.items()
        }

    def _clean(self, value: Any, depth: int = 0) -> Any:
        """Return the value as plain types, so a renderer never shows an unchecked object."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self._text(value)
        if depth < _DEEPEST and isinstance(value, Mapping):
            items = value.items()
            return {self._text(str(name)): self._clean(item, depth + 1) for name, item in items}
        if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
            return [self._clean(item, depth + 1) for item in value]
        return self._text(repr(value) if isinstance(value, bytes | BaseException) else str(value))

    def _lines(self, value: Any) -> Any:
        if not isinstance(value, str):
            return self._clean(value)
        return "\n".join(map(_visible, self._redacted(value).split("\n")))

    def _text(self, text: str) -> str:
        return _visible(self._redacted(text))

    def _redacted(self, text: str) -> str:
        for spelling in self._spellings:
            text = text.replace(spelling, "…")
        return text


def _spellings(secret: str) -> set[str]:
    plain = {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}
    in_json = json.dumps(secret)[1:-1]
    return plain | {in_json, in_json.replace("/", r"\/")}


redaction = Redaction()


class LineLimit:
    """Rate limit for each event's lines.

    The next line that is written has the number of dropped ones as `lines_dropped`.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._events: dict[str, tuple[float, float, int]] = {}  # lines left, at, dropped

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        name, now = str(event.get("event"))[:100], self._clock()
        left, at, dropped = self._events.pop(name, (MOST_LINES, now, 0))
        left = min(MOST_LINES, left + (now - at) * LINES_A_SECOND)
        if left < 1.0:
            self._events[name] = (left, now, dropped + 1)
            raise structlog.DropEvent
        self._events[name] = (left - 1.0, now, 0)
        if len(self._events) > _MOST_EVENTS:
            del self._events[next(iter(self._events))]  # the least recent one
        if dropped:
            event["lines_dropped"] = dropped
        return event


# Imported now: a later import has to open a file when no handle may be free.
codecs.lookup("unicode_escape")


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _set_off(logger: Any, method: str, event: EventDict) -> EventDict:
    """Indent a traceback on a terminal, so that none of its lines looks like an event."""
    for name in _MANY_LINES:
        if name in event:
            event[name] = "\n".join(f"  | {line}" for line in str(event[name]).split("\n"))
    return event


def _is_journal() -> bool:
    """Return whether standard error goes to systemd's journal, systemd.exec(5)."""
    try:
        stream = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"


def _prioritized(render: Processor) -> Processor:
    def with_priority(logger: Any, method: str, event: EventDict) -> str:
        priority = _PRIORITIES.get(event.get("level", ""), _PRIORITIES["info"])
        return f"<{priority}>{cast(str, render(logger, method, event))}"

    return with_priority


class _Lossy:
    """A file that ignores write errors (a full disk, a closed pipe), to keep running."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()


def configure(level: str, style: str) -> None:
    """Set up structlog; libraries' warnings and errors take the same path."""
    as_json = style == "json" or (style == "auto" and not sys.stderr.isatty())
    shared: list[Processor] = [
        LineLimit(),
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,  # without the values of variables, as Python does
        redaction,
    ]
    if not as_json:
        shared.append(_set_off)
    renderer: Processor = structlog.processors.JSONRenderer(ensure_ascii=True)
    if as_json and _is_journal():
        renderer = _prioritized(renderer)
    if not as_json:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The default is rich's, which shows every local variable, including keys.
            exception_formatter=structlog.dev.plain_traceback,
        )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Lossy(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)

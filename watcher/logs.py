"""What the daemon logs, and how: events with fields, JSON for machines, text for a terminal."""

import logging
import sys
from collections.abc import Collection
from typing import Any

import structlog
from structlog.types import EventDict, Processor

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Redaction:
    """Takes known secrets out of whatever is about to be written."""

    def __init__(self) -> None:
        self._secrets: frozenset[str] = frozenset()

    def know(self, secrets: Collection[str]) -> None:
        """These must never be written. Very short ones would cut up ordinary words."""
        self._secrets = frozenset(secret for secret in secrets if len(secret) >= 6)

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        return {name: self._clean(value) for name, value in event.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self._clean(item) for item in value]
        if not isinstance(value, str):
            return value
        for secret in self._secrets:
            value = value.replace(secret, "…")
        return value


redaction = Redaction()


def configure(level: str, style: str) -> None:
    """Set up structlog, and send what libraries log the same way, from warnings on."""
    as_json = style == "json" or (style == "auto" and not sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redaction,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=True)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
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

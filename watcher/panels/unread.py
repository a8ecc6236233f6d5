"""Counts values of panels that can't be read; logs each field once."""

from collections.abc import Callable

import structlog

log = structlog.get_logger()


class UnreadValues:
    """The unread values of one panel; `count(action, field)` counts a value."""

    def __init__(self, panel: str, count: Callable[[str, str], None]) -> None:
        self._panel = panel
        self._count = count
        self._logged: set[tuple[str, str]] = set()

    def note(self, action: str, field: str, value: str) -> None:
        """Note a value that can't be read, of an answer to the action."""
        self._count(action, field)
        if (action, field) not in self._logged:
            self._logged.add((action, field))
            log.warning(
                "panel.value_unread", panel=self._panel, action=action, field=field, value=value
            )

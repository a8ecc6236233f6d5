"""Following changes: which request is next, and which errors pass. Pure."""

import logging
from typing import Unpack

from watcher_client.calls import Call, list_changes
from watcher_client.errors import ApiError, Limited, Unreachable, WatcherError
from watcher_client.shapes import ChangeList, ListChangesQuery

WAIT = 25  # seconds that a request waits for a change
_LONGEST_PAUSE = 30.0  # seconds between attempts while no daemon answers
log = logging.getLogger("watcher_client")


class Following:
    """A reader's place among the changes."""

    def __init__(self, **query: Unpack[ListChangesQuery]) -> None:
        self._query: ListChangesQuery = {"wait": WAIT, **query}
        self._pause = 0.0

    def call(self) -> Call[ChangeList]:
        """Return the next request."""
        return list_changes(**self._query)

    def is_new(self, page: ChangeList) -> bool:
        """Go on after this page; return whether it has changes or another cursor."""
        is_new = bool(page["changes"]) or page["cursor"] != self._query.get("after")
        self._query["after"] = page["cursor"]
        self._pause = 0.0
        return is_new

    def pause_after(self, error: WatcherError) -> float:
        """Return the seconds to wait if the error can pass, such as a daemon that restarts."""
        if not isinstance(error, Unreachable | Limited) and not (
            isinstance(error, ApiError) and error.status == 503
        ):
            raise error
        if not self._pause:
            log.warning("changes: %s", error)
        self._pause = min(max(2 * self._pause, 1.0), _LONGEST_PAUSE)
        return max(self._pause, error.retry_after if isinstance(error, Limited) else 0.0)

"""How a call is delivered: what an answer means, and whether, when and where to try again. Pure.

A read is repeated, at the next URL. A write that may be repeated is, but at the same URL once it
may have arrived there. A refill or cancel is repeated only if surely nothing was done: the node
could not be reached, or says itself that no node of the cluster could do it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, cast

from watcher_client.calls import Answer, Call
from watcher_client.errors import ApiError, Limited, Unclear, Unreachable, WatcherError, api_error

LONGEST_PAUSE = 60.0  # seconds: what asks for a longer one is an error
_NOT_DONE = frozenset({"no_lease", "not_led"})  # what a node of a cluster has not done
_GATEWAY = frozenset({502, 503, 504})  # what a proxy says for a daemon that is away


@dataclass(frozen=True)
class Reply:
    """An answer, whoever gave it. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Failure:
    """No whole answer came. `sent`: a part of the request may have arrived."""

    sent: bool
    cause: str


class Delivery(Generic[Answer]):
    """The attempts of one call. `place` is the index of the URL to try."""

    def __init__(
        self, call: Call[Answer], urls: Sequence[str], attempts: int, place: int = 0
    ) -> None:
        self.place = place
        self._call = call
        self._urls = urls
        self._left = max(attempts, len(urls))
        self._untried = len(urls) - 1
        self._pause = 0.5
        self._document: Any = None

    @property
    def url(self) -> str:
        """Return the URL to try."""
        return self._urls[self.place]

    @property
    def answer(self) -> Answer:
        """Return the answer, once `pause_after` has returned None."""
        return cast(Answer, self._document)

    def pause_after(self, outcome: Reply | Failure) -> float | None:
        """Return None if that was the answer, else the seconds to wait before the next attempt.

        Raises a WatcherError if there is none.
        """
        self._left -= 1
        error, pause = (
            self._failed(outcome) if isinstance(outcome, Failure) else self._read(outcome)
        )
        if error is not None and (pause is None or pause > LONGEST_PAUSE or not self._left):
            raise error
        return pause

    def _read(self, reply: Reply) -> tuple[WatcherError | None, float | None]:
        document = _object(reply.body)
        if document is not None and 200 <= reply.status < 300:
            self._document = document
            return None, None
        fault = (document or {}).get("error")
        if isinstance(fault, dict) and reply.status >= 400:
            code, message = str(fault.get("code")), str(fault.get("message"))
            return self._refused(api_error(reply.status, code, message), reply)
        cause = f"HTTP {reply.status}, and not by watcher"
        if reply.status in _GATEWAY:
            return self._failed(Failure(sent=True, cause=cause))
        return self._lost(cause, sent=not 300 <= reply.status < 500), None

    def _refused(self, error: ApiError, reply: Reply) -> tuple[WatcherError, float | None]:
        """Return the daemon's own refusal, and the pause if it can pass."""
        if isinstance(error, Limited):  # said before anything else is done
            error.retry_after = _seconds(reply.headers.get("retry-after", ""))
            return error, error.retry_after
        if error.status == 503 and error.code in _NOT_DONE:
            return error, self._next()
        if error.status == 503 and self._call.is_repeatable:
            return error, self._backoff()
        if error.status >= 500 and error.status != 503:
            return self._lost(str(error), sent=True) if self._is_write else error, None
        return error, None

    def _failed(self, failure: Failure) -> tuple[WatcherError, float | None]:
        error = self._lost(failure.cause, sent=failure.sent)
        if failure.sent and not self._call.is_repeatable:
            return error, None
        if failure.sent and self._is_write:
            return error, self._backoff()
        return error, self._next()

    def _next(self) -> float:
        """Go on to the next URL; return the seconds to wait before."""
        self.place = (self.place + 1) % len(self._urls)
        if self._untried:
            self._untried -= 1
            return 0.0
        return self._backoff()

    def _lost(self, cause: str, *, sent: bool) -> WatcherError:
        if sent and self._is_write:
            call = f"{self._call.method} {self._call.path}"
            return Unclear(f"it is not known whether {call} was carried out: {cause}")
        return Unreachable(f"no watcher answers at {self.url}: {cause}")

    @property
    def _is_write(self) -> bool:
        return self._call.method != "GET"

    def _backoff(self) -> float:
        self._pause *= 2
        return self._pause / 2


def _object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a body, None if it is anything else."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 1.0

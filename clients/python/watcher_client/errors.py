"""What can go wrong with a call, named by what the caller does about it."""


class WatcherError(Exception):
    """A call failed."""


class Unreachable(WatcherError):
    """No watcher answers, and nothing was changed: try again later."""


class Unclear(WatcherError):
    """The answer is lost: the call may have been carried out. Look before you do it again.

    A call that is safe to repeat (`submit` with the same key, `track`) may simply be made again.
    """


class ApiError(WatcherError):
    """The daemon refused the call.

    `status` is HTTP's, `code` is for programs, `message` for people.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} (HTTP {self.status}, {self.code})"


class Unauthorized(ApiError):
    """The key is missing, or not one of the daemon's."""


class Forbidden(ApiError):
    """The key lacks the right; the message names it."""


class NotFound(ApiError):
    """There is no such order, panel or action."""


class Conflict(ApiError):
    """The call contradicts what is already under way."""


class StaleCursor(ApiError):
    """Changes after this cursor have been archived: begin anew, without `after`."""


class Limited(ApiError):
    """Too many requests: try again after `retry_after` seconds."""

    retry_after: float = 1.0


class BadSignature(WatcherError):
    """The event isn't from your watcher, or it is too old: answer 401 and do nothing."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: StaleCursor,
    429: Limited,
}


def api_error(status: int, code: str, message: str) -> ApiError:
    """Return the error that an answer with this status stands for."""
    return _BY_STATUS.get(status, ApiError)(status, code, message)

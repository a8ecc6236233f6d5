"""The tree of errors: each is named by what the caller does about it."""

import errno
import os
from collections.abc import Iterable
from difflib import get_close_matches


class WatcherError(Exception):
    """Something went wrong; the message says what, where and what to do."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class ConfigError(WatcherError):
    """The configuration can't be used: mend the file and try again.

    `problems` holds a line for each fault, the dotted key first.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class StartError(WatcherError):
    """The daemon can't start here: mend the surroundings (port, disk, rights) and try again."""


def cant_listen(where: str, error: OSError, setting: str) -> StartError:
    """Return why nothing can listen at `where` ("host:port"), and what to do.

    `setting` is what chooses the address.
    """
    advice = {
        errno.EADDRINUSE: f"stop the program that uses it, or choose another port with {setting}",
        errno.EACCES: f"choose a port from 1024 on with {setting}",
        errno.EADDRNOTAVAIL: f"choose an address of this machine with {setting}",
    }.get(error.errno or 0, f"choose another address with {setting}")
    cause = os.strerror(error.errno) if error.errno else str(error)
    return StartError(f"can't listen on {where}: {cause}: {advice}")


class StoreError(WatcherError):
    """The database could not do it; nothing was written."""


class StoreBusy(StoreError):
    """Another process holds the database: stop it, or wait."""


class StoreGone(StoreError):
    """The database can't be reached: see to its server; the daemon goes on by itself."""


class StoreFenced(StoreError):
    """This node's lease has ended: another one may lead its panels now."""


class StoreFull(StoreError):
    """The disk is full: make room."""


class StoreCorrupt(StoreError):
    """The database file is damaged: restore a backup."""


class StoreRefused(StoreError):
    """The database does not take a value of this part; without it the rest can be written."""


class StoreNewer(StoreError):
    """The database was written by a newer version: install that version."""


class StoreOlder(StoreError):
    """The database was put in place without `watcher restore`: what was sent since is not in it.

    `remedy` are the words of the command that sets it right.
    """

    def __init__(self, message: str, *remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class RequestError(WatcherError):
    """A caller of the API asked for something that can't be done."""

    status = 400
    code = "invalid"


class NotFound(RequestError):
    """There is no such thing."""

    status = 404
    code = "not_found"


def no_such(kind: str, name: str, known: Iterable[str]) -> NotFound:
    """There is none of that name; the one that may have been meant, and all that there are."""
    names = sorted(known)
    there_are = f"there are: {', '.join(names)}" if names else "there is none"
    near = get_close_matches(name, names, 1)
    if near:
        return NotFound(f"there is no {kind} {name!r}: did you mean {near[0]!r}? {there_are}")
    return NotFound(f"there is no {kind} {name!r}; {there_are}")


class Conflict(RequestError):
    """It contradicts what is already under way."""

    status = 409
    code = "conflict"


class NotYet(RequestError):
    """The daemon has just started and can't do that for some seconds."""

    status = 503
    code = "not_yet"


class NotLed(RequestError):
    """This node does not lead the panel: another does, or none.

    Nothing was done. It may be asked for again after `retry_after` seconds.
    """

    status = 503
    code = "not_led"
    retry_after = 2.0

    def __init__(self, panel: str, message: str = "") -> None:
        self.panel = panel
        super().__init__(message or f"no node leads {panel} now: try again in some seconds")


class Unsupported(RequestError):
    """The panel's API can't do that."""

    status = 422
    code = "unsupported"


class PanelError(WatcherError):
    """A request to a panel failed. `reason` is the word that metrics count it under."""

    reason = "error"


class NotSent(PanelError):
    """No byte reached the panel (refused, unresolvable): anything may be sent again."""

    reason = "unreachable"


class RateLimited(PanelError):
    """The panel refused for asking too fast and did nothing: ask again after `retry_after`.

    `retry_after` is in seconds, None where the panel did not say.
    """

    reason = "rate_limited"

    def __init__(self, message: str = "", retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class Refused(PanelError):
    """The panel answered with an error and did nothing: its words are the message."""

    reason = "refused"


class BadKey(Refused):
    """The panel does not know the key: correct it; no request can succeed."""

    reason = "bad_key"


class RemoteFault(PanelError):
    """What the panel did can't be known (cut, timeout, unreadable): read again, never act again."""

    reason = "unreadable"


class Redirected(RemoteFault):
    """The panel is elsewhere. `url` is where, None unless it is surely the same panel's."""

    def __init__(self, message: str, url: str | None) -> None:
        self.url = url
        super().__init__(message)


class Unreadable(RemoteFault):
    """The panel answered, whole and well-formed, in a form that can't be read: it lives."""


class TimedOut(RemoteFault):
    """No whole answer in time."""

    reason = "timeout"


class ServerFault(RemoteFault):
    """The panel answered with a server error."""

    reason = "server_error"


class Undelivered(WatcherError):
    """A message may not have arrived.

    `for_good`: its receiver wants no more of them; else none for `retry_after` seconds.
    """

    def __init__(self, message: str, *, for_good: bool = False, retry_after: float = 0.0) -> None:
        self.for_good = for_good
        self.retry_after = retry_after
        super().__init__(message)


class Unsendable(WatcherError, ValueError):
    """A panel could read another request in this one: nothing was sent."""


class LifecycleError(WatcherError):
    """A transition that the table does not have: a bug, or an answer out of place."""

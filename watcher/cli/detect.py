"""Finds out what a panel's API can do, by calls that change nothing there."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from watcher.config import PanelConfig
from watcher.errors import (
    BadKey,
    NotSent,
    PanelError,
    RateLimited,
    Redirected,
    RemoteFault,
    TimedOut,
    WatcherError,
)
from watcher.model import Balance, RowError
from watcher.panels.client import PanelClient
from watcher.panels.profiles import Profile
from watcher.panels.protocol import PAGE, clean
from watcher.panels.protocol.answers import as_error, problem

# No panel has so many orders; and it would have to be one of this account.
INVENTED = ("999999999998", "999999999999")
INVENTED_ACTION = "watcher_test"
_WALLS = re.compile(r"HTTP (?:401|403|406|429|503)\b|just a moment|attention required", re.I)
_SHOWN = 120


def panel_client(
    panel: PanelConfig,
    profile: Profile,
    on_unread: Callable[[str, str, str], None] = lambda action, field, value: None,
) -> PanelClient:
    """Return a client for a configured panel that can do what `profile` says."""
    return PanelClient(
        name=panel.name,
        url=panel.url,
        key=panel.key.reveal(),
        dialect=panel.request,
        profile=profile,
        timeout=panel.settings.timeout,
        on_request=lambda action, seconds, reason: None,
        on_unread=on_unread,
    )


class NotAPanel(WatcherError):
    """The URL does not answer as a panel; the message says why."""


class DetectedPanel(msgspec.Struct, kw_only=True):
    """What a panel can do. `cancel` None is not known, as no reading call shows it.

    `same_words` is the answer both to an unknown order and to an unknown action. If it is set,
    nothing but balance and price list could be found out.
    """

    balance: Balance | None = None
    services: int | None = None
    cancel: bool | None = None
    same_words: str | None = None
    has: set[str] = set()


class ProbeAnswer(NamedTuple):
    """An answer: its words without what differs between requests, and the failure."""

    words: str
    shown: str
    rows: int  # how many of INVENTED it has a row for
    error: PanelError | None = None


async def detect(client: PanelClient) -> DetectedPanel:
    """Send calls that change nothing; raises PanelError or NotAPanel if nothing can be found out.

    1. Balance and price list show whether the key is right.
    2. An action that no panel has: the answer, in any language, is how the panel says that it
       does not know a call.
    3. Statuses of orders and refills that don't exist: a panel that knows the call gives another
       answer. One that reads many ids answers otherwise than without any, or has rows for them.
    4. A panel that knows the status of refills is assumed to take them; likewise for many.
    """
    found = DetectedPanel(has={"add"})
    failures: list[PanelError] = []
    try:
        found.balance = await client.balance()
        found.has.add("balance")
    except PanelError as error:
        failures.append(_stop_at(error))
    try:
        found.services = len((await client.services())[0])
        found.has.add("services")
    except PanelError as error:
        failures.append(_stop_at(error))
    nonsense = await _probe(client, INVENTED_ACTION)
    status = await _probe(client, "status", order=INVENTED[0])
    one, many = await _call(client, status, "status", "orders", nonsense)
    if not one:
        _check_same(found, status, nonsense, failures)
        return found
    found.has |= {"status", "multi_status"} if many else {"status"}
    refill = await _probe(client, "refill_status", refill=INVENTED[0])
    one, many = await _call(client, refill, "refill_status", "refills", nonsense)
    found.has |= {"refill_status", "refill"} if one else set()
    found.has |= {"multi_refill_status", "multi_refill"} if many else set()
    return found


async def detect_cancel(client: PanelClient) -> bool | None:
    """Return whether the panel can cancel: ask it to cancel an order that it does not know.

    None if it does not say that it does not know the order; then nothing is asked.
    """
    try:
        row = (await client.statuses(INVENTED[:1])).get(INVENTED[0])
        refuses = isinstance(row, RowError)
    except PanelError as error:
        refuses = not isinstance(error, RemoteFault)
    nonsense = await _probe(client, INVENTED_ACTION)
    if not refuses or not _knows(await _probe(client, "status", order=INVENTED[0]), nonsense):
        return None
    return _knows(await _probe(client, "cancel", orders=INVENTED[0]), nonsense)


def _stop_at(error: PanelError) -> PanelError:
    """Return the error; raise it if nothing can be found out about the panel now."""
    if isinstance(error, BadKey | NotSent | RateLimited | Redirected | TimedOut):
        raise error
    return error


async def _probe(client: PanelClient, action: str, **params: str) -> ProbeAnswer:
    try:
        answer = await client.probe(action, params)
    except PanelError as error:
        return ProbeAnswer(_plain(str(error), action), str(error), 0, _stop_at(error))
    refused = as_error(answer)
    text = problem(refused) if isinstance(refused, dict) and not _rows(answer) else None
    text = text or clean(msgspec.json.encode(answer).decode()[:2000])
    return ProbeAnswer(_plain(text, action), text, _rows(answer))


def _rows(answer: Any) -> int:
    """Return the number of rows: for the invented ids, or in a list."""
    if isinstance(answer, dict):
        return sum(id_ in answer for id_ in INVENTED)
    return len(answer) if isinstance(answer, list) else 0


def _plain(text: str, action: str = "") -> str:
    """Return the words without times, ids and what repeats the request."""
    return re.sub(r"\d+", "#", text.casefold().replace(action, "@") if action else text.casefold())


def _knows(answer: ProbeAnswer, nonsense: ProbeAnswer) -> bool:
    return not isinstance(answer.error, RemoteFault) and answer.words != nonsense.words


async def _call(
    client: PanelClient, single: ProbeAnswer, action: str, name: str, nonsense: ProbeAnswer
) -> tuple[bool, bool]:
    """Return whether the panel knows the call for one id, which was sent already, and for many."""
    many = await _probe(client, action, **{name: ",".join(INVENTED)})
    if many.error is None and many.rows > 1 and many.words != nonsense.words:
        return True, True
    one = _knows(single, nonsense)
    if not one or not _knows(many, nonsense):
        return one, False
    return one, many.words != (await _probe(client, action)).words


def _check_same(
    found: DetectedPanel, status: ProbeAnswer, nonsense: ProbeAnswer, failures: list[PanelError]
) -> None:
    """Assume that a panel whose words show nothing has statuses; NotAPanel if it is no panel."""
    is_panel = found.balance is not None or bool(found.services)
    if not is_panel or isinstance(status.error, RemoteFault):
        raise NotAPanel(_reason([*failures, *filter(None, [status.error])], status, nonsense))
    found.has.add("status")
    found.same_words = status.shown[:_SHOWN]


def is_wall(error: str) -> bool:
    """Return whether an error is due to a page of a web firewall in front of the panel."""
    return PAGE in error and _WALLS.search(error) is not None


def no_panel(error: PanelError) -> str:
    """Return why what answers is no panel's API, and what to do."""
    if is_wall(str(error)):
        return (
            f"a web firewall answers in the panel's place ({error}): let the panel allow this"
            " machine's address, or give the User-Agent that it lets through (--user-agent)"
        )
    if PAGE in str(error):
        return (
            f"it does not answer as a panel does ({error}): is this its API's URL, with its path?"
        )
    return f"it does not answer as a panel does: {error}"


def _reason(failures: list[PanelError], status: ProbeAnswer, nonsense: ProbeAnswer) -> str:
    page = next((error for error in failures if PAGE in str(error)), None)
    if page is not None or (failures and all(isinstance(e, RemoteFault) for e in failures)):
        return no_panel(page or failures[0])
    cause = str(failures[0]) if failures else status.shown[:_SHOWN]
    if {_plain(str(error)) for error in failures} <= {status.words} == {nonsense.words}:
        return (
            f"it refuses every request with {cause!r}: is the key right, and this machine allowed?"
        )
    return f"it does not answer as a panel does ({cause}): is this its API's URL, with its path?"

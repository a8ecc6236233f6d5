"""What a panel's API can do, found out by reading calls about orders that it can't have."""

import re
from typing import Any, NamedTuple

import msgspec

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
from watcher.panels.protocol import PAGE, clean
from watcher.panels.protocol.answers import as_error, problem

# No panel has counted so far; and an order of the account it would have to be.
INVENTED = ("999999999998", "999999999999")
INVENTED_ACTION = "watcher_test"
_WALLS = re.compile(r"HTTP (?:401|403|406|429|503)\b|just a moment|attention required", re.I)
_SHOWN = 120


class Unlike(WatcherError):
    """What answers there can't be used as a panel; the message says why."""


class DetectedPanel(msgspec.Struct, kw_only=True):
    """What a panel can do. `cancel` None: that can't be learnt by reading.

    `same_words`: it says this to an unknown order and to an unknown action, so that nothing but
    its balance and price list could be learnt.
    """

    balance: Balance | None = None
    services: int | None = None
    cancel: bool | None = None
    same_words: str | None = None
    has: set[str] = set()


class Told(NamedTuple):
    """An answer: its words, without what differs from request to request, and the failure."""

    words: str
    shown: str
    rows: int  # how many of INVENTED it has a row for
    error: PanelError | None = None


async def detect(client: PanelClient) -> DetectedPanel:
    """Ask for what changes nothing; raises PanelError or Unlike where nothing can be learnt.

    1. Balance and price list tell whether the key is right.
    2. An action that no panel has: whatever it is answered with, in any language, is how the
       panel says that it does not know a call.
    3. Statuses of orders and refills that don't exist: a panel that knows the call says something
       else. One that reads many ids says something else than without any, or has rows for them.
    4. A panel that tells of refills is assumed to take them, and many where it tells of many.
    """
    found = DetectedPanel(has={"add"})
    failures = [await _account(client, found), await _prices(client, found)]
    nonsense = await _tell(client, INVENTED_ACTION)
    status = await _tell(client, "status", order=INVENTED[0])
    one, many = await _call(client, status, "status", "orders", nonsense)
    if not one:
        _check_same(found, status, nonsense, [error for error in failures if error])
        return found
    found.has |= {"status", "multi_status"} if many else {"status"}
    refill = await _tell(client, "refill_status", refill=INVENTED[0])
    one, many = await _call(client, refill, "refill_status", "refills", nonsense)
    found.has |= {"refill_status", "refill"} if one else set()
    found.has |= {"multi_refill_status", "multi_refill"} if many else set()
    return found


async def detect_cancel(client: PanelClient) -> bool | None:
    """Whether it can cancel: ask it to cancel an order that it has just called unknown.

    None where it does not call the order unknown: then nothing is asked.
    """
    try:
        row = (await client.statuses(INVENTED[:1])).get(INVENTED[0])
        refuses = isinstance(row, RowError)
    except PanelError as error:
        refuses = not isinstance(error, RemoteFault)
    nonsense = await _tell(client, INVENTED_ACTION)
    if not refuses or not _knows(await _tell(client, "status", order=INVENTED[0]), nonsense):
        return None
    return _knows(await _tell(client, "cancel", orders=INVENTED[0]), nonsense)


async def _account(client: PanelClient, found: DetectedPanel) -> PanelError | None:
    try:
        found.balance = await client.balance()
    except PanelError as error:
        return _stop_at(error)
    found.has.add("balance")
    return None


async def _prices(client: PanelClient, found: DetectedPanel) -> PanelError | None:
    try:
        found.services = len((await client.services())[0])
    except PanelError as error:
        return _stop_at(error)
    found.has.add("services")
    return None


def _stop_at(error: PanelError) -> PanelError:
    """Where nothing can be learnt of the panel now, the error is raised again."""
    if isinstance(error, BadKey | NotSent | RateLimited | Redirected | TimedOut):
        raise error
    return error


async def _tell(client: PanelClient, action: str, **params: str) -> Told:
    try:
        answer = await client.probe(action, params)
    except PanelError as error:
        return Told(_plain(str(error), action), str(error), 0, _stop_at(error))
    refused = as_error(answer)
    text = problem(refused) if isinstance(refused, dict) and not _rows(answer) else None
    text = text or clean(msgspec.json.encode(answer).decode()[:2000])
    return Told(_plain(text, action), text, _rows(answer))


def _rows(answer: Any) -> int:
    """For how many of the invented ids there is a row, or a list as long as if there were."""
    if isinstance(answer, dict):
        return sum(id_ in answer for id_ in INVENTED)
    return len(answer) if isinstance(answer, list) else 0


def _plain(text: str, action: str = "") -> str:
    """Words without what an answer repeats of its request, and without times and ids."""
    return re.sub(r"\d+", "#", text.casefold().replace(action, "@") if action else text.casefold())


def _knows(told: Told, nonsense: Told) -> bool:
    return not isinstance(told.error, RemoteFault) and told.words != nonsense.words


async def _call(
    client: PanelClient, single: Told, action: str, name: str, nonsense: Told
) -> tuple[bool, bool]:
    """Whether it knows the call for one id, which was asked for already, and for many."""
    many = await _tell(client, action, **{name: ",".join(INVENTED)})
    if many.error is None and many.rows > 1 and many.words != nonsense.words:
        return True, True
    one = _knows(single, nonsense)
    if not one or not _knows(many, nonsense):
        return one, False
    return one, many.words != (await _tell(client, action)).words


def _check_same(
    found: DetectedPanel, status: Told, nonsense: Told, failures: list[PanelError]
) -> None:
    """Take a panel whose words tell nothing for one that has statuses, if it is a panel at all."""
    is_panel = found.balance is not None or bool(found.services)
    if not is_panel or isinstance(status.error, RemoteFault):
        raise Unlike(_reason([*failures, *filter(None, [status.error])], status, nonsense))
    found.has.add("status")
    found.same_words = status.shown[:_SHOWN]


def is_wall(error: str) -> bool:
    """Whether an error tells of a page that a web firewall puts in the panel's place."""
    return PAGE in error and _WALLS.search(error) is not None


def _reason(failures: list[PanelError], status: Told, nonsense: Told) -> str:
    cause = str(failures[0]) if failures else status.shown[:_SHOWN]
    page = next((str(error) for error in failures if PAGE in str(error)), None)
    if page is not None:
        if is_wall(page):
            return (
                f"a web firewall answers in the panel's place ({page}): let the panel allow this"
                " machine's address, or give the User-Agent that it lets through (--user-agent)"
            )
        return f"it does not answer as a panel does ({page}): is this its API's URL, with its path?"
    if failures and all(isinstance(error, RemoteFault) for error in failures):
        return f"it does not answer as a panel does: {cause}"
    if {_plain(str(error)) for error in failures} <= {status.words} == {nonsense.words}:
        return (
            f"it refuses every request with {cause!r}: is the key right, and this machine allowed?"
        )
    return f"it does not answer as a panel does ({cause}): is this its API's URL, with its path?"

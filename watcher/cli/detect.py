"""What a panel's API can do, found out by reading calls about orders that it can't have."""

from collections.abc import Awaitable
from typing import Any

import msgspec

from watcher.errors import BadKey, NotSent, PanelError, RateLimited, Refused, TimedOut
from watcher.model import Balance, RowError, Unclear
from watcher.panels.client import PanelClient
from watcher.panels.protocol import ErrorKind, Unmatched, error_kind
from watcher.panels.protocol.actions import NOT_NAMED

# No panel has counted so far; and an order of the account it would have to be.
INVENTED = ("999999999998", "999999999999")


class Found(msgspec.Struct, kw_only=True):
    """What a panel can do. `cancel` None: that can't be learnt by reading."""

    balance: Balance | None = None
    services: int | None = None
    cancel: bool | None = None
    has: set[str] = set()


async def detect(client: PanelClient, *, try_cancel: bool) -> Found:
    """Ask for what changes nothing; raises PanelError where the panel can't be asked.

    1. Balance and price list tell whether the key is right.
    2. Statuses of orders and refills that don't exist: a panel that knows the call says that it
       does not know the id, one that does not know the call says something else.
    3. Who tells of refills can be asked for them, and of many where it tells of many.
    4. Only with `try_cancel`, an order that it has just called unknown is asked to be cancelled.
    """
    found = Found(has={"add"})
    try:
        found.balance = await client.balance()
        found.has.add("balance")
    except PanelError as error:
        _stop_at(error)
    try:
        found.services = len((await client.services())[0])
        found.has.add("services")
    except PanelError as error:
        _stop_at(error)
    for call, one, many in (
        (client.statuses, "status", "multi_status"),
        (client.refill_statuses, "refill_status", "multi_refill_status"),
    ):
        for ids, capability in ((INVENTED[:1], one), (INVENTED, many)):
            if await _knows(call(ids)):
                found.has.add(capability)
    for told, asked in (("refill_status", "refill"), ("multi_refill_status", "multi_refill")):
        if told in found.has:
            found.has.add(asked)
    if try_cancel and await _is_unknown(client):
        found.cancel = await _knows(client.cancel(INVENTED[:1]))
        found.has |= {"cancel"} if found.cancel else set()
    return found


def _stop_at(error: PanelError) -> None:
    """Where nothing can be learnt of the panel now, the error is raised again."""
    if isinstance(error, BadKey | NotSent | RateLimited | TimedOut):
        raise error


async def _knows(asking: Awaitable[dict[str, Any]]) -> bool:
    """Whether the panel knows a call, by what it answers for ids that it does not know."""
    try:
        answer = await asking
    except Unmatched:
        return True  # rows that don't name their orders, but rows
    except Refused as refused:
        _stop_at(refused)
        return error_kind(str(refused)) is ErrorKind.UNKNOWN_ID
    except PanelError as error:
        _stop_at(error)
        return False
    return not any(map(_is_not_understood, answer.values()))


def _is_not_understood(row: object) -> bool:
    return isinstance(row, Unclear) and not row.text.startswith(NOT_NAMED)


async def _is_unknown(client: PanelClient) -> bool:
    """Whether the panel says itself that the invented order is none of the account's."""
    try:
        row = (await client.statuses(INVENTED[:1])).get(INVENTED[0])
    except PanelError:
        return False
    return isinstance(row, RowError) and error_kind(row.text) is ErrorKind.UNKNOWN_ID

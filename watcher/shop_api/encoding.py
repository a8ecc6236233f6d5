"""Encodes answers in the form of panels."""

from collections.abc import Mapping
from decimal import Decimal

from watcher.daemon.poll_answers import LEFT_OUT
from watcher.model import Balance, Order, Refill, RefillStatus, Service
from watcher.panels.protocol import ErrorKind, error_kind
from watcher.panels.protocol.refusals import Refusal
from watcher.panels.protocol.serve import identity

LOOKED_UP = "This order is being looked up at the panel: ask again in a minute"
ARCHIVED = "This order closed long ago: watcher has moved it to its archive"

Fields = dict[str, object]


class ShopError(str):
    """Why there is no answer for an id, in the panel's or the watcher's words."""

    __slots__ = ()


def error(text: str) -> Fields:
    return {"error": str(text)}


def status_row(found: Order | ShopError) -> Fields:
    """Return an order's row; values that the panel has not reported are null.

    Only an order that the panel does not know is an error: shops refund on errors.
    """
    if isinstance(found, ShopError):
        return error(found)
    if found.checked_at is None and found.problem is not None:
        if found.problem == LEFT_OUT and found.service is None:
            return error(Refusal.ORDER.text)
        if error_kind(found.problem) is ErrorKind.UNKNOWN_ID:
            return error(found.problem)
    remains = found.quantity if found.checked_at is None else found.remains
    return {
        "charge": _money(found.charge),
        "start_count": _number(found.start_count),
        "status": found.status_text or "Pending",
        "remains": _number(remains),
        "currency": found.currency,
    }


def service_row(own_id: str, service: Service) -> Fields:
    """Return a row of the price list, with the columns that the panel has."""
    row: Fields = {
        "service": identity(own_id),
        "name": service.name,
        "type": service.type,
        "category": service.category,
        "rate": _money(service.rate),
        "min": _number(service.min),
        "max": _number(service.max),
    }
    extras = ("refill", "cancel", "dripfeed", "desc", "average_time")
    given = {name: getattr(service, name) for name in extras}
    return row | {name: value for name, value in given.items() if value is not None}


def refill_word(found: Refill | None) -> object:
    """Return a refill's status."""
    if found is None or found.status in (RefillStatus.NOT_FOUND, RefillStatus.LOST):
        return error(Refusal.REFILL_UNKNOWN.text)
    return found.status_text or "Pending"


def rows(of: str, column: str, results: Mapping[str, object]) -> list[Fields]:
    """Return a row for each id, with its result in the column."""
    return [{of: identity(text), column: value} for text, value in results.items()]


def balance(left: Balance) -> Fields:
    return {"balance": _money(left.amount), "currency": left.currency}


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")


def _number(number: int | None) -> str | None:
    return None if number is None else str(number)

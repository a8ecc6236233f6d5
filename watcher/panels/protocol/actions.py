"""Answers to what costs or changes something: refills, cancels and new orders.

Only a clear word is taken for accepted or refused. Whatever else comes, nobody knows what the
panel did: the id is left out, or it is a `RemoteFault`.
"""

from collections.abc import Callable, Collection
from typing import Any

from watcher.errors import RemoteFault
from watcher.model import RowError
from watcher.panels.protocol.answers import (
    as_error,
    failure,
    load,
    message,
    problem,
    refuse,
    rows,
)
from watcher.panels.protocol.values import clean, new_id, word
from watcher.panels.protocol.words import SUCCESS_WORDS, ErrorKind, error_kind, fold


def decode_refill(body: bytes, order_id: str) -> str | RowError:
    """The id of one order's new refill."""
    found = decode_refills(body, [order_id]).get(order_id)
    if found is None:
        raise RemoteFault("an answer that does not tell whether the refill was accepted")
    return found


def decode_refills(body: bytes, ids: Collection[str]) -> dict[str, str | RowError]:
    """The ids of many orders' new refills."""
    return _verdicts(body, ids, ("refill", "refill_id"), new_id, frozenset({"refill", "refill_id"}))


def decode_cancels(body: bytes, ids: Collection[str]) -> dict[str, str | RowError]:
    """How a panel took cancels: its own word or id for each that it accepted."""
    facts = frozenset({"cancel", "status", "message"})
    return _verdicts(body, ids, ("cancel",), _cancel_accepted, facts)


def _verdicts(
    body: bytes,
    ids: Collection[str],
    slots: tuple[str, ...],
    accepted: Callable[[Any], str | None],
    facts: frozenset[str],
) -> dict[str, str | RowError]:
    found = rows(load(body), dict.fromkeys(ids), by="order", slot=slots[0], facts=facts)
    verdicts = {order: _verdict(row, slots, accepted) for order, row in found.items()}
    return {order: verdict for order, verdict in verdicts.items() if verdict is not None}


def _verdict(
    row: Any, slots: tuple[str, ...], accepted: Callable[[Any], str | None]
) -> str | RowError | None:
    """Accepted, refused, or None where a row tells neither, or both: then nobody knows."""
    value, text = row, None
    if isinstance(row, dict):
        text = problem(row) or failure(row)
        value = next((row[slot] for slot in slots if row.get(slot) is not None), row)
    if isinstance(value, dict):
        text = text or problem(value) or failure(value)
    elif isinstance(value, str) and error_kind(value) is not ErrorKind.OTHER:
        text = text or clean(value)
    done = accepted(value)
    if text is None:
        return done
    unsure = done is not None or error_kind(text) is ErrorKind.BREAKDOWN
    return None if unsure else RowError(text)


_ACCEPTED_WORDS = SUCCESS_WORDS | {"accepted", "done", "canceled", "cancelled"}


def _cancel_accepted(value: Any) -> str | None:
    """A panel's word for an accepted cancel; that the order is canceled, its status tells."""
    if isinstance(value, dict):
        status = word(value.get("status"))
        well = status is None or fold(status) in _ACCEPTED_WORDS
        return (message(value) or status) if well and problem(value) is None else None
    text = word(value)
    return text if text is not None and fold(text) in _ACCEPTED_WORDS else new_id(value)


def decode_add(body: bytes) -> str:
    """The id of a new order."""
    answer = as_error(load(body))
    if not isinstance(answer, dict):
        raise RemoteFault("an answer of an unexpected form, without an order's id")
    order = new_id(answer.get("order")) or new_id(answer.get("order_id"))
    text = problem(answer) or failure(answer)
    if order is None and text is not None:
        refuse(text, answer)
    if order is None or text is not None:
        fields = clean(", ".join(list(answer)[:8]))
        raise RemoteFault(
            f"an answer that does not tell whether there is an order; it has {fields}"
        )
    return order

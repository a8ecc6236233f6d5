"""Every decoder of panels' answers, as a function of the answer's bytes alone."""

from collections.abc import Callable
from typing import Any

from watcher.panels.protocol import (
    decode_add,
    decode_balance,
    decode_cancels,
    decode_news,
    decode_refill_statuses,
    decode_refills,
    decode_services,
    decode_statuses,
    refusal,
)

IDS = ["1", "2", "33"]


def decode_status(body: bytes, order_id: str) -> Any:
    """One order's status."""
    return decode_news(body, [order_id], [0]).rows[order_id]


def decode_refill(body: bytes, order_id: str) -> Any:
    """The verdict on one order's refill."""
    return decode_refills(body, [order_id])[order_id]


def decode_refill_status(body: bytes, refill_id: str) -> Any:
    """One refill's status."""
    return decode_refill_statuses(body, [refill_id])[refill_id]


DECODERS: dict[str, Callable[[bytes], Any]] = {
    "status": lambda body: decode_status(body, "1"),
    "news": lambda body: decode_news(body, IDS, [0] * len(IDS)).rows,
    "statuses": lambda body: decode_statuses(body, IDS),
    "refill": lambda body: decode_refill(body, "1"),
    "refills": lambda body: decode_refills(body, IDS),
    "refill status": lambda body: decode_refill_status(body, "1"),
    "refill statuses": lambda body: decode_refill_statuses(body, IDS),
    "cancel": lambda body: decode_cancels(body, ["1"]),
    "cancels": lambda body: decode_cancels(body, IDS),
    "add": decode_add,
    "services": decode_services,
    "balance": decode_balance,
    "refusal": refusal,
}

"""Every decoder of panels' answers, as a function of the answer's bytes alone."""

from collections.abc import Callable
from typing import Any

from watcher.panels.protocol import (
    decode_add,
    decode_balance,
    decode_cancels,
    decode_refill,
    decode_refill_status,
    decode_refill_statuses,
    decode_refills,
    decode_services,
    decode_status,
    decode_statuses,
    refusal,
)
from watcher.panels.protocol.statuses import decode_statuses_leniently

IDS = ["1", "2", "33"]
DECODERS: dict[str, Callable[[bytes], Any]] = {
    "status": lambda body: decode_status(body, "1"),
    "statuses": lambda body: decode_statuses(body, IDS),
    "statuses leniently": lambda body: decode_statuses_leniently(body, IDS),
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

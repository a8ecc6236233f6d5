"""The panel API as bytes: requests encoded, answers decoded. Nothing here reads or writes."""

from watcher.panels.protocol.account import decode_balance, decode_services
from watcher.panels.protocol.actions import (
    decode_add,
    decode_cancels,
    decode_refill,
    decode_refills,
)
from watcher.panels.protocol.answers import Unmatched, refusal
from watcher.panels.protocol.bodies import PAGE, load
from watcher.panels.protocol.encode import (
    ADD_PARAMETERS,
    Parameters,
    check_add,
    encode_form,
    encode_json,
)
from watcher.panels.protocol.failed import TOO_MANY_REQUESTS, read_failed
from watcher.panels.protocol.statuses import (
    News,
    RefillObservation,
    decode_news,
    decode_one,
    decode_refill_status,
    decode_refill_statuses,
    decode_status,
    decode_statuses,
)
from watcher.panels.protocol.values import Reading, Unread, clean, is_id
from watcher.panels.protocol.words import (
    ErrorKind,
    error_kind,
    is_refill_disabled,
    refill_status_of,
    status_of,
)

__all__ = [
    "ADD_PARAMETERS",
    "PAGE",
    "TOO_MANY_REQUESTS",
    "ErrorKind",
    "News",
    "Parameters",
    "Reading",
    "RefillObservation",
    "Unmatched",
    "Unread",
    "check_add",
    "clean",
    "decode_add",
    "decode_balance",
    "decode_cancels",
    "decode_news",
    "decode_one",
    "decode_refill",
    "decode_refill_status",
    "decode_refill_statuses",
    "decode_refills",
    "decode_services",
    "decode_status",
    "decode_statuses",
    "encode_form",
    "encode_json",
    "error_kind",
    "is_id",
    "is_refill_disabled",
    "load",
    "read_failed",
    "refill_status_of",
    "refusal",
    "status_of",
]

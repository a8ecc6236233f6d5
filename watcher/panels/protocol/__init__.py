"""The panel API as bytes: requests encoded, answers decoded. Nothing here reads or writes."""

from watcher.panels.protocol.account import decode_balance, decode_services
from watcher.panels.protocol.action_answers import (
    decode_add,
    decode_cancels,
    decode_refills,
)
from watcher.panels.protocol.answers import Unmatched, as_unreadable, refusal
from watcher.panels.protocol.bodies import PAGE, load
from watcher.panels.protocol.encode import (
    ADD_PARAMETERS,
    Parameters,
    check_add,
    check_parameters,
    encode_form,
    encode_json,
    name_problem,
)
from watcher.panels.protocol.failed import TOO_MANY_REQUESTS, read_failed
from watcher.panels.protocol.statuses import (
    RefillObservation,
    StatusAnswer,
    decode_news,
    decode_refill_statuses,
    decode_statuses,
)
from watcher.panels.protocol.values import Reading, Unread, clean, is_id
from watcher.panels.protocol.words import (
    ErrorKind,
    error_kind,
    is_about_an_id,
    is_refill_disabled,
    refill_status_of,
    status_of,
)

__all__ = [
    "ADD_PARAMETERS",
    "PAGE",
    "TOO_MANY_REQUESTS",
    "ErrorKind",
    "Parameters",
    "Reading",
    "RefillObservation",
    "StatusAnswer",
    "Unmatched",
    "Unread",
    "as_unreadable",
    "check_add",
    "check_parameters",
    "clean",
    "decode_add",
    "decode_balance",
    "decode_cancels",
    "decode_news",
    "decode_refill_statuses",
    "decode_refills",
    "decode_services",
    "decode_statuses",
    "encode_form",
    "encode_json",
    "error_kind",
    "is_about_an_id",
    "is_id",
    "is_refill_disabled",
    "load",
    "name_problem",
    "read_failed",
    "refill_status_of",
    "refusal",
    "status_of",
]

"""Answers to reads: the statuses of orders and refills.

Any bytes decode or raise a `PanelError`: `Refused` or a subclass if the panel refuses, else
`RemoteFault`. An odd row affects only itself. An id that is left out was not observed.
"""

import re
from collections.abc import Collection, Sequence
from decimal import Decimal
from operator import eq, ne
from typing import Annotated, Any

import msgspec
from msgspec import UNSET

from watcher.errors import RemoteFault
from watcher.model import Observation, RefillStatus, RowError, Status
from watcher.panels.protocol.answers import MEASURES, Misnamed, RowFormat, checked, problem, rows
from watcher.panels.protocol.bodies import load
from watcher.panels.protocol.values import Reading, Unread, currency, is_sane, word
from watcher.panels.protocol.words import (
    FAILURE_WORDS,
    SUCCESS_WORDS,
    USUAL_STATUSES,
    fold,
    refill_status_of,
    status_of,
)


class RefillObservation(msgspec.Struct, frozen=True, gc=False):
    """A refill's status; `text` is the panel's word for it."""

    status: RefillStatus
    text: str


class StatusAnswer(msgspec.Struct, frozen=True, gc=False):
    """The rows of an answer that differ from the last ones, compared by hash.

    `old` are the positions, among the ids, of rows that did not change and were not decoded;
    `marks` are the hashes of the rows that did.
    """

    rows: dict[str, Observation | RowError]
    old: list[int] = []
    marks: dict[str, int] = {}
    unread: list[Unread] = []  # the first few values that can't be read


def decode_news(body: bytes, ids: Sequence[str], marks: Sequence[int]) -> StatusAnswer:
    """Decode the orders' statuses. `marks` are the hashes of their last rows, 0 for none.

    RemoteFault if the answer lacks the only order that was asked about.
    """
    try:
        answer = _read_usual(body, ids, marks)
    except _ODD:
        answer = None
    if answer is None:
        reading = Reading()
        answer = StatusAnswer(decode_statuses(body, ids, reading), unread=reading.unread)
    if len(ids) == 1 and not answer.rows and not answer.old:
        raise RemoteFault("an answer without the order's status")
    return answer


def decode_statuses(
    body: bytes, ids: Collection[str], reading: Reading | None = None
) -> dict[str, Observation | RowError]:
    """Decode the statuses in every form that panels are known to send."""
    reading = reading or Reading()
    found = rows(load(body), dict.fromkeys(ids), _ORDERS)
    seen = {order: _observe(row, reading) for order, row in found.items()}
    return {order: observation for order, observation in seen.items() if observation is not None}


def _read_usual(body: bytes, ids: Sequence[str], marks: Sequence[int]) -> StatusAnswer | None:
    """Decode an object of rows by id, at a third of the cost; None if it has other keys."""
    if len(body) > _USUAL_SIZE * (1 + len(ids)):
        return None
    batch = _RAW_BATCH.decode(body)
    raws = [*map(batch.get, ids)]
    found = [0 if raw is None else hash(bytes(raw)) for raw in raws]
    old = [at for at, is_same in enumerate(map(eq, found, marks)) if is_same and raws[at]]
    rows: dict[str, Observation | RowError] = {}
    changed: dict[str, int] = {}
    reading = Reading()
    has_groups = len(old) < len(ids) and _ENDS_IN_ZEROS.search(body) is not None
    for at, is_new in enumerate(map(ne, found, marks)):
        raw = raws[at]
        if not is_new or raw is None:
            continue
        try:
            if has_groups and _GROUPED_COUNT.search(raw):
                seen = _read_oddly(raw, ids[at], reading)
            else:
                seen = _observe_usual(_USUAL_ROW.decode(raw), reading)
        except _ODD:
            seen = _read_oddly(raw, ids[at], reading)
        if seen is not None:
            rows[ids[at]] = seen
            changed[ids[at]] = found[at]
    left = len(batch) - len(ids) + raws.count(None)
    return StatusAnswer(rows, old, changed, reading.unread) if not left and (old or rows) else None


def _read_oddly(raw: msgspec.Raw, order_id: str, reading: Reading) -> Observation | RowError | None:
    """Read one row of an unusual form; the other rows of the batch keep the fast path."""
    return _observe(checked(load(bytes(raw)), order_id, "order"), reading)


_ODD = (ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError)  # not the usual form
_Count = Annotated[int, msgspec.Meta(gt=-(2**53), lt=2**53)] | msgspec.UnsetType | None


class _UsualRow(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An order's row in the documented form; its numbers may be strings."""

    status: str = ""
    charge: Decimal | msgspec.UnsetType | None = UNSET
    start_count: _Count = UNSET
    remains: _Count = UNSET
    currency: str | msgspec.UnsetType | None = UNSET
    error: Any = UNSET


_USUAL_ROW = msgspec.json.Decoder(_UsualRow, strict=False)
_RAW_BATCH = msgspec.json.Decoder(dict[str, msgspec.Raw])
# The decoder reads the count `"1.000"`, which is 1000, as 1. This search finds answers in which
# that is possible, five times as fast as `in` if there are many quotes.
_ENDS_IN_ZEROS = re.compile(rb'\.000"')
_GROUPED_COUNT = re.compile(
    rb'"(?:start_count|start_counter|remains)"\s*:\s*"-?[1-9][0-9]{0,2}\.000"'
)
_USUAL_SIZE = 1000  # bytes a row; longer ones may have absurdly long numbers


def _observe_usual(row: _UsualRow, reading: Reading) -> Observation | RowError | None:
    usual = USUAL_STATUSES.get(row.status)
    if usual is None or row.error is not UNSET:
        return _observe_odd(_given_fields(row), reading)
    charge, start_count, remains = row.charge, row.start_count, row.remains
    if isinstance(charge, Decimal) and not is_sane(charge):
        return _observe_odd(_given_fields(row), reading)
    return Observation(
        status=usual[0],
        status_text=usual[1],
        charge=charge if isinstance(charge, Decimal) else None,
        currency=currency(row.currency),
        start_count=start_count if isinstance(start_count, int) else None,
        remains=remains if isinstance(remains, int) else None,
    )


def _given_fields(row: _UsualRow) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not UNSET and value != ""}


_ORDERS = RowFormat("order", "status", MEASURES | {"status"})
_REFILLS = RowFormat("refill", "status", frozenset({"status"}))
_ODD_FIELDS = frozenset("error errors message msg detail success data".split())
_ORDER_FIELDS = MEASURES | {"currency", "runs", "orders", "posts", "expiry"}


def _observe(row: Any, reading: Reading) -> Observation | RowError | None:
    if isinstance(row, str):
        row = {"error": row}
    if isinstance(row, Misnamed):
        return RowError(str(row))
    if not isinstance(row, dict):
        return None
    status = row.get("status")
    usual = USUAL_STATUSES.get(status) if isinstance(status, str) else None
    if usual is None or not _ODD_FIELDS.isdisjoint(row):
        return _observe_odd(row, reading)
    return _observation(row, *usual, reading)


def _observe_odd(row: dict[str, Any], reading: Reading) -> Observation | RowError | None:
    """Read a row with an error, an unusual word, or anything else that is not usual."""
    status = row.get("status")
    text = problem(row) or (problem(status) if isinstance(status, dict) else None)
    if text is not None:
        return RowError(text)
    said = word(status)
    if _ORDER_FIELDS.isdisjoint(row):
        if said is None or fold(said) in SUCCESS_WORDS:
            return None  # the request succeeded, but nothing is said of the order
        if fold(said) in FAILURE_WORDS:
            return RowError(said)
    return _observation(row, Status.UNKNOWN if said is None else status_of(said), said, reading)


def _observation(
    row: dict[str, Any], status: Status, text: str | None, reading: Reading
) -> Observation:
    charge, code = reading.money(row, "charge")
    return Observation(
        status=status,
        status_text=text,
        charge=charge,
        currency=currency(row.get("currency")) or code,
        start_count=reading.count(row, "start_count", "start_counter"),
        remains=reading.count(row, "remains"),
    )


def decode_refill_statuses(
    body: bytes, ids: Collection[str]
) -> dict[str, RefillObservation | RowError]:
    """Decode the refills' statuses; RemoteFault if the only one asked about is missing."""
    found = rows(load(body), dict.fromkeys(ids), _REFILLS)
    seen = {refill: _observe_refill(row) for refill, row in found.items()}
    known = {refill: observation for refill, observation in seen.items() if observation is not None}
    if len(ids) == 1 and not known:
        raise RemoteFault("an answer without the refill's status")
    return known


def _observe_refill(row: Any) -> RefillObservation | RowError | None:
    if isinstance(row, Misnamed):
        return RowError(str(row))
    value = row
    if isinstance(row, dict):
        value = row.get("status")
        text = problem(row) or (problem(value) if isinstance(value, dict) else None)
        if text is not None:
            return RowError(text)
    text = word(value)
    if text is None:
        return None
    status = refill_status_of(text)
    if value is row and status is RefillStatus.UNKNOWN:
        return RowError(text)  # a bare text is an error unless it is a status
    return RefillObservation(status, text)

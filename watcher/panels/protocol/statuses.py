"""Answers to reads: what a panel said of orders and of refills.

Any bytes decode or raise a `PanelError`: `Refused` and its kin where the panel refuses, else
`RemoteFault`. One odd row spoils only itself; an id that is left out was not observed.
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
from watcher.panels.protocol.answers import MEASURES, Misnamed, checked, problem, rows
from watcher.panels.protocol.bodies import load
from watcher.panels.protocol.values import Reading, Unread, currency, is_sane, word
from watcher.panels.protocol.words import (
    FAILURE_WORDS,
    SUCCESS_WORDS,
    USUAL_REFILL_STATUSES,
    USUAL_STATUSES,
    fold,
    refill_status_of,
    status_of,
)


class RefillObservation(msgspec.Struct, frozen=True, gc=False):
    """What a panel said of a refill; `text` is its own word."""

    status: RefillStatus
    text: str


def decode_status(body: bytes, order_id: str) -> Observation | RowError:
    """One order's status."""
    return decode_one(body, order_id).rows[order_id]


class StatusAnswer(msgspec.Struct, frozen=True, gc=False):
    """What an answer says of orders that it did not say before, to the letter.

    `old` are the positions, among the ids, of those whose rows were as before, and not read;
    `marks` stand for the rows that were.
    """

    rows: dict[str, Observation | RowError]
    old: list[int] = []
    marks: dict[str, int] = {}
    unread: list[Unread] = []  # values that are there and can't be read; the first few


def decode_one(body: bytes, order_id: str) -> StatusAnswer:
    """What is told of one order; RemoteFault where that is nothing."""
    news = _news(body, [order_id])
    if not news.rows:
        raise RemoteFault("an answer without the order's status")
    return news


def decode_news(body: bytes, ids: Sequence[str], marks: Sequence[int]) -> StatusAnswer:
    """The statuses of many orders; `marks` stand for the rows that told of them last, 0: none."""
    if len(body) <= _USUAL_SIZE * (1 + len(ids)):
        try:
            news = _read_news(body, ids, marks)
        except (ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError):
            pass
        else:
            if news is not None:
                return news
    return _news(body, ids)


def _news(body: bytes, ids: Collection[str]) -> StatusAnswer:
    reading = Reading()
    return StatusAnswer(decode_statuses(body, ids, reading), unread=reading.unread)


def _read_news(body: bytes, ids: Sequence[str], marks: Sequence[int]) -> StatusAnswer | None:
    """None where there is something else in the answer than orders: it wants to be looked at."""
    batch = _RAW_BATCH.decode(body)
    raws = [*map(batch.get, ids)]
    found = [0 if raw is None else hash(bytes(raw)) for raw in raws]
    old = [at for at, is_same in enumerate(map(eq, found, marks)) if is_same and raws[at]]
    rows: dict[str, Observation | RowError] = {}
    changed: dict[str, int] = {}
    reading = Reading()
    has_groups = len(old) < len(ids) and _may_have_groups(body)
    for at, is_new in enumerate(map(ne, found, marks)):
        raw = raws[at]
        if not is_new or raw is None:
            continue
        try:
            if has_groups and _GROUPED_COUNT.search(raw):
                seen = _read_oddly(raw, ids[at], reading)
            else:
                seen = _observe_usual(_USUAL_ROW.decode(raw), reading)
        except (ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError):
            seen = _read_oddly(raw, ids[at], reading)
        if seen is not None:
            rows[ids[at]] = seen
            changed[ids[at]] = found[at]
    left = len(batch) - len(ids) + raws.count(None)
    return StatusAnswer(rows, old, changed, reading.unread) if not left and (old or rows) else None


def _read_oddly(raw: msgspec.Raw, order_id: str, reading: Reading) -> Observation | RowError | None:
    """Read one row of an unusual form; the others of its batch are decoded at the usual price."""
    return _observe(checked(load(bytes(raw)), order_id, "order"), reading)


def decode_statuses(
    body: bytes, ids: Collection[str], reading: Reading | None = None
) -> dict[str, Observation | RowError]:
    """The statuses of many orders: in one go where the answer has the usual form."""
    reading = reading or Reading()
    if len(body) <= _USUAL_SIZE * (1 + len(ids)) and not _has_grouped_counts(body):
        try:
            batch = _USUAL_BATCH.decode(body)
        except (ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError):
            pass
        else:
            seen = {
                i: _observe_usual(row, reading) for i in ids if (row := batch.get(i)) is not None
            }
            found = {order_id: row for order_id, row in seen.items() if row is not None}
            if found:
                return found
    return decode_statuses_leniently(body, ids, reading)


def _has_grouped_counts(body: bytes) -> bool:
    return _may_have_groups(body) and _GROUPED_COUNT.search(body) is not None


def _may_have_groups(body: bytes) -> bool:
    """Whether it is worth looking for `"1.000"` as a count, which the decoder takes for 1."""
    return _ENDS_IN_ZEROS.search(body) is not None


def decode_statuses_leniently(
    body: bytes, ids: Collection[str], reading: Reading | None = None
) -> dict[str, Observation | RowError]:
    """Decode every form that panels are known to send, at three times the price."""
    reading = reading or Reading()
    wanted = dict.fromkeys(ids)
    found = rows(load(body), wanted, by="order", slot="status", facts=_OF_AN_ORDER)
    seen = {order: _observe(row, reading) for order, row in found.items()}
    return {order: observation for order, observation in seen.items() if observation is not None}


_Count = Annotated[int, msgspec.Meta(gt=-(2**53), lt=2**53)] | msgspec.UnsetType | None


class _UsualRow(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An order's row of the documented form; its numbers may be texts."""

    status: str = ""
    charge: Decimal | msgspec.UnsetType | None = UNSET
    start_count: _Count = UNSET
    remains: _Count = UNSET
    currency: str | msgspec.UnsetType | None = UNSET
    error: Any = UNSET


# One odd value fails the whole batch, which is then read leniently.
_USUAL_BATCH = msgspec.json.Decoder(dict[str, _UsualRow], strict=False)
_USUAL_ROW = msgspec.json.Decoder(_UsualRow, strict=False)
_RAW_BATCH = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENDS_IN_ZEROS = re.compile(rb'\.000"')  # five times as fast as `in`, where quotes are many
_GROUPED_COUNT = re.compile(
    rb'"(?:start_count|start_counter|remains)"\s*:\s*"-?[1-9][0-9]{0,2}\.000"'
)
_USUAL_SIZE = 1000  # bytes a row; numbers of endless length are none


def _observe_usual(row: _UsualRow, reading: Reading) -> Observation | RowError | None:
    usual = USUAL_STATUSES.get(row.status)
    if usual is None or row.error is not UNSET:
        return _observe_odd(_told(row), reading)
    charge, start_count, remains = row.charge, row.start_count, row.remains
    if isinstance(charge, Decimal) and not is_sane(charge):
        return _observe_odd(_told(row), reading)
    return Observation(
        status=usual[0],
        text=usual[1],
        charge=charge if isinstance(charge, Decimal) else None,
        currency=currency(row.currency),
        start_count=start_count if isinstance(start_count, int) else None,
        remains=remains if isinstance(remains, int) else None,
    )


def _told(row: _UsualRow) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not UNSET and value != ""}


_OF_AN_ORDER = MEASURES | {"status"}
_TELLS_OF_AN_ORDER = MEASURES | {"currency", "runs", "orders", "posts", "expiry"}
_ODD_FIELDS = frozenset("error errors message msg detail success data".split())


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
    """A row with an error, an unusual word, or anything else that has to be looked at."""
    status = row.get("status")
    text = problem(row) or (problem(status) if isinstance(status, dict) else None)
    if text is not None:
        return RowError(text)
    said = word(status)
    if _TELLS_OF_AN_ORDER.isdisjoint(row):
        if said is None or fold(said) in SUCCESS_WORDS:
            return None  # the request went well, but nothing is said of the order
        if fold(said) in FAILURE_WORDS:
            return RowError(said)
    return _observation(row, Status.UNKNOWN if said is None else status_of(said), said, reading)


def _observation(
    row: dict[str, Any], status: Status, text: str | None, reading: Reading
) -> Observation:
    charge, code = reading.money(row, "charge")
    return Observation(
        status=status,
        text=text,
        charge=charge,
        currency=currency(row.get("currency")) or code,
        start_count=reading.count(row, "start_count", "start_counter"),
        remains=reading.count(row, "remains"),
    )


def decode_refill_status(body: bytes, refill_id: str) -> RefillObservation | RowError:
    """How far one refill is."""
    found = decode_refill_statuses(body, [refill_id]).get(refill_id)
    if found is None:
        raise RemoteFault("an answer without the refill's status")
    return found


def decode_refill_statuses(
    body: bytes, ids: Collection[str]
) -> dict[str, RefillObservation | RowError]:
    """How far many refills are."""
    facts = frozenset({"status"})
    found = rows(load(body), dict.fromkeys(ids), by="refill", slot="status", facts=facts)
    seen = {refill: _observe_refill(row) for refill, row in found.items()}
    return {refill: observation for refill, observation in seen.items() if observation is not None}


_USUAL_REFILL_FIELDS = {"refill", "status", "order"}


def _observe_refill(row: Any) -> RefillObservation | RowError | None:
    if isinstance(row, Misnamed):
        return RowError(str(row))
    value = row
    if isinstance(row, dict):
        value = row.get("status")
        usual = USUAL_REFILL_STATUSES.get(value) if isinstance(value, str) else None
        if usual is not None and row.keys() <= _USUAL_REFILL_FIELDS:
            return RefillObservation(*usual)
        text = problem(row) or (problem(value) if isinstance(value, dict) else None)
        if text is not None:
            return RowError(text)
    text = word(value)
    if text is None:
        return None
    status = refill_status_of(text)
    if value is row and status is RefillStatus.UNKNOWN:
        return RowError(text)  # a bare text in a row's place is an error, unless it is a status
    return RefillObservation(status, text)

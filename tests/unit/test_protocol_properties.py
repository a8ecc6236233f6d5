"""Whatever a panel sends, a decoder returns a value or raises a PanelError."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.decoders import DECODERS, IDS
from watcher.errors import PanelError
from watcher.model import Balance, Observation, RowError
from watcher.panels.protocol import (
    ErrorKind,
    RefillObservation,
    check_add,
    decode_statuses,
    error_kind,
)
from watcher.panels.protocol.statuses import decode_statuses_leniently

WORDS = """order orders order_id refill refill_id status cancel error errors message msg data
services service name rate min max charge start_count start_counter remains currency balance
success retry_after 1 2 33""".split()
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1", "33", "1e400", "NaN", "Completed", "error", "success", "", "\ud83d"])
    | st.sampled_from(["Incorrect order ID", "Invalid API key", "Rate limit exceeded", "-0", "1_0"])
)
NEAR = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=25,
)


def checked(decode: Callable[[bytes], Any], body: bytes) -> None:
    try:
        found = decode(body)
    except PanelError as error:
        found = error
    if isinstance(found, PanelError):
        assert 0 < len(str(found)) < 400
    elif isinstance(found, dict):
        assert set(found) <= set(IDS)
        for row in found.values():
            check_row(row)
    elif isinstance(found, Balance):
        assert found.amount.is_finite()
    elif isinstance(found, tuple):
        assert len({service.id for service in found[0]}) == len(found[0])
    elif found is not None:
        check_row(found)


def check_row(row: Any) -> None:
    assert isinstance(row, str | RowError | Observation | RefillObservation)
    text = row if isinstance(row, str) else row.text
    if text is not None:
        assert 0 < len(text) <= 200
        text.encode()
    if isinstance(row, Observation):
        for number in (row.start_count, row.remains):
            assert number is None or -(2**63) <= number < 2**63
        assert row.charge is None or (isinstance(row.charge, Decimal) and row.charge.is_finite())


@pytest.mark.parametrize("name", DECODERS)
@given(body=st.binary(max_size=200))
@example(body=b"")
@example(body=b"[" * 5000)
@example(body=b'{"1":' * 5000)
@example(body=b'{"1":{"charge":1e99999999999999999999}}')
@example(body=b'{"1":{"charge":"1e99999999999999999999","remains":"1e999999999"}}')
@example(body=b'{"balance":' + b"9" * 100_000 + b"}")
@example(body=b'{"order":' + b"9" * 5000 + b"}")
@example(body=b'{"error":' + b"[" * 900 + b"]" * 900 + b"}")
@example(body=b'{"data":' * 900 + b"1" + b"}" * 900)
@example(body=b'{"status":' * 900 + b"1" + b"}" * 900)
def test_any_bytes(name: str, body: bytes) -> None:
    checked(DECODERS[name], body)


@pytest.mark.parametrize("name", DECODERS)
@given(value=NEAR)
def test_any_json_near_the_shape(name: str, value: Any) -> None:
    checked(DECODERS[name], json.dumps(value).encode())


@pytest.mark.parametrize("name", DECODERS)
@given(value=NEAR, data=st.data())
def test_any_cut_answer(name: str, value: Any, data: st.DataObject) -> None:
    body = json.dumps(value).encode()
    checked(DECODERS[name], body[: data.draw(st.integers(0, len(body)))])


COUNTS = (
    st.integers(-(2**70), 2**70)
    | st.integers(-9999, 9999).map(str)
    | st.integers(-9999, 9999).map(float)
    | st.sampled_from([None, "", "n/a", "1,000", "1.5", 1.5, True, "null", "-0", "1e3", "+1"])
)
CHARGES = (
    COUNTS
    | st.decimals(-(10**12), 10**12, places=5).map(str)
    | st.floats(allow_infinity=False, allow_nan=False)
)
ROWS = st.fixed_dictionaries(
    {
        "charge": CHARGES,
        "start_count": COUNTS,
        "status": st.sampled_from(["Pending", "In progress", "Completed", "Fail", "Odd", "", "4"]),
        "remains": COUNTS,
    },
    optional={"currency": st.sampled_from(["USD", "INR", "", None]), "error": st.text(max_size=5)},
)


@given(rows=st.dictionaries(st.sampled_from(IDS), ROWS))
def test_both_ways_to_decode_statuses_agree(rows: dict[str, Any]) -> None:
    body = json.dumps(rows).encode()
    assert decode_statuses(body, IDS) == decode_statuses_leniently(body, IDS)


@given(text=st.text())
def test_any_refusal_has_a_kind(text: str) -> None:
    kind = error_kind(text)
    assert kind is None or kind in ErrorKind
    assert error_kind(f"  {text}  ") is kind, "spaces around it say nothing"


@given(
    kind=st.sampled_from(["Default", "Subscriptions", "Odd"]),
    params=st.dictionaries(st.sampled_from([*WORDS, "expiry", "runs"]), st.text()),
)
def test_any_parameters_can_be_checked(kind: str, params: dict[str, str]) -> None:
    assert all(0 < len(problem) < 400 for problem in check_add(kind, params))

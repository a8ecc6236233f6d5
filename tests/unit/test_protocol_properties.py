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
from watcher.model import Accepted, Balance, Observation, RowError, Unclear
from watcher.panels.protocol import (
    ErrorKind,
    Reading,
    RefillObservation,
    check_add,
    decode_add,
    decode_news,
    decode_statuses,
    error_kind,
)
from watcher.panels.protocol.values import integer, money

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
    assert isinstance(row, str | Accepted | RowError | Unclear | Observation | RefillObservation)
    text = row.status_text if isinstance(row, Observation) else getattr(row, "text", row)
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
    | st.sampled_from(
        [
            None,
            "",
            "n/a",
            "1,000",
            "1.000",
            "12,5",
            "$3",
            "1_0",
            "1.5",
            1.5,
            True,
            "null",
            "-0",
            "1e3",
            "+1",
        ]
    )
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
    reading = Reading()
    news = decode_news(body, IDS, [0] * len(IDS))
    assert news.rows == decode_statuses(body, IDS, reading)
    assert set(news.unread) == set(reading.unread)


def english(number: Decimal) -> str:
    return f"{number:,f}"


def german(number: Decimal) -> str:
    return english(number).translate({ord(","): ".", ord("."): ","})


STYLES: dict[str, Callable[[Decimal], str]] = {
    "plain": lambda number: f"{number:f}",
    "1,234.50": english,
    "1.234,50": german,
    "1234,50": lambda number: f"{number:f}".replace(".", ","),
    "1 234.50": lambda number: english(number).replace(",", " "),
    "1 234,50": lambda number: english(number).replace(",", "\u00a0").replace(".", ","),
    "1'234.50": lambda number: english(number).replace(",", "\u2019"),
}
AROUND = ("{}", "${}", "{} USD", "\u20ac {}", "R$ {}", " {} ", "TRY {}", "{}\u00a0\u20bd")
SUMS = st.decimals(-(10**12), 10**12, allow_nan=False, places=2) | st.decimals(
    -(10**12), 10**12, allow_nan=False, places=4
)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("around", AROUND)
@given(number=SUMS)
def test_a_sum_is_read_as_it_was_meant_or_not_at_all(style: str, around: str, number: Decimal):
    text = around.format(STYLES[style](number))
    assert money(text) == number


@given(number=st.integers(-(10**15), 10**15), style=st.sampled_from(sorted(STYLES)))
def test_a_count_is_read_as_it_was_meant(number: int, style: str) -> None:
    text = STYLES[style](Decimal(number))
    assert integer(text) == number
    row = {"status": "Partial", "remains": text, "start_count": text, "charge": "1.000"}
    for found in (
        decode_statuses(json.dumps({"1": row}).encode(), ["1"]),
        decode_news(json.dumps({"1": row}).encode(), ["1"], [0]).rows,
    ):
        assert found["1"].remains == found["1"].start_count == number
        assert found["1"].charge == 1


@given(text=st.text(alphabet="0123456789.,' -+$USD\u00a0\u20ac%eE_", max_size=14))
def test_any_print_is_read_in_one_way_or_not_at_all(text: str) -> None:
    """Whatever is read has the digits of the text in their order, and nothing else."""
    for found in (money(text), integer(text)):
        if found is not None and not set("eE_") & set(text):
            digits = "".join(filter(str.isdecimal, text)).lstrip("0")
            read = "".join(filter(str.isdecimal, f"{Decimal(found):f}"))
            assert digits.startswith(read.lstrip("0")) or not found


@given(number=st.integers(1, 10**60))
def test_ids_lose_no_digit(number: int) -> None:
    for given_id in (number, str(number)):
        body = json.dumps({"order": given_id}).encode()
        assert decode_add(body) == str(number)


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

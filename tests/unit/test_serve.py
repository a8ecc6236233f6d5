"""Requests of shops: any bytes are a form or none, and what a client sends arrives."""

import json
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.panels.protocol.serve import (
    MOST_FIELDS,
    decode_form,
    decode_request,
    identity,
    listed,
    several,
    whole,
)

NAMES = st.text(st.characters(codec="utf-8", exclude_characters='"\r\n'), min_size=1, max_size=20)
FIELDS = st.dictionaries(NAMES, st.text(st.characters(codec="utf-8"), max_size=50), max_size=20)
KINDS = ("", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html")


def multipart(fields: dict[str, str], boundary: str) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode()


@given(FIELDS)
def test_what_is_encoded_is_decoded(fields: dict[str, str]) -> None:
    assert decode_form(urlencode(fields).encode()) == fields


@given(FIELDS)
def test_what_php_sends_of_an_array_is_decoded(fields: dict[str, str]) -> None:
    body = multipart(fields, "b0undary-of-the-tests")
    kind = "multipart/form-data; boundary=b0undary-of-the-tests"
    assert decode_form(body, kind) == fields
    assert decode_form(body, kind.replace("=", '="') + '"') == fields


@given(FIELDS, FIELDS)
def test_a_request_is_the_same_in_every_form(fields: dict[str, str], more: dict[str, str]) -> None:
    fields, more = (
        {name: value for name, value in some.items() if "[" not in name} for some in (fields, more)
    )
    parts = "multipart/form-data; boundary=b0undary-of-the-tests"
    query, both = urlencode(more), more | fields
    assert decode_request(query, json.dumps(fields).encode(), "application/json") == both
    assert decode_request(query, urlencode(fields).encode()) == both
    if fields:
        assert decode_request(query, multipart(fields, "b0undary-of-the-tests"), parts) == both
    assert decode_request(urlencode(both), b"") == both


@pytest.mark.parametrize(
    ("query", "body", "kind"),
    [
        ("", b'{"orders": [1, "2"]}', "application/json"),
        ("", b'\xef\xbb\xbf {"orders": [1, 2]}', "application/x-www-form-urlencoded"),
        ("", b'{"orders": "1,2"}', ""),
        ("", b"orders[]=1&orders[]=2", "application/json"),
        ("orders%5B%5D=1&orders%5B%5D=2", b"", ""),
        ("orders=9", b"orders%5B0%5D=1&orders%5B1%5D=2", ""),
        ("", multipart({"orders[0]": "1", "orders[1]": "2"}, "x"), KINDS[2]),
    ],
)
def test_ids_come_as_an_array(query: str, body: bytes, kind: str) -> None:
    assert decode_request(query, body, kind) == {"orders": "1,2"}


def test_values_of_json_are_texts() -> None:
    body = b'{"a": 1, "b": 1.50, "c": true, "d": false, "e": null, "f": "x", "service": 7}'
    read = {"a": "1", "b": "1.50", "c": "1", "d": "0", "f": "x", "service": "7"}
    assert decode_request("", body) == read


@pytest.mark.parametrize(
    "body",
    [
        b'{"service": [1, 2]}',
        b'{"orders": {"a": 1}}',
        b'{"orders": [[1]]}',
        b'{"a": ',
        b'{"a": 1} x',
        b"{" + b'"a": {' * 5000,
        json.dumps(dict.fromkeys(map(str, range(MOST_FIELDS + 1)), 1)).encode(),
        json.dumps({"orders": [*range(MOST_FIELDS + 1)]}).encode(),
        b"\xff",
        b"a=%ff",
    ],
)
def test_a_body_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whichever it is
        decode_request("", body)


@given(st.binary(max_size=300), st.text(max_size=60), st.sampled_from(KINDS) | st.text(max_size=40))
def test_any_request_is_read_or_refused(body: bytes, query: str, kind: str) -> None:
    with suppress(ValueError):
        fields = decode_request(query, body, kind)
        assert all(isinstance(text, str) for pair in fields.items() for text in pair)


def test_arrays_are_for_ids_alone() -> None:
    assert decode_request("", b"service=1&service[]=2") == {"service": "1", "service[]": "2"}


@given(st.binary(max_size=500), st.sampled_from(KINDS) | st.text(max_size=40))
def test_any_bytes_are_a_form_or_none(body: bytes, kind: str) -> None:
    with suppress(ValueError):
        fields = decode_form(body, kind)
        assert all(isinstance(text, str) for pair in fields.items() for text in pair)


@given(st.lists(st.sampled_from([b"--x", b"--", b"\r\n", b'; name="a"', b"a", b"\xff"])))
def test_any_parts_are_a_form_or_none(pieces: list[bytes]) -> None:
    with suppress(ValueError):
        assert set(decode_form(b"".join(pieces), "multipart/form-data; boundary=x")) <= {"a"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"a=%ff", ""),
        (b"a=\xff", ""),
        (b"&".join(b"a=1" for _ in range(MOST_FIELDS + 1)), ""),
        (multipart(dict.fromkeys(map(str, range(MOST_FIELDS + 1)), ""), "x"), KINDS[2]),
        (multipart({"a": "1"}, "x")[:-4], KINDS[2]),
        (multipart({"a": "1"}, "x"), "multipart/form-data"),
        (b"", KINDS[2]),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whichever it is
        decode_form(body, kind)


def test_files_are_left_out_and_the_last_of_equal_names_counts() -> None:
    body = multipart({"a": "1", 'f"; filename="x': "file"}, "x")
    assert decode_form(body, KINDS[2]) == {"a": "1"}
    assert decode_form(b"a=1&b=&a=2") == {"a": "2", "b": ""}


def test_ids_and_numbers() -> None:
    assert several(" 1,2 ,,3") == ["1", "2", "3"]
    assert listed(" 1,2 ,,3") == ["1", "2", "3"]
    assert listed('[1, "2", \'3\', ""]') == ["1", "2", "3"]
    assert listed("") == listed("[]") == listed(" , ") == []
    assert [whole(text) for text in ("7", " 7 ", "+7", "1_0", "٧", "", "9" * 16)] == (
        [7, 7, None, None, None, None, None]
    )
    assert [identity(text) for text in ("7", "a-7", "9" * 30)] == [7, "a-7", "9" * 30]

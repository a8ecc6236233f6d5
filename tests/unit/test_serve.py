"""Requests of shops: any bytes are a form or none, and what a client sends arrives."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.panels.protocol import encode_form
from watcher.panels.protocol.serve import MOST_FIELDS, decode_form, identity, several, whole

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
    fields = {n: v for n, v in fields.items() if n not in ("key", "action")}
    body = encode_form("k e&y", "add", fields)
    assert decode_form(body) == {"key": "k e&y", "action": "add", **fields}


@given(FIELDS)
def test_what_php_sends_of_an_array_is_decoded(fields: dict[str, str]) -> None:
    body = multipart(fields, "b0undary-of-the-tests")
    kind = "multipart/form-data; boundary=b0undary-of-the-tests"
    assert decode_form(body, kind) == fields
    assert decode_form(body, kind.replace("=", '="') + '"') == fields


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
    assert [whole(text) for text in ("7", " 7 ", "+7", "1_0", "٧", "", "9" * 16)] == (
        [7, 7, None, None, None, None, None]
    )
    assert [identity(text) for text in ("7", "a-7", "9" * 30)] == [7, "a-7", "9" * 30]

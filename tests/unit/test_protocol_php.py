"""PHP is the judge of what a panel reads: its own parser takes our forms apart."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.forms import NAMES, VALUES, Php
from tests.unit.test_protocol_encode import WRONG_NAMES
from watcher.errors import Unsendable
from watcher.panels.protocol import encode_form
from watcher.panels.protocol.serve import decode_request

MEANT = {"key": "right key&", "action": "add", "service": "77"}


@pytest.fixture(scope="module")
def php() -> Iterator[Php]:
    with Php() as php:
        yield php


def test_php_reads_many_names_as_service(php: Php) -> None:
    """Else the judge would be blind."""
    for name in ("+service", "service[]", "service%00", "service%5B1"):
        assert php.read(f"service=1&{name}=2".encode()) != {"service": "1", name: "2"}
    assert php.read(b"service=1&+service=2") == {"service": "2"}


@given(values=st.dictionaries(NAMES, VALUES, max_size=4))
def test_php_reads_what_was_meant(php: Php, values: dict[str, str]) -> None:
    try:
        body = encode_form(MEANT["key"], "add", {**values, "service": "77"})
    except Unsendable:
        return
    assert php.read(body) == {**values, **MEANT}


@pytest.mark.parametrize("name", [*WRONG_NAMES, "ordinary"])
def test_php_never_gets_a_wrong_name(php: Php, name: str) -> None:
    try:
        body = encode_form("k", "add", {"service": "77", name: "9"})
    except Unsendable:
        assert name != "ordinary"
    else:
        assert php.read(body) == {"key": "k", "action": "add", "service": "77", name: "9"}


@pytest.mark.parametrize(
    "form",
    [
        b"action=status&orders[]=1&orders[]=2",
        b"action=status&orders%5B0%5D=1&orders%5B1%5D=2",
        b"orders=9&orders[]=1&orders[]=2",
        b"orders[]=1&orders[]=2&orders=9",
        b"service=1&service=2",
        b"a=&b&c=+x%20y+",
    ],
)
def test_shops_forms_are_read_as_php_reads_them(php: Php, form: bytes) -> None:
    read = php.read(form)
    joined = {
        name: ",".join(value.values()) if isinstance(value, dict) else value
        for name, value in read.items()
    }
    assert decode_request("", form) == joined

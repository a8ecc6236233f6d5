"""Answers that are made to cost time or memory: each is decoded or refused, at once."""

import time
import tracemalloc
from contextlib import suppress

import pytest

from tests.support.decoders import DECODERS
from watcher.errors import PanelError, RemoteFault
from watcher.panels.protocol import decode_services

M = 2**20
BOM = b"\xef\xbb\xbf"  # what carries it is read by the slower, lenient way
SHAPES = {
    "deep list": b"[" * 10 * M,
    "deep object": b'{"a":' * 2 * M,
    "deep and closed": b"[" * M + b"]" * M,
    "deep, leniently": BOM + b"[" * 5 * M,
    "long text": b'"' + b"a" * 10 * M + b'"',
    "long error": b'{"error":"' + b"a" * 10 * M + b'"}',
    "long error of escapes": b'{"error":"' + rb"\u0130" * M + b'"}',
    "long key": b'{"' + b"k" * 10 * M + b'":1}',
    "huge integer": b'{"1":{"status":"Pending","remains":' + b"9" * 10 * M + b"}}",
    "huge integer, leniently": BOM + b"[" + b"9" * 5 * M + b"]",
    "integer that Python refuses to print": b'{"order":%s,"status":%s}' % ((b"9" * 4301,) * 2),
    "huge float": b'{"balance":0.' + b"9" * 10 * M + b"}",
    "huge number in a text": b'{"balance":"' + b"9" * 10 * M + b'"}',
    "exponents": b'{"balance":1e400,"order":1e99999999999999999999,"refill":-1e-99999}',
    "many lists": b"[" + b"[]," * 3 * M + b"[]]",
    "many objects": b"[" + b"{}," * 3 * M + b"{}]",
    "many lists, leniently": BOM + b"[" + b"[]," * 3 * M + b"[]]",
    "many nested lists": b"[" + b"[[[[[[[]]]]]]]," * M + b"1]",
    "many rows": b"[" + b'{"service":1},' * (M // 2) + b"{}]",
    "many floats": b"[" + b"1.5," * 2 * M + b"1]",
    "one key again and again": b"{" + b",".join([b'"1":{}'] * M) + b"}",
    "titles": b"<title" * 2 * M,
    "blanks": b" " * 10 * M,
    "no UTF-8": b"\xff" * 10 * M,
}


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
def test_no_answer_takes_long(shape: str):
    for name in DECODERS:
        started = time.process_time()
        decoded(name, shape)
        assert time.process_time() - started < 2.0, name


@pytest.mark.parametrize("shape", SHAPES)
def test_no_answer_takes_much_memory(shape: str):
    for name in ("statuses", "services", "add"):
        tracemalloc.start()
        try:
            decoded(name, shape)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 8 * len(SHAPES[shape]) + 100 * M, f"{name}: {peak / M:.0f} MB"


def test_a_price_list_without_end_is_refused():
    with pytest.raises(RemoteFault, match=r"a price list of 100,001 rows"):
        decode_services(b"[" + b"1," * 100_000 + b"1]")


def test_a_large_price_list_is_read():
    rows = b",".join(b'{"service":%d,"name":"a","rate":"0.9"}' % n for n in range(50_000))
    services, faults = decode_services(b"[" + rows + b"]")
    assert len(services) == 50_000
    assert not faults


def test_faults_are_told_up_to_a_bound():
    services, faults = decode_services(b"[" + b"1," * 5000 + b'{"service":1,"name":"a"}]')
    assert len(services) == 1
    assert len(faults) == 101
    assert faults[-1] == "and 4900 more"


def decoded(name: str, shape: str) -> None:
    with suppress(PanelError):
        DECODERS[name](SHAPES[shape])

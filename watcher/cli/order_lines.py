"""The lines of a list of orders, whatever its encoding: one at a time, no longer than a bound."""

import codecs
from collections.abc import Iterator
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec

MOST_BYTES = 1 << 20  # in a line
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Problem(msgspec.Struct, frozen=True):
    """Why a line can't be used."""

    line: int
    cause: str


class Line(NamedTuple):
    number: int
    text: str


def read_lines(stream: BinaryIO) -> Iterator[Line | Problem]:
    """The lines that are not blank, numbered from 1; UTF-8, or UTF-16 as Excel writes it."""
    number = 0
    raw = stream.readline(MOST_BYTES)
    if raw.startswith(_UTF_16):
        stream = cast(BinaryIO, BufferedReader(_FromUtf16(raw, stream)))
        raw = stream.readline(MOST_BYTES)
    while raw:
        number += 1
        yield from _line(number, raw, stream)
        raw = stream.readline(MOST_BYTES)


def _line(number: int, raw: bytes, stream: BinaryIO) -> Iterator[Line | Problem]:
    if len(raw) == MOST_BYTES and not raw.endswith(b"\n"):
        while (more := stream.readline(MOST_BYTES)) and not more.endswith(b"\n"):
            pass
        yield Problem(number, f"longer than {MOST_BYTES} bytes")
        return
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        yield Problem(number, "not UTF-8")
        return
    if text.strip():
        yield Line(number, text)


class _FromUtf16(RawIOBase):
    """UTF-16 as UTF-8, `begun` being what was read of it."""

    def __init__(self, begun: bytes, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
        self._ready = self._decoder.decode(begun).encode()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        over = False
        while not self._ready and not over:
            raw = self._stream.read(1 << 16)
            over = not raw
            self._ready = self._decoder.decode(raw, over).encode()
        part, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

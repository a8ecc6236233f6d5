"""Reads the text of a list in any encoding: line by line, or whole, within limits."""

import codecs
import re
from collections.abc import Callable, Iterator
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec

MOST_BYTES = 1 << 20  # in a line
MOST_WHOLE = 64 << 20  # in a document that can only be read as a whole
ARCHIVE = (b"PK\x03\x04", b"PK\x05\x06")  # how a workbook begins: bytes, and no text
FALLBACK = "cp1252"  # never fails for letters, and ids are ASCII in all of these
_CANDIDATES = ("cp1251", "cp1254", FALLBACK)
_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

Score = Callable[[str], int]  # how many known column names a line has


class Problem(msgspec.Struct, frozen=True):
    """The reason why a line, or a whole list (line 0), can't be used."""

    line: int
    cause: str


class NoTable(ValueError):
    """There is no list of orders in the file; the message says why."""


class TextLine(NamedTuple):
    """A line's text."""

    number: int
    text: str
    guessed: bool = False  # its letters beyond ASCII may be wrong


class ListSource:
    """A stream as text. `encoding` None is UTF-8 or UTF-16, else what fits the names of columns."""

    def __init__(
        self, stream: BinaryIO, encoding: str | None = None, score: Score = lambda text: 0
    ) -> None:
        self.encoding = encoding
        self.is_guessed = self._has_utf8 = False
        self._score = score
        self.head = stream.readline(MOST_BYTES)
        if self.head.startswith(ARCHIVE):
            self._stream = stream
            return
        wide = _wide(self.head) if encoding is None else _wide_name(encoding)
        if wide:
            stream = cast(BinaryIO, BufferedReader(_Transcoded(self.head, stream, wide)))
            self.encoding, self.head = None, stream.readline(MOST_BYTES)
        if b"\r" in self.head.rstrip(b"\r\n") and b"\n" not in self.head:
            stream = cast(BinaryIO, BufferedReader(_OldLines(self.head, stream)))
            self.head = stream.readline(MOST_BYTES)
        self._stream = stream

    @property
    def first(self) -> str:
        """Return the first character that is not blank."""
        return self.head.removeprefix(codecs.BOM_UTF8).lstrip()[:1].decode("ascii", "replace")

    def lines(self) -> Iterator[TextLine | Problem]:
        """Yield the lines that are not blank, numbered from 1."""
        number, raw = 0, self.head
        while raw:
            number += 1
            yield from self._line(number, raw)
            raw = self._stream.readline(MOST_BYTES)

    def whole(self) -> bytes:
        """Return every byte; NoTable if there are too many."""
        raw = self.head + self._stream.read(MOST_WHOLE + 1 - len(self.head))
        if len(raw) > MOST_WHOLE:
            raise NoTable(f"larger than {MOST_WHOLE >> 20} MB: split it, or save it as CSV")
        return raw

    def text(self, raw: bytes) -> str:
        """Return the document's text; sets `is_guessed` if its letters may be wrong."""
        try:
            return raw.decode(self.encoding or "utf-8-sig")
        except (UnicodeDecodeError, LookupError):
            said = re.search(rb"charset=[\"']?([\w-]+)", raw[:4000])
            with_name = _known(said[1].decode()) if said else None
            self.is_guessed = with_name is None
            self.encoding = with_name or FALLBACK
            return raw.decode(self.encoding, "replace")

    def _line(self, number: int, raw: bytes) -> Iterator[TextLine | Problem]:
        if len(raw) == MOST_BYTES and not raw.endswith(b"\n"):
            while (more := self._stream.readline(MOST_BYTES)) and not more.endswith(b"\n"):
                pass
            yield Problem(number, f"longer than {MOST_BYTES} bytes")
            return
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        line = self._decoded(number, raw.rstrip(b"\r\n"))
        if isinstance(line, Problem) or line.text.strip():
            yield line

    def _decoded(self, number: int, raw: bytes) -> TextLine | Problem:
        encoding = "utf-8" if self.encoding is None or self.is_guessed else self.encoding
        try:
            text = raw.decode(encoding)
            self._has_utf8 = self._has_utf8 or not text.isascii()
            return TextLine(number, text)
        except UnicodeDecodeError:
            if self.encoding is not None and not self.is_guessed:
                return Problem(number, f"not {self.encoding}")
        if self.encoding is None:
            self._choose(raw)
        text = raw.decode(self.encoding or FALLBACK, "replace")
        return TextLine(number, text, self.is_guessed)

    def _choose(self, raw: bytes) -> None:
        """Choose the encoding in which the bytes are names of columns; guess if there is none."""
        scores = {name: self._score(raw.decode(name, "replace")) for name in _CANDIDATES}
        plain = self._score(raw.decode("ascii", "ignore"))
        best = max(scores, key=scores.__getitem__)
        self.is_guessed = scores[best] <= plain or self._has_utf8
        self.encoding = FALLBACK if self.is_guessed else best


def _known(name: str) -> str | None:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None


def _wide(head: bytes) -> str | None:
    """Recognise UTF-16 by its mark, or by the zero bytes that ASCII has in it."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if len(head) >= 4 and not head[1] and not head[3] and head[0] and head[2]:
        return "utf-16-le"
    if len(head) >= 4 and not head[0] and not head[2] and head[1] and head[3]:
        return "utf-16-be"
    return None


def _wide_name(encoding: str) -> str | None:
    return encoding if encoding.startswith(("utf-16", "utf-32")) else None


class _Transcoded(RawIOBase):
    """A stream converted to UTF-8; `begun` was read from it already."""

    def __init__(self, begun: bytes, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ready = self._converted(begun, final=False)

    def _converted(self, raw: bytes, *, final: bool) -> bytes:
        return self._decoder.decode(raw, final).encode("utf-8", "replace")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        over = False
        while not self._ready and not over:
            raw = self._stream.read(1 << 16)
            over = not raw
            self._ready = self._converted(raw, final=over)
        part, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


class _OldLines(_Transcoded):
    """A stream whose lines end in CR alone, as some spreadsheets on a Mac write them."""

    def __init__(self, begun: bytes, stream: BinaryIO) -> None:
        super().__init__(begun, stream, "latin-1")

    def _converted(self, raw: bytes, *, final: bool) -> bytes:
        return raw.replace(b"\r", b"\n")

"""CSV that a spreadsheet shows as text, whatever stands in it."""

import csv
import io
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from watcher.cli.files import whole_file

# What spreadsheets take for the beginning of a formula, which may run programs. Numbers are none.
_FORMULA = re.compile(r"\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")


def cell(value: object) -> str:
    """A value as a cell; text that could be a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value).replace("\x00", "\ufffd")
    is_risky = isinstance(value, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text)
    return f"'{text}" if is_risky else text


def csv_lines(rows: Sequence[Sequence[object]]) -> bytes:
    """The rows as lines of CSV, UTF-8."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([list(map(cell, row)) for row in rows])
    return text.getvalue().encode("utf-8", "replace")


class CsvFile:
    """A CSV file that is there once it is whole."""

    def __init__(self, file: Path, names: Sequence[str], *, force: bool) -> None:
        self._opened = ExitStack()
        self._file, self._names, self._force = file, names, force

    def __enter__(self) -> Self:
        self._stream = self._opened.enter_context(whole_file(self._file, force=self._force))
        self.write(self._names)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self._opened.__exit__(kind, error, traceback)

    def write(self, row: Sequence[object]) -> None:
        self._stream.write(csv_lines([row]))

"""Reads Excel workbooks: the cells of their sheets as text, within limits.

Entities are not resolved. A document type is refused, as it could refer to other files.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import reduce
from io import BytesIO
from posixpath import join, normpath
from typing import Any
from xml.parsers import expat

from watcher.web.order_import.dates import sheet_time
from watcher.web.order_import.lines import NoTable
from watcher.web.order_import.table import Table, table_of_rows

_MOST_XML = 128 << 20  # unpacked bytes of one part
_MOST_ROWS = 1_048_576  # the limit of Excel
_MOST_COLUMNS = 200
_CHUNK = 1 << 16
_DATE_FORMATS = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_DAYS_TO_1904 = 1462
_WORKBOOK, _LINKS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"

Event = tuple[str, Any]  # "<tag" and attributes, "tag>" and None, or "" and text


def xlsx_table(raw: bytes, chosen: Mapping[str, str]) -> Table:
    """Return the first sheet that is a list of orders; NoTable if there is none."""
    try:
        with zipfile.ZipFile(BytesIO(raw)) as package:
            return _table(_Workbook(package), chosen)
    except NoTable:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError):
        cause = "a damaged or protected archive, no Excel workbook: save the list again, as CSV"
    except (expat.ExpatError, ValueError, KeyError):
        cause = "an Excel workbook that can't be read: save the list as CSV"
    raise NoTable(cause)


def _table(workbook: "_Workbook", chosen: Mapping[str, str]) -> Table:
    if not workbook.sheets:
        raise NoTable("an archive, and no Excel workbook: save the list as CSV, JSON or XLSX")
    is_empty = True
    for title, part in workbook.sheets:
        rows = list(workbook.rows(part))
        is_empty = is_empty and not rows
        found = table_of_rows(f"the sheet {title!r} of an Excel workbook", rows, chosen)
        if found is not None:
            others = [repr(other) for other, _ in workbook.sheets if other != title]
            remark = f"not read: the sheets {', '.join(others)}" if others else None
            return found._replace(remark=remark)
    if is_empty:
        raise NoTable("an Excel workbook without a filled cell")
    raise NoTable(
        "an Excel workbook whose sheets have no column named order, order_id or id: name it "
        "with --column order=NAME"
    )


class _Workbook:
    """Reads sheets; knows the shared texts, and which styles show a date."""

    def __init__(self, package: zipfile.ZipFile) -> None:
        self._package, self._parts = package, set(package.namelist())
        self._first_day = 0
        self.sheets = self._sheets()
        self._texts = list(self._shared())
        self._is_date = self._styles()

    def rows(self, part: str) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows of a sheet that have a filled cell, with their numbers."""
        found: dict[int, dict[int, str]] = {}
        row = column = 0
        cell: dict[str, str] = {}
        texts: list[str] = []
        in_value = False
        for kind, given in self._events(part):
            if not kind:
                if in_value:
                    texts.append(given)
                continue
            if kind == "<row":
                row, column = int(given.get("r") or row + 1), 0
            elif kind == "<c":
                cell, column = given, _column(given.get("r", ""), column + 1)
                texts.clear()
            elif kind == "c>" and texts and column <= _MOST_COLUMNS and row <= _MOST_ROWS:
                found.setdefault(row, {})[column] = self._text(cell, "".join(texts))
            in_value = kind in ("<v", "<t")
        for number in sorted(found):
            cells = found[number]
            yield number, [cells.get(place, "") for place in range(1, max(cells) + 1)]

    def _text(self, cell: dict[str, str], value: str) -> str:
        try:
            return self._plain(cell.get("t", "n"), int(cell.get("s") or 0), value)
        except (ValueError, LookupError, ArithmeticError):
            return value

    def _plain(self, kind: str, style: int, value: str) -> str:
        if kind == "s":
            return self._texts[int(value)]
        if kind != "n":
            return value
        if style < len(self._is_date) and self._is_date[style]:
            return f"{sheet_time(float(value) + self._first_day):%Y-%m-%d %H:%M:%S}"
        return _number(value)

    def _sheets(self) -> list[tuple[str, str]]:
        """Return the title and part of each sheet, in the workbook's order."""
        targets: dict[str, str] = {}
        listed: list[tuple[str, str]] = []
        if {_WORKBOOK, _LINKS} <= self._parts:
            for kind, given in self._events(_LINKS):
                if kind == "<Relationship":
                    target = normpath(join("/xl", given.get("Target", "")))
                    targets[given.get("Id", "")] = target[1:]
        for kind, given in self._events(_WORKBOOK):
            if kind == "<workbookPr" and given.get("date1904") in ("1", "true"):
                self._first_day = _DAYS_TO_1904
            elif kind == "<sheet":
                link = next((v for k, v in given.items() if k.endswith(":id")), "")
                listed.append((given.get("name", ""), targets.get(link, "")))
        found = [(title, part) for title, part in listed if part in self._parts]
        names = (re.fullmatch(r"xl/worksheets/([^/]+)\.xml", part) for part in sorted(self._parts))
        return found or [(name[1], name[0]) for name in names if name]

    def _shared(self) -> Iterator[str]:
        """Yield the texts that cells refer to by number, without phonetic ones (rPh)."""
        texts: list[str] = []
        in_text = is_phonetic = False
        for kind, given in self._events("xl/sharedStrings.xml"):
            if kind in ("<rPh", "rPh>"):
                is_phonetic = kind == "<rPh"
            elif kind == "si>":
                yield "".join(texts)
                texts.clear()
            elif not kind and in_text:
                texts.append(given)
            if kind:
                in_text = kind == "<t" and not is_phonetic

    def _styles(self) -> list[bool]:
        """Return whether each style of cells shows a date."""
        own: dict[int, bool] = {}
        found: list[bool] = []
        in_cells = False
        for kind, given in self._events("xl/styles.xml"):
            if kind == "<numFmt":
                bare = re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", given.get("formatCode", ""))
                own[int(given.get("numFmtId", 0))] = bool(re.search("[dmyhs]", bare.lower()))
            elif kind in ("<cellXfs", "cellXfs>"):
                in_cells = kind == "<cellXfs"
            elif kind == "<xf" and in_cells:
                number = int(given.get("numFmtId") or 0)
                found.append(own.get(number, number in _DATE_FORMATS))
        return found

    def _events(self, part: str) -> Iterator[Event]:
        """Yield the tags and texts of a part, none if the workbook has no such part."""
        if part not in self._parts:
            return
        events: list[Event] = []
        parser = expat.ParserCreate()
        parser.StartElementHandler = lambda tag, given: events.append((f"<{_local(tag)}", given))
        parser.EndElementHandler = lambda tag: events.append((f"{_local(tag)}>", None))
        parser.CharacterDataHandler = lambda text: events.append(("", text))
        parser.StartDoctypeDeclHandler = _refuse
        left = _MOST_XML
        with self._package.open(part) as stream:
            while chunk := stream.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise NoTable("an Excel workbook that is too large: save the list as CSV")
                parser.Parse(chunk, False)
                yield from events
                events.clear()
        parser.Parse(b"", True)
        yield from events


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]


def _refuse(*_: object) -> None:
    raise NoTable("an Excel workbook with a document type, as no spreadsheet writes it")


def _number(text: str) -> str:
    """Return the number as digits. Excel has rounded one of more than 15, which stays visible."""
    number = Decimal(text)
    if number != number.to_integral_value():
        return text
    return str(int(number)) if abs(number) < 10**15 else f"{number:.14E}"


def _column(reference: str, default: int) -> int:
    letters = re.match("[A-Z]{1,3}", reference)
    if not letters:
        return default
    return reduce(lambda place, letter: place * 26 + ord(letter) - 64, letters[0], 0)

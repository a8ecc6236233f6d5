"""Excel's workbooks: the cells of their sheets as text, within bounds.

No entity is resolved and no document type taken: what could point elsewhere is refused.
"""

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from io import BytesIO
from posixpath import join, normpath
from xml.parsers import expat

from watcher.cli.order_import.dates import sheet_time
from watcher.cli.order_import.table import Table, table_of_rows

_MOST_XML = 128 << 20  # bytes of one part once it is unpacked
_MOST_ROWS = 1_048_576  # a sheet has no more
_MOST_COLUMNS = 200
_PART = 1 << 16
_DATES = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_DAYS_TO_1904 = 1462

Start = Callable[[str, dict[str, str]], None]


class NotReadable(ValueError):
    """The workbook can't be read."""


def xlsx_table(raw: bytes, chosen: Mapping[str, str]) -> Table | str:
    """The first sheet that is a list of orders, or why there is none."""
    try:
        with zipfile.ZipFile(BytesIO(raw)) as package:
            return _table(package, chosen)
    except NotReadable as error:
        return str(error)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError):
        return "a damaged or protected archive, no Excel workbook: save the list again, as CSV"
    except (expat.ExpatError, ValueError, KeyError):
        return "an Excel workbook that can't be read: save the list as CSV"


def _table(package: zipfile.ZipFile, chosen: Mapping[str, str]) -> Table | str:
    names = set(package.namelist())
    sheets = _sheets(package, names)
    if not sheets:
        return "an archive, and no Excel workbook: save the list as CSV, JSON or XLSX"
    reader = _Cells(package, names)
    is_empty = True
    for title, part in sheets:
        rows = list(reader.rows(part))
        is_empty = is_empty and not rows
        found = table_of_rows(f"the sheet {title!r} of an Excel workbook", rows, chosen)
        if found is not None:
            others = [repr(other) for other, _ in sheets if other != title]
            remark = f"not read: the sheets {', '.join(others)}" if others else None
            return found._replace(remark=remark)
    if is_empty:
        return "an Excel workbook without a filled cell"
    return (
        "an Excel workbook whose sheets have no column named order, order_id or id: name it "
        "with --column order=NAME"
    )


def _sheets(package: zipfile.ZipFile, names: set[str]) -> list[tuple[str, str]]:
    """The title and part of each sheet, in the workbook's order."""
    targets: dict[str, str] = {}
    listed: list[tuple[str, str]] = []

    def relation(tag: str, given: dict[str, str]) -> None:
        if tag == "Relationship":
            targets[given.get("Id", "")] = normpath(join("/xl", given.get("Target", "")))[1:]

    def sheet(tag: str, given: dict[str, str]) -> None:
        if tag == "sheet":
            link = next((v for k, v in given.items() if k.endswith(":id")), "")
            listed.append((given.get("name", ""), link))

    if "xl/workbook.xml" in names and "xl/_rels/workbook.xml.rels" in names:
        _parse(package, "xl/_rels/workbook.xml.rels", relation)
        _parse(package, "xl/workbook.xml", sheet)
    found = [(title, targets.get(link, "")) for title, link in listed]
    found = [(title, part) for title, part in found if part in names]
    if found:
        return found
    parts = sorted(name for name in names if re.fullmatch(r"xl/worksheets/[^/]+\.xml", name))
    return [(part.rpartition("/")[2].removesuffix(".xml"), part) for part in parts]


class _Cells:
    """Reads cells; knows the workbook's shared texts, and which styles are dates."""

    def __init__(self, package: zipfile.ZipFile, names: set[str]) -> None:
        self._package = package
        self._texts = self._shared() if "xl/sharedStrings.xml" in names else []
        self._dated = self._styles() if "xl/styles.xml" in names else []
        self._days = self._first_day() if "xl/workbook.xml" in names else 0

    def rows(self, part: str) -> Iterator[tuple[int, list[str]]]:
        """The sheet's rows that have a filled cell, with their numbers."""
        found: dict[int, dict[int, str]] = {}
        row = column = 0
        cell: dict[str, str] = {}
        texts: list[str] = []
        in_value = False

        def start(tag: str, given: dict[str, str]) -> None:
            nonlocal row, column, cell, in_value
            if tag == "row":
                row, column = int(given.get("r") or row + 1), 0
            elif tag == "c":
                cell, column = given, _column(given.get("r", ""), column + 1)
                texts.clear()
            in_value = tag in ("v", "t")

        def end(tag: str) -> None:
            nonlocal in_value
            if tag == "c" and texts and column <= _MOST_COLUMNS and row <= _MOST_ROWS:
                found.setdefault(row, {})[column] = self._text(cell, "".join(texts))
            in_value = False

        def data(text: str) -> None:
            if in_value:
                texts.append(text)

        _parse(self._package, part, start, end, data)
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
        if style < len(self._dated) and self._dated[style]:
            return f"{sheet_time(float(value) + self._days):%Y-%m-%d %H:%M:%S}"
        return _number(value)

    def _shared(self) -> list[str]:
        texts: list[str] = []
        in_text = is_sound = False

        def start(tag: str, given: dict[str, str]) -> None:
            nonlocal in_text, is_sound
            if tag == "si":
                texts.append("")
            is_sound = is_sound or tag == "rPh"  # how a word is spoken, in Japanese
            in_text = tag == "t" and not is_sound

        def end(tag: str) -> None:
            nonlocal in_text, is_sound
            in_text, is_sound = False, is_sound and tag != "rPh"

        def data(text: str) -> None:
            if in_text:
                texts[-1] += text

        _parse(self._package, "xl/sharedStrings.xml", start, end, data)
        return texts

    def _styles(self) -> list[bool]:
        """Whether each style of cells shows a date."""
        own: dict[int, bool] = {}
        dated: list[bool] = []
        in_cells = False

        def start(tag: str, given: dict[str, str]) -> None:
            nonlocal in_cells
            if tag == "numFmt":
                bare = re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", given.get("formatCode", ""))
                own[int(given.get("numFmtId", 0))] = bool(re.search("[dmyhs]", bare.lower()))
            elif tag == "cellXfs":
                in_cells = True
            elif tag == "xf" and in_cells:
                number = int(given.get("numFmtId") or 0)
                dated.append(own.get(number, number in _DATES))

        def end(tag: str) -> None:
            nonlocal in_cells
            in_cells = in_cells and tag != "cellXfs"

        _parse(self._package, "xl/styles.xml", start, end)
        return dated

    def _first_day(self) -> int:
        days = 0

        def start(tag: str, given: dict[str, str]) -> None:
            nonlocal days
            if tag == "workbookPr" and given.get("date1904") in ("1", "true"):
                days = _DAYS_TO_1904

        _parse(self._package, "xl/workbook.xml", start)
        return days


def _number(text: str) -> str:
    """The number as digits. One of more than 15 has been rounded, and is left as that."""
    number = Decimal(text)
    if number != number.to_integral_value():
        return text
    return str(int(number)) if abs(number) < 10**15 else f"{number:.14E}"


def _column(reference: str, default: int) -> int:
    letters = re.match("[A-Z]{1,3}", reference)
    if not letters:
        return default
    place = 0
    for letter in letters[0]:
        place = place * 26 + ord(letter) - 64
    return place


def _parse(
    package: zipfile.ZipFile,
    part: str,
    start: Start,
    end: Callable[[str], None] = lambda tag: None,
    data: Callable[[str], None] = lambda text: None,
) -> None:
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda tag, given: start(tag.rpartition(":")[2], given)
    parser.EndElementHandler = lambda tag: end(tag.rpartition(":")[2])
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = _refuse
    size = 0
    with package.open(part) as stream:
        while more := stream.read(_PART):
            size += len(more)
            if size > _MOST_XML:
                raise NotReadable("an Excel workbook that is too large: save the list as CSV")
            parser.Parse(more, False)
    parser.Parse(b"", True)


def _refuse(*_: object) -> None:
    raise NotReadable("an Excel workbook with a document type, as no spreadsheet writes it")

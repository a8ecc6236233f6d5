"""Excel workbooks of a few cells, as spreadsheets write them."""

import zipfile
from collections.abc import Sequence
from io import BytesIO
from xml.sax.saxutils import escape

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
DATE_STYLE = 1

Cell = str | int | float | None


def workbook(*sheets: Sequence[Sequence[Cell]], shared: bool = True, days: int = 0) -> bytes:
    """A workbook. A float is shown as a date; `days` 1462 counts them from 1904."""
    texts: list[str] = []
    parts = {
        f"xl/worksheets/sheet{number}.xml": _sheet(rows, texts, shared=shared)
        for number, rows in enumerate(sheets, 1)
    }
    listed = "".join(
        f'<sheet name="Sheet {n}" sheetId="{n}" r:id="rId{n}"/>' for n in range(1, len(sheets) + 1)
    )
    linked = "".join(
        f'<Relationship Id="rId{n}" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    first = '<workbookPr date1904="1"/>' if days else ""
    items = "".join(f"<si><t>{escape(text)}</t></si>" for text in texts)
    parts |= {
        "xl/workbook.xml": f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}">{first}'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f"{_HEAD}<Relationships>{linked}</Relationships>",
        "xl/sharedStrings.xml": f'{_HEAD}<sst xmlns="{_MAIN}">{items}</sst>',
        "xl/styles.xml": f'{_HEAD}<styleSheet xmlns="{_MAIN}"><numFmts><numFmt numFmtId="164" '
        'formatCode="yyyy\\-mm\\-dd hh:mm"/></numFmts><cellXfs><xf numFmtId="0"/>'
        '<xf numFmtId="164"/></cellXfs></styleSheet>',
    }
    return package(parts)


def package(parts: dict[str, str]) -> bytes:
    """An archive of these parts."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return made.getvalue()


def _sheet(rows: Sequence[Sequence[Cell]], texts: list[str], *, shared: bool) -> str:
    lines = []
    for number, row in enumerate(rows, 1):
        cells = "".join(_cell(c, n, number, texts, shared=shared) for n, c in enumerate(row))
        lines.append(f'<row r="{number}">{cells}</row>')
    body = "".join(lines)
    return f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData></worksheet>'


def _cell(value: Cell, place: int, row: int, texts: list[str], *, shared: bool) -> str:
    at = f"{chr(65 + place)}{row}"
    if value is None:
        return ""
    if isinstance(value, int):
        return f'<c r="{at}"><v>{value}</v></c>'
    if isinstance(value, float):
        return f'<c r="{at}" s="{DATE_STYLE}"><v>{value}</v></c>'
    if not shared:
        return f'<c r="{at}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    texts.append(value)
    return f'<c r="{at}" t="s"><v>{len(texts) - 1}</v></c>'

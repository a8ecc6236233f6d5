"""Reads tables in HTML, which PHP scripts write under the names of spreadsheets."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser

from watcher.web.order_import.lines import NoTable
from watcher.web.order_import.table import Table, table_of_rows

_MOST_COLUMNS = 200
_CELLS = ("td", "th")


def html_table(text: str, chosen: Mapping[str, str]) -> Table:
    """Return the first table that is a list of orders; NoTable if there is none."""
    parser = _Tables()
    parser.feed(text)
    parser.close()
    parser.end()
    tables = [
        found
        for rows in parser.tables
        if (found := table_of_rows("a table in HTML", enumerate(rows, 1), chosen)) is not None
    ]
    if tables:
        remark = f"not read: {len(tables) - 1} more tables" if len(tables) > 1 else None
        return tables[0]._replace(remark=remark)
    if not parser.tables:
        raise NoTable("HTML or XML without a table of orders: save the list as CSV, JSON or XLSX")
    raise NoTable(
        "HTML whose tables have no column named order, order_id or id: name it with "
        "--column order=NAME"
    )


class _Tables(HTMLParser):
    """Collects the rows of every table; a table in a cell counts as one more table."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._open: list[list[list[str]]] = []
        self._cell: list[str] | None = None
        self._href = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self.end_cell()
            self._open.append([])
            self.tables.append(self._open[-1])
        elif tag == "tr":
            self.end_cell()
            self._rows().append([])
        elif tag in _CELLS:
            self.end_cell()
            rows = self._rows()
            if not rows:
                rows.append([])
            self._cell = []
            span = given.get("colspan") or "1"
            wide = int(span) if re.fullmatch(r"[1-9]\d?", span) else 1
            self._after = min(wide, _MOST_COLUMNS) - 1
        elif tag == "br" and self._cell is not None:
            self._cell.append(" ")
        elif tag == "a":
            self._href = given.get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag in (*_CELLS, "tr", "table"):
            self.end_cell()
        if tag == "table" and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def end_cell(self) -> None:
        """Put the open cell into its row."""
        if self._cell is None:
            return
        text = re.sub(r"\s+", " ", "".join(self._cell)).strip()
        if text.endswith(("…", "...")) and self._href.startswith("http"):
            text = self._href  # a link that is only shown shortened
        row = self._rows()[-1]
        if len(row) < _MOST_COLUMNS:
            row.extend([text, *[""] * self._after])
        self._cell, self._href = None, ""

    def end(self) -> None:
        """Close what is still open at the end of the text."""
        self.end_cell()
        self.tables = [rows for rows in self.tables if any(map(any, rows))]

    def _rows(self) -> list[list[str]]:
        if not self._open:  # rows without a table around them
            self._open.append([])
            self.tables.append(self._open[-1])
        return self._open[-1]

"""Reads the rows of a table into orders to track: pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from watcher.web.order_import.dates import DateOrder
from watcher.web.order_import.ids import ListRow, WordFilter
from watcher.web.order_import.layouts import Match, other_order
from watcher.web.order_import.lines import Problem
from watcher.web.order_import.list_fields import is_no_order, shown, text_of, track_item
from watcher.web.order_import.notes import Notes
from watcher.web.order_import.providers import Providers
from watcher.web.order_import.table import ABSENT, ONE_COLUMN, Table


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How a list was understood.

    `samples` are the first values of `columns`; `own` are columns with a shop's own numbers, which
    mean nothing at the panel; `unused` are the other columns that are not used.
    """

    form: str
    maker: str | None
    columns: dict[str, str]
    samples: dict[str, str] = {}
    own: list[str] = []
    unused: list[str] = []
    unit: str = "line"
    remarks: list[str] = []


class RowReader:
    """Reads the rows of one table."""

    def __init__(
        self,
        panel: str,
        table: Table,
        matched: Match,
        dates: DateOrder | None,
        service: str | None,
        notes: Notes,
        on_layout: Callable[[Layout], None],
    ) -> None:
        self._panel, self._table, self._match = panel, table, matched
        self._dates, self._service, self._notes = dates, service, notes
        self._on_layout = on_layout
        self._words = WordFilter()

    def rows(self, providers: Providers[ListRow]) -> Iterator[ListRow | Problem]:
        """Yield the panel's orders; those that only the whole list can decide on come last."""
        is_told = not self._table.names or self._table.names == ONE_COLUMN
        for row in self._table.rows:
            if isinstance(row, Problem):
                yield row
                continue
            number, values, guessed = row
            cells = self._cells(values)
            if not is_told:
                is_told = True
                self._on_layout(self._layout(cells))
            found = self._row(number, cells, providers, guessed=guessed)
            if found is not None and self._words.passes(found):
                yield found
        if not is_told:
            self._on_layout(self._layout({}))
        for waited in providers.rest():
            if self._words.passes(waited):
                yield waited
        yield from self._words.rest()
        self._sum_up(providers)

    def _cells(self, values: Sequence[object]) -> dict[str, object]:
        """Return the row's value of each field."""
        places = self._match.places.items()
        there = [(field, values[at]) for field, at in places if at < len(values)]
        cells = {field: value for field, value in there if value is not ABSENT}
        if "order" not in cells and not self._match.is_shop:
            held = [value is not ABSENT for value in values]
            names = self._table.names[: len(held)]
            other = other_order(names, held[: len(names)])
            if other is not None:
                cells["order"] = values[other]
        return cells

    def _row(
        self,
        number: int,
        cells: Mapping[str, object],
        providers: Providers[ListRow],
        *,
        guessed: bool,
    ) -> ListRow | Problem | None:
        """Return the row; None if it is not the panel's, or if that is not clear yet."""
        try:
            if self._match.is_shop and is_no_order(cells.get("order")):
                self._notes.add("not ordered at a panel, skipped", number)
                return None
            item = track_item(
                self._panel,
                cells,
                self._dates,
                note=lambda kind, example: self._notes.add(kind, number, example),
                dotted=self._match.dotted,
                guessed=guessed,
            )
            provider = _provider(cells)
        except ValueError as error:
            return Problem(number, str(error))
        if item.service is None and self._service is not None:
            item = msgspec.structs.replace(item, service=self._service)
        found = ListRow(number, item)
        if provider is None or providers.takes(provider, number, found):
            return found
        return None

    def _layout(self, cells: Mapping[str, object]) -> Layout:
        names, matched = self._table.names, self._match
        columns = {field: names[place] for field, place in matched.places.items()}
        unused = [name for name in names if name not in columns.values() and name]
        return Layout(
            form=self._table.form,
            maker=matched.maker or None,
            columns=columns,
            samples={field: shown(cells[field]) for field in columns if field in cells},
            own=list(matched.own),
            unused=[name for name in unused if name not in matched.own],
            unit=self._table.unit,
            remarks=self._remarks(),
        )

    def _remarks(self) -> list[str]:
        remarks = [] if self._table.remark is None else [self._table.remark]
        if self._table.above:
            remarks.append(f"skipped: {self._table.above} {self._table.unit}s above the names")
        if self._match.has_people and not self._match.is_shop:
            name = self._table.names[self._match.places["order"]]
            remarks.append(
                f"this may be a list from your own shop: check that {name!r} is the panel's number "
                "of the order, and the service the panel's; --column order=NAME names another"
            )
        return remarks

    def _sum_up(self, providers: Providers[ListRow]) -> None:
        for name, rows, first, why in providers.skipped():
            whose = f"of provider {name!r}" if name else "of no provider"
            self._notes.add(f"{whose}, not {self._panel}; {why}", first, rows=rows)
        if providers.taken is not None and providers.taken:
            name = providers.taken
            self._notes.add(f"provider {name!r} is taken for {self._panel}: no other can be it", 0)
        self._words.sum_up(self._notes)


def _provider(cells: Mapping[str, object]) -> str | None:
    """Return the provider of a row's order; None if the list has none."""
    panel = text_of(cells.get("panel"), "panel", 1000)
    if panel is not None or "provider" not in cells:
        return panel
    raw = cells["provider"]
    if isinstance(raw, dict):  # as {"id": 3, "name": "genie"}
        raw = raw.get("name", raw.get("id"))
    return text_of(raw, "provider", 1000) or ""

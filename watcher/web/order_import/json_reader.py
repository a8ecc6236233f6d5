"""Reads lists of orders as JSON: lines, arrays, wrapped arrays, and answers keyed by id."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import msgspec

from watcher.web.order_import.layouts import has_order, likeness
from watcher.web.order_import.lines import NoTable, Problem, TextLine
from watcher.web.order_import.list_fields import order_id, shown
from watcher.web.order_import.names import OUTER_ORDER, plain
from watcher.web.order_import.table import ABSENT, ONE_COLUMN, Row, Table

Object = tuple[int, dict[str, Any], bool]  # its number, itself, whether letters are guessed

_AHEAD = 100  # rows whose keys are the columns: a key that has no value may be left out
_DEEPEST = 4  # wrappings


def is_row(raw: object) -> bool:
    """Return whether the object is one order, not a wrapping of several."""
    return isinstance(raw, dict) and has_order(tuple(raw)) and not _lists_in(raw)


def lines_table(lines: Iterator[TextLine | Problem], form: str = "JSON lines") -> Table:
    """Return a table of JSON lines. Its columns are the keys of the first hundred."""
    rows = _decoded(lines)
    first = list(islice(rows, _AHEAD))
    objects = [row[1] for row in first if not isinstance(row, Problem)]
    names, apart = _keys(objects), not any(map(_has_two, objects))
    return Table(form, names, _values(chain(first, rows), names), apart=apart)


class NotJson(NoTable):
    """The text is no JSON document."""


def decoded(text: str | bytes) -> Any:
    """Decode JSON; NotJson says what is wrong with it."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NotJson(f"not JSON: {error}") from None


def document_table(text: str) -> Table:
    """Return the table in a JSON document; NoTable if there is none, NotJson if it is no JSON."""
    raw = decoded(text)
    if isinstance(raw, list) and (tables := _database_tables(raw)):
        name, rows = max(tables, key=lambda table: _rank(table[1]))
        of = f" of {len(tables)}" if len(tables) > 1 else ""
        return _table(f"phpMyAdmin's JSON, its table {name!r}{of}", rows)
    found = _rows_of(raw) if isinstance(raw, dict) else raw
    if not isinstance(found, list):
        raise NoTable(
            'JSON without a list of orders, as [{"order": 1}] or {"orders": [...]} has one'
        )
    return _table("a JSON document" if isinstance(raw, dict) else "a JSON array", found)


def _table(form: str, found: Sequence[Any]) -> Table:
    if found and not any(isinstance(raw, dict) for raw in found):
        ids = ((number, [raw], False) for number, raw in enumerate(found, 1))
        return Table(f"{form} of ids", ONE_COLUMN, ids, "row")
    objects = [raw for raw in found if isinstance(raw, dict)]
    names, apart = _keys(objects), not any(map(_has_two, objects))
    rows = (_object(number, raw) for number, raw in enumerate(found, 1))
    return Table(form, names, _values(rows, names), "row", apart=apart)


def _rows_of(raw: dict[str, Any], depth: int = 0) -> list[Any] | None:
    """Return the rows of a document: from a list somewhere within, or keyed by their ids."""
    if is_row(raw):
        return [raw]
    keyed = _keyed(raw)
    if keyed is not None:
        return keyed
    if depth == _DEEPEST:
        return None
    lists = [value for value in raw.values() if isinstance(value, list)]
    inner = (_rows_of(value, depth + 1) for value in raw.values() if isinstance(value, dict))
    return _best([*lists, *(rows for rows in inner if rows is not None)])


def _keyed(raw: dict[str, Any]) -> list[Any] | None:
    """Return the rows of {"23501": {...}}: a list that PHP made an object, or a status answer."""
    inner = [value for value in raw.values() if isinstance(value, dict)]
    if not inner or not all(_is_id(key) for key in raw):
        return None
    if any(has_order(tuple(value)) for value in inner):
        return list(raw.values())
    if raw.keys() == {str(place) for place in range(len(raw))}:
        return None  # counted, and not named
    return [_answered(key, value) for key, value in raw.items()]


def _answered(key: str, value: object) -> object:
    if isinstance(value, dict) and ("status" in value or "error" not in value):
        return {"order": key, **value}
    error = value.get("error") if isinstance(value, dict) else value
    return f"order {key}: {error}"


def _is_id(text: str) -> bool:
    try:
        return any(letter.isdigit() for letter in order_id(text))
    except ValueError:
        return False


def _database_tables(raw: list[Any]) -> list[tuple[str, list[Any]]]:
    """Return the tables of an export of phpMyAdmin, in which each part has a type."""
    if not all(isinstance(part, dict) and "type" in part for part in raw):
        return []
    tables = [(str(p.get("name")), p.get("data")) for p in raw if p["type"] == "table"]
    return [(name, rows) for name, rows in tables if isinstance(rows, list)]


def _best(lists: Iterable[list[Any]]) -> list[Any] | None:
    """Return the list that looks most like one of orders."""
    return max(lists, key=_rank, default=None)


def _rank(rows: list[Any]) -> tuple[bool, int, int]:
    names = _keys(raw for raw in rows[:_AHEAD] if isinstance(raw, dict))
    return *likeness(names), len(rows)


def _lists_in(raw: Mapping[str, Any]) -> bool:
    return any(
        isinstance(value, (list, dict)) and plain(name) in ("data", "orders", "list", "order")
        for name, value in raw.items()
    )


def _decoded(
    lines: Iterator[TextLine | Problem],
) -> Iterator[Object | Problem]:
    for line in lines:
        if isinstance(line, Problem):
            yield line
            continue
        try:
            yield _object(line.number, decoded(line.text), guessed=line.guessed)
        except NotJson as error:
            yield Problem(line.number, str(error))


def _object(number: int, raw: object, *, guessed: bool = False) -> Object | Problem:
    if not isinstance(raw, dict):
        return Problem(number, f"not a JSON object, as each order is: {shown(raw)}")
    return number, raw, guessed


def _has_two(raw: Mapping[str, Any]) -> bool:
    return sum(has_order((name,)) for name in raw) > 1


def _keys(rows: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for row in rows for key in row))


def _values(rows: Iterable[Object | Problem], names: tuple[str, ...]) -> Iterator[Row | Problem]:
    known = frozenset(names)
    for row in rows:
        if isinstance(row, Problem):
            yield row
            continue
        number, raw, guessed = row
        late = [key for key in raw.keys() - known if plain(key) in OUTER_ORDER]
        if late:  # the ids of the rows before this one may be the shop's own
            yield Problem(number, f"{late[0]!r} is in no row before: sort these rows to the top")
        else:
            yield number, [raw.get(name, ABSENT) for name in names], guessed

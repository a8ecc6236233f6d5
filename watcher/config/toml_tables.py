"""Reads TOML tables as sections: a fault is noted with its place, and the reading goes on."""

import difflib
import re
from collections.abc import Callable, Collection
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from watcher.config.sections import Duration, Pause, PositiveAmount, amount, duration, pause

BAD: Any = object()
Section = TypeVar("Section", bound=msgspec.Struct)


class TomlTables:
    """The reading of one file; `problems` are its faults, the dotted key first."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def section(
        self,
        kind: type[Section],
        table: Any,
        path: str,
        merged: dict[str, Any] | None = None,
        below: tuple[str, ...] = (),
    ) -> Section | None:
        """The table's good keys as a section; None where one that it can't do without is missing.

        What is wrong is noted, and what is right is still looked at. `below` are tables in it that
        are read by themselves.
        """
        if not isinstance(table, dict):
            self.note(path, "a table is wanted here")
            return None
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        self.unknown(table, (*fields, *below), path)
        given = {name: value for name, value in (merged or table).items() if name in fields}
        values = {
            name: self.value(fields[name].type, value, f"{path}.{name}")
            for name, value in given.items()
        }
        for name, field in fields.items():
            if field.required and name not in given:
                self.note(f"{path}.{name}", "is missing")
        good = {name: value for name, value in values.items() if value is not BAD}
        complete = all(name in good for name, field in fields.items() if field.required)
        return kind(**good) if complete else None

    def value(self, kind: Any, value: Any, path: str) -> Any:
        """The value as `kind`, BAD (and a note) where it is not one."""
        try:
            return msgspec.convert(value, kind, dec_hook=_decode)
        except (msgspec.ValidationError, ValueError) as error:
            self.note(path, _plain(str(error), kind))
            return BAD

    def table(self, raw: dict[str, Any], name: str) -> dict[str, Any]:
        """The table [name], empty where there is none."""
        table = raw.get(name, {})
        if not isinstance(table, dict):
            self.note(name, f"write [{name}] and keys below it")
            return {}
        return table

    def tables(self, raw: dict[str, Any], name: str) -> list[Any]:
        """Every table [[name]]."""
        tables = raw.get(name, [])
        if not isinstance(tables, list):
            self.note(name, f"write [[{name}]], once for each")
            return []
        return tables

    def unknown(self, table: dict[str, Any], known: tuple[str, ...], path: str) -> None:
        for name in table:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                self.note(f"{path}.{name}".lstrip("."), f"there is no such key{hint}")

    def note(self, path: str, problem: str) -> None:
        """Keep a fault."""
        self.problems.append(f"{path}: {problem}")


def _plain(problem: str, kind: Any) -> str:
    """Return msgspec's message with what could be written instead."""
    if found := re.match(r"Invalid enum value '(.*)'", problem):
        return none_of(found[1], _choices(kind))
    if "got `str`" in problem and re.match(r"Expected `(bool|int|float)", problem):
        return f"{problem}: write it without quotes"
    return problem


def none_of(value: str, choices: Collection[str]) -> str:
    """Return that there is no such word, the one that may be meant, and all that there are."""
    near = difflib.get_close_matches(value, choices, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"there is no {value!r}; {hint}there are: {', '.join(choices)}"


def _choices(kind: Any) -> list[str]:
    """Return the words that a Literal names, wherever it stands in the type."""
    if get_origin(kind) is Literal:
        return [str(word) for word in get_args(kind)]
    return [word for part in get_args(kind) for word in _choices(part)]


def _decode(kind: type, value: Any) -> Any:
    read: dict[type, Callable[[str], Any]] = {
        Duration: duration,
        PositiveAmount: amount,
        Pause: pause,
    }
    if kind not in read:
        raise TypeError(f"no way to read {kind}")
    if not isinstance(value, str):
        raise ValueError(f"{value!r} has to stand in quotes")
    return read[kind](value)

"""Reads TOML tables as sections: a fault is noted with its place, and reading continues."""

import difflib
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from watcher.config.secrets import Secrets
from watcher.config.values import Duration, Pause, PositiveAmount, Secret, amount, duration, pause
from watcher.errors import ConfigError

BAD: Any = object()
Section = TypeVar("Section", bound=msgspec.Struct)
Value = TypeVar("Value")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_IN_TOML = {  # msgspec's names of types, as people write them
    "str": "a text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list in [ ]",
    "object": "a table in { }",
}


class TomlTables:
    """Reads one file; `problems` are its faults, each with its dotted key."""

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets
        self.problems: list[str] = []

    def sections(
        self, raw: dict[str, Any], name: str, kind: type[Section]
    ) -> Iterator[tuple[str, Section]]:
        """Return every valid [[name]] with its path; note what is wrong."""
        for number, table in enumerate(self.tables(raw, name), 1):
            path = f"{name}[{number}]"
            section = self.section(kind, table, path)
            if section is not None:
                yield path, section

    def section(
        self,
        kind: type[Section],
        table: Any,
        path: str,
        merged: dict[str, Any] | None = None,
        below: tuple[str, ...] = (),
    ) -> Section | None:
        """Return the table's valid keys as a section; None if a required one is missing.

        `merged` are its values with the defaults; `below` are nested tables, read elsewhere.
        """
        if not isinstance(table, dict):
            self.note(path, "a table is expected here")
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
        """Return the value as `kind`; note a problem and return BAD if it is not one."""
        try:
            return msgspec.convert(value, kind, dec_hook=_decode)
        except (msgspec.ValidationError, ValueError) as error:
            self.note(path, _plain(str(error), kind))
            return BAD

    def table(self, raw: dict[str, Any], name: str) -> dict[str, Any]:
        """Return the table [name], empty if there is none."""
        table = raw.get(name, {})
        if not isinstance(table, dict):
            self.note(name, f"write [{name}] and keys below it")
            return {}
        return table

    def tables(self, raw: dict[str, Any], name: str) -> list[Any]:
        """Return every table [[name]]."""
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

    def attempt(self, path: str, read: Callable[..., Value], *args: Any) -> Value | None:
        """Return what `read` returns; note its ValueError and return None."""
        try:
            return read(*args)
        except ValueError as error:
            self.note(path, str(error))
            return None

    def key(self, name: str, path: str, variable: str | None, file: str | None) -> Secret | None:
        """Return the key of a panel or shop; note a problem and return None if there is none."""
        where = f"{path}.{'key_file' if file else 'key_env'}"
        return self.attempt(where, self.secrets.key, name, variable, file)

    def check_name(self, name: str, path: str, what: str) -> bool:
        good = _NAME.fullmatch(name) is not None
        self.note_if(path, None if good else f"{what} is letters, digits, - and _, 40 at most")
        return good

    def check_new(self, name: str, taken: set[str], path: str) -> None:
        """Note a name that is used twice."""
        self.note_if(path, f"{name!r} is used twice" if name in taken else None)
        taken.add(name)

    def check_words(self, words: Iterable[str], known: Collection[str], path: str) -> None:
        """Note each word that is not known."""
        for word in words:
            self.note_if(path, None if word in known else none_of(word, known))

    def check_panels(self, names: Iterable[str], panels: Collection[str], path: str) -> None:
        """Note each panel that does not exist."""
        for name in names:
            self.note_if(path, None if name in panels else f"there is no panel {name!r}")

    def note_if(self, path: str, problem: str | None) -> None:
        """Add a fault, if there is one."""
        if problem is not None:
            self.note(path, problem)

    def note(self, path: str, problem: str) -> None:
        """Add a fault."""
        self.problems.append(f"{path}: {problem}")


def read_text(path: Path) -> str:
    """Return the file's text; ConfigError if it can't be read."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: {getattr(error, 'strerror', None) or error}"]) from None


def read_toml(text: str) -> dict[str, Any]:
    """Return the document; ConfigError with the place of its first fault and what may be meant."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{error}{_toml_hint(text, str(error))}"]) from None


def _toml_hint(text: str, problem: str) -> str:
    """Return what to write. The value itself may be a secret: it is not repeated."""
    place = re.search(r"at line (\d+), column (\d+)", problem)
    line = text.split("\n")[int(place[1]) - 1] if place else ""
    name, _, value = line.partition("=")
    if problem.startswith("Illegal character") and value.lstrip().startswith(('"', "'")):
        return ": the text has no quote at its end"
    if problem.startswith("Invalid value") and value.strip():
        return f': a text needs quotes, as {name.strip()} = "…"'
    return f": {name.strip()} has no value" if problem.startswith("Invalid value") else ""


def base_of(path: Path, env: Mapping[str, str]) -> Path:
    """Return the directory that the database's path is relative to."""
    return Path(env.get("STATE_DIRECTORY") or path.resolve().parent)


def _plain(problem: str, kind: Any) -> str:
    """Return msgspec's message, with what to write instead if that is known."""
    if found := re.match(r"Invalid enum value '(.*)'", problem):
        return none_of(found[1], _choices(kind))
    if found := re.match(r"Expected `([^`]+)`, got `(\w+)`$", problem):
        wanted = [_IN_TOML[word] for word in found[1].split(" | ") if word in _IN_TOML]
        if wanted and found[2] in _IN_TOML:
            return f"write {' or '.join(wanted)}, not {_IN_TOML[found[2]]}"
    return problem


def none_of(value: str, choices: Collection[str]) -> str:
    """Return a message that there is no such word, with the nearest one and all valid ones."""
    near = difflib.get_close_matches(value, choices, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"there is no {value!r}; {hint}there are: {', '.join(choices)}"


def _choices(kind: Any) -> list[str]:
    """Return the words of a Literal or an enum, also of one nested in another type."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return [word.value for word in kind]
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
        raise ValueError(f"{value!r} needs quotes")
    return read[kind](value)

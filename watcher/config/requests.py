"""Reads [panels.<name>.request]: how to write and send requests to a panel."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from watcher.config.sections import KeySource, RequestSection
from watcher.config.toml_tables import TomlTables
from watcher.panels.dialect import (
    PLAIN,
    Dialect,
    field_problem,
    header_problem,
    proxy_problem,
    trusting,
)

Problem = Callable[[str, str], str | None]
_LISTED = ("headers", "fields")


def merged(*tables: object) -> dict[str, Any]:
    """Merge tables; a later one overrides an earlier one, but headers and fields add up."""
    result: dict[str, Any] = {}
    for table in tables:
        for name, value in table.items() if isinstance(table, dict) else ():
            before = result.get(name)
            adds_up = name in _LISTED and isinstance(before, dict) and isinstance(value, dict)
            result[name] = _added(before, value) if adds_up else value
    return result


def _added(before: Any, more: dict[str, Any]) -> dict[str, Any]:
    """Merge two tables; names that differ by case alone are one header."""
    again = {name.casefold() for name in more}
    return {name: before[name] for name in before if name.casefold() not in again} | more


def read_request(
    tables: TomlTables,
    given: object,
    path: str,
    base: Mapping[str, Any] | None = None,
) -> Dialect:
    """Read the table over `base` as a Dialect; note what is wrong."""
    if given == {} and not base:
        return PLAIN
    section = tables.section(RequestSection, given, path, merged(base, given))
    if section is None:
        return PLAIN
    return Dialect(
        body=section.body,
        user_agent=_user_agent(tables, section, path),
        headers=named_texts(tables, section.headers, f"{path}.headers", header_problem),
        fields=named_texts(tables, section.fields, f"{path}.fields", field_problem),
        ca=_certificates(tables, section, path),
        proxy=_proxy(tables, section, path),
    )


def _user_agent(tables: TomlTables, section: RequestSection, path: str) -> str | None:
    text = section.user_agent
    if text is not None and (not text.strip() or header_problem("X", text)):
        tables.note(f"{path}.user_agent", "a User-Agent is one line of visible ASCII characters")
    return text


def named_texts(
    tables: TomlTables, given: dict[str, Any], path: str, problem_of: Problem
) -> dict[str, str]:
    """Return texts by name, as of headers; note those that are wrong by `problem_of`."""
    texts: dict[str, str] = {}
    taken: set[str] = set()
    for name, value in given.items():
        text = _text(tables, value, f"{path}.{name}")
        problem = problem_of(name, text or "")
        if name.casefold() in taken:
            problem = "is given twice: case does not count"
        taken.add(name.casefold())
        if problem:
            tables.note(f"{path}.{name}", problem)
        elif text is not None:
            texts[name] = text
    return texts


def _text(tables: TomlTables, value: object, path: str) -> str | None:
    """Return a text, or the value that its KeySource names; note a problem and return None."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        tables.note(path, 'write a text in quotes, { env = "VARIABLE" } or { file = "name" }')
        return None
    before = len(tables.problems)
    source = tables.section(KeySource, value, path)
    if source is None or len(tables.problems) > before:
        return None
    return tables.attempt(path, tables.secrets.value, source)


def _certificates(tables: TomlTables, section: RequestSection, path: str) -> str | None:
    if section.ca_file is None:
        return None
    path = f"{path}.ca_file"
    text = tables.attempt(path, tables.secrets.text, section.ca_file)
    return None if text is None or tables.attempt(path, trusting, text) is None else text


def _proxy(tables: TomlTables, section: RequestSection, path: str) -> str | None:
    if section.proxy is None:
        return None
    proxy = _text(tables, section.proxy, f"{path}.proxy")
    problem = None if proxy is None else proxy_problem(proxy)
    if problem is None and isinstance(section.proxy, str) and "@" in urlsplit(proxy).netloc:
        problem = "a user and a password are secrets: put the URL into a variable and write"
        problem += ' proxy = { env = "VARIABLE" }, or { file = "name" }'
    if problem:
        tables.note(f"{path}.proxy", problem)
        return None
    return proxy

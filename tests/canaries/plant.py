"""Finds the one place in a tree where a fault belongs, and plants it there."""

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.canaries.fault import Fault

_LAYOUT = frozenset(
    (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT)
)


class NotPlanted(Exception):
    """The fault's text was not found, or in several places."""


class Token(NamedTuple):
    """A word of a source, and where it starts and ends: (line, column), lines from 1."""

    text: str
    start: tuple[int, int]
    end: tuple[int, int]


class Place(NamedTuple):
    """Where a fault belongs."""

    path: Path
    start: tuple[int, int]
    end: tuple[int, int]


class Source(NamedTuple):
    """A file of the tree: its lines, and the first and last line of each of its named parts."""

    path: Path
    lines: list[str]
    parts: list[tuple[str, int, int]]


def read_sources(root: Path) -> list[Source]:
    """Read every Python file below `root`."""
    return [_read(path) for path in sorted(root.rglob("*.py"))]


def find(fault: Fault, sources: Iterable[Source]) -> Place:
    """Return the only place for the fault. Raise NotPlanted where there is none, or several."""
    wanted = [token.text for token in tokens_of(fault.old)]
    places = {
        Place(source.path, *span)
        for source in sources
        for first, last in _lines_of(fault.where, source)
        for span in _matches(source, wanted, first, last)
    }
    if len(places) != 1:
        found = f"is in {len(places)} places" if places else "is not found"
        raise NotPlanted(f"{fault.name}: {fault.old!r} {found} in {fault.where}")
    return places.pop()


def planted(text: str, place: Place, new: str) -> str:
    """Return the text with the fault; further lines of `new` are indented as its first."""
    lines = text.splitlines(keepends=True)
    (top, left), (bottom, right) = place.start, place.end
    before, after = lines[top - 1][:left], lines[bottom - 1][right:]
    indent = before[: len(before) - len(before.lstrip())]
    put = before + new.replace("\n", "\n" + indent) + after
    changed = "".join([*lines[: top - 1], put, *lines[bottom:]])
    compile(changed, str(place.path), "exec", dont_inherit=True)
    return changed


def tokens_of(text: str) -> list[Token]:
    """Return the words of a source or a snippet, without what is only its layout."""
    return [
        Token(token.string, token.start, token.end)
        for token in _words(text)
        if token.type not in _LAYOUT and token.string
    ]


def _words(text: str) -> Iterator[tokenize.TokenInfo]:
    with suppress(tokenize.TokenError):  # a snippet may end amid brackets
        yield from tokenize.generate_tokens(io.StringIO(text).readline)


def check_all(faults: Iterable[Fault], root: Path) -> Mapping[str, Place]:
    """Return each fault's place. Raise NotPlanted with all of those that have none."""
    sources, places, problems = read_sources(root), {}, []
    for fault in faults:
        try:
            places[fault.name] = find(fault, sources)
        except NotPlanted as problem:
            problems.append(str(problem))
    if problems:
        raise NotPlanted("\n".join(problems))
    return places


def _read(path: Path) -> Source:
    text = path.read_text()
    return Source(path, text.splitlines(keepends=True), [*_parts(ast.parse(text))])


def _parts(node: ast.AST, outer: str = "") -> Iterator[tuple[str, int, int]]:
    """Yield functions, classes and assigned names, each with its first and last line."""
    for child in ast.iter_child_nodes(node):
        names = _names(child)
        for name in names:
            yield outer + name, child.lineno, child.end_lineno
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from _parts(child, f"{outer}{child.name}." if inside else outer)


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _lines_of(where: str, source: Source) -> list[tuple[int, int]]:
    """Return the lines of the parts with that name, or whose name ends in it."""
    return [
        (first, last)
        for name, first, last in source.parts
        if name == where or name.endswith(f".{where}")
    ]


def _matches(
    source: Source, wanted: list[str], first: int, last: int
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    tokens = tokens_of("".join(source.lines[first - 1 : last]))
    texts = [token.text for token in tokens]
    for at in range(len(tokens) - len(wanted) + 1):
        if texts[at : at + len(wanted)] == wanted:
            (top, left), (bottom, right) = tokens[at].start, tokens[at + len(wanted) - 1].end
            yield (top + first - 1, left), (bottom + first - 1, right)

r"""Bounds the cost of a condition by its text, without evaluating it.

CEL's only loops are its macros (`all`, `exists`, `map`, …), which iterate over a list; if they are
nested, their costs multiply. The engine compiles the pattern of `matches` at each evaluation, which
costs by the number of `\w` and similar classes in it. Everything else takes time in proportion to
the text. A condition within these limits is evaluated in some milliseconds, for any order.
"""

import re

LONGEST = 20_000  # characters
_DEEPEST = 2  # macros in macros
_MOST_ITEMS = {0: 10_000, 1: 1_000, 2: 50}  # of lists, by the depth of macros
_MOST_WIDE, _MOST_NARROW = 30, 2_000  # in patterns, counted with repetitions

_STRING = re.compile(
    r"(?:[rR][bB]?|[bB][rR])(?:'[^']*'|\"[^\"]*\")"  # raw: a backslash stands for itself
    r"|[bB]?(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|//[^\n]*",  # or a comment
    re.DOTALL,
)
_MACRO = re.compile(r"\.\s*(?:all|exists|exists_one|existsOne|map|filter)\s*\(")
_ATOM = re.compile(
    r"(\[(?:[^\]\\]|\\.)*\]|\\[pP]\{[^}]*\}|\\.|.)(?:\{(\d*)(?:,(\d*))?\})?", re.DOTALL
)
_WIDE = re.compile(r"\\[wWsSdDpPbB]|\[\^|^\.$|\[:|[^\x00-\x7f]|\(\?")


def check_cost(text: str) -> None:
    """Raise a ValueError that says why the condition may take too long to evaluate."""
    if len(text) > LONGEST:
        raise ValueError(f"takes too long to evaluate: it has more than {LONGEST:,} characters")
    if "'''" in text or '"""' in text:
        raise ValueError("write text in single or double quotes, not in three")
    bare = _STRING.sub("''", text)
    depth = _depth(bare)
    if depth > _DEEPEST:
        raise ValueError(
            f"takes too long to evaluate: all, exists, map and filter stand {depth} deep in one"
            f" another; simplify it to {_DEEPEST} at the most"
        )
    items, most = bare.count(",") + bare.count("+") + 1, _MOST_ITEMS[depth]
    if items > most:
        raise ValueError(f"takes too long to evaluate: its lists have more than {most} items")
    _check_patterns(text, bare)


def _depth(bare: str) -> int:
    """Return how deep macros are nested."""
    starts = {found.end() - 1 for found in _MACRO.finditer(bare)}
    stack: list[bool] = []
    deepest = 0
    for at, character in enumerate(bare):
        if character == "(":
            stack.append(at in starts)
            deepest = max(deepest, sum(stack)) if at in starts else deepest
        elif character == ")" and stack:
            stack.pop()
    return deepest


def _check_patterns(text: str, bare: str) -> None:
    calls = len(re.findall(r"\bmatches\s*\(", bare))
    if not calls:
        return
    if len(re.findall(r"\.\s*matches\s*\(\s*''\s*\)", bare)) != calls:
        raise ValueError("matches needs its pattern in quotes: order.link.matches('…')")
    wide = narrow = 0
    for string in _STRING.findall(text):
        for is_wide, count in _atoms(string):
            wide, narrow = wide + is_wide * count, narrow + (not is_wide) * count
    if wide > _MOST_WIDE or narrow > _MOST_NARROW:
        raise ValueError(
            "takes too long to evaluate: a pattern of matches repeats too much; write"
            r" [A-Za-z0-9_] for \w, [0-9] for \d, + or * for {1,100}"
        )


def _atoms(pattern: str) -> list[tuple[bool, int]]:
    """Return for each part of a pattern whether it matches very many characters, and how often."""
    pattern = pattern.replace("\\\\", "\\")
    found = list(_ATOM.finditer(pattern))
    groups = 1
    for part in found:
        if part[1] == ")":
            groups *= _repeats(part)
    return [(bool(_WIDE.search(part[1])), _repeats(part) * groups) for part in found]


def _repeats(part: re.Match[str]) -> int:
    counts = [int(count) for count in (part[2], part[3]) if count]
    return max([1, *counts])

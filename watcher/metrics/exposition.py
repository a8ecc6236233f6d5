"""Spells metrics for Prometheus, in either format, letter by letter as prometheus-client does.

Nearly all of a scrape is as it was at the last one: names and labels always are, and so are most
numbers. So the lines of each child (a set of label values) are kept, and spelled anew only where
its numbers have changed. What goes takes its lines along.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, compress, count
from operator import ne
from typing import Any, NamedTuple

from prometheus_client import exposition
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]  # a child's values, in the order of the family's names
Value = float | tuple[float, ...]

_number: Callable[[float], str] = floatToGoString
_PORTION = 500  # children: some ms where all are new


class Family(NamedTuple):
    """A metric, and all it says now.

    A child's value is a number; of a histogram it is how many fell in each bucket, and the sum. A
    histogram's bounds are positive, the last is infinite.
    """

    name: str
    kind: str
    text: str
    labels: Labels  # their names
    children: list[Labels]
    values: list[Value]  # of each child
    bounds: tuple[float, ...] = ()


class Format(NamedTuple):
    """What is around the series, which look the same in both formats."""

    content_type: str
    generate: Callable[[Collector], bytes]
    head: Callable[[Family], str]
    end: bytes

    def others(self, collector: Collector) -> bytes:
        """Metrics of others: few, so the library spells them."""
        return self.generate(collector).removesuffix(self.end)


class Speller:
    """Keeps what it spelled."""

    def __init__(self) -> None:
        self._kept: dict[str, _Lines] = {}

    def lines(self, family: Family) -> Iterator[list[bytes]]:
        """Each child's lines, some hundred children at a time. One family is spelled at a time."""
        kept = self._kept.get(family.name)
        if kept is None:
            kept = self._kept[family.name] = _Lines(family)
        yield from kept.of(family)


class _Lines:
    """A family's, as they were spelled last. Its lists have a place for each child.

    To compare lists takes a tenth of what a loop over children would: few values differ.
    """

    def __init__(self, family: Family) -> None:
        self._pattern = _pattern(family)
        self._spell = _spell_histogram if family.kind == "histogram" else _spell
        self._children: list[Labels] = []
        self._templates: list[str] = []  # "" for what was not spelled yet
        self._values: list[Value | None] = []
        self._lines: list[bytes] = []

    def of(self, family: Family) -> Iterator[list[bytes]]:
        if self._children != family.children:
            self._place(family.children)
        for first in range(0, len(family.children), _PORTION):
            portion = slice(first, first + _PORTION)
            differ = map(ne, self._values[portion], family.values[portion])
            for place in compress(count(first), differ):
                self._respell(place, family.values[place])
            yield self._lines[portion]

    def _place(self, children: list[Labels]) -> None:
        """A place for each of these; what is kept of others goes."""
        kept = zip(self._templates, self._values, self._lines, strict=True)
        known = dict(zip(self._children, kept, strict=True))
        placed = [known.get(child, ("", None, b"")) for child in children]
        self._children = children
        self._templates = [template for template, _, _ in placed]
        self._values = [value for _, value, _ in placed]
        self._lines = [lines for _, _, lines in placed]

    def _respell(self, place: int, value: Value) -> None:
        template = self._templates[place]
        if not template:
            template = self._pattern.format(*map(_value, self._children[place]))
            self._templates[place] = template
        self._lines[place] = self._spell(template, value).encode()
        self._values[place] = value


def _spell(template: str, value: Any) -> str:
    return template % _number(value)


def _spell_histogram(template: str, value: Any) -> str:
    """Its buckets are told with all below them, and the last of these is the count."""
    *buckets, total = value
    below = [*accumulate(buckets)]
    return template % tuple(map(_number, (*below, below[-1], total)))


def _pattern(family: Family) -> str:
    """A child's lines, with gaps: {0} for its first label's value, %s for each of its numbers."""
    gaps = {label: f"{{{place}}}" for place, label in enumerate(family.labels)}
    return "".join(_line(family.name + suffix, gaps | more) for suffix, more in _series(family))


def _series(family: Family) -> Iterator[tuple[str, dict[str, str]]]:
    """A child's series: what is added to the name, and to the labels."""
    match family.kind:
        case "histogram":
            for bound in family.bounds:
                yield "_bucket", {"le": _number(bound)}
            yield "_count", {}
            yield "_sum", {}
        case "counter":
            yield "_total", {}
        case _:
            yield "", {}


def _line(name: str, labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{{{pairs}}}}} %s\n" if pairs else f"{name} %s\n"


def _value(text: str) -> str:
    """A label's value, for a place in a template."""
    return _quoted(text).replace("%", "%%")


def _quoted(text: str) -> str:
    return _one_line(text).replace('"', r"\"")


def _one_line(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _plain_head(family: Family) -> str:
    name = family.name + "_total" if family.kind == "counter" else family.name
    return f"# HELP {name} {_one_line(family.text)}\n# TYPE {name} {family.kind}\n"


def _openmetrics_head(family: Family) -> str:
    name = family.name
    return f"# HELP {name} {_quoted(family.text)}\n# TYPE {name} {family.kind}\n"


PLAIN = Format(exposition.CONTENT_TYPE_LATEST, exposition.generate_latest, _plain_head, b"")
OPENMETRICS = Format(
    openmetrics.CONTENT_TYPE_LATEST, openmetrics.generate_latest, _openmetrics_head, b"# EOF\n"
)

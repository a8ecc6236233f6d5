"""Renders metrics for Prometheus in slices: the event loop runs other tasks between them.

A thread does not help: while it renders, each callback of a busy event loop waits anew for the
interpreter's lock: with 200 panels the loop then paused for more than a second.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from prometheus_client import Counter, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

M = TypeVar("M", Counter, Histogram)

_SLICE = 200  # samples: two to three milliseconds


class TextFormat(Protocol):
    """A text format of Prometheus: a module of prometheus-client."""

    CONTENT_TYPE_LATEST: str

    def generate_latest(self, registry: Collector, /) -> bytes:
        """Return the text of all that `registry` collects."""
        ...


class Parts(Collector, Generic[M]):
    """A metric that is kept apart by the value of its first label, such as the panel.

    prometheus-client collects a metric in one go, which takes 70 ms where 200 panels have 10,000
    series of it; a part takes less than one.
    """

    def __init__(
        self, kind: type[M], name: str, text: str, labels: Sequence[str], **options: Any
    ) -> None:
        self._kind: type[M] = kind
        self._arguments = (f"watcher_{name}", text, labels)
        self._options = {**options, "registry": None}
        self._none: M = self._make()  # gives name and help if there is no part
        self._parts: dict[str, M] = {}

    def labels(self, first: str, *others: str) -> M:
        """Return the series with these values of the labels; create it at zero if it is new."""
        part = self._parts.get(first)
        if part is None:
            part = self._parts[first] = self._make()
        return part.labels(first, *others)

    def forget(self, first: str) -> None:
        """Remove all series whose first label has this value."""
        self._parts.pop(first, None)

    def collect(self) -> Iterator[Metric]:
        """Yield the metric without series, then its parts."""
        yield from self._none.collect()
        for part in list(self._parts.values()):
            yield from part.collect()

    def _make(self) -> M:
        return self._kind(*self._arguments, **self._options)


def slices(metrics: Iterable[Metric], form: TextFormat) -> Iterator[bytes]:
    """Yield the metrics' text. Adjacent metrics of one name are written as one."""
    end = form.generate_latest(_Only())
    name = ""
    for metric in metrics:
        for piece in _pieces(metric):
            text = form.generate_latest(_Only(piece)).removesuffix(end)
            yield _without_head(text) if piece.name == name else text
            name = piece.name
    yield end


def _pieces(metric: Metric) -> Iterator[Metric]:
    if len(metric.samples) <= _SLICE:
        yield metric
        return
    for first in range(0, len(metric.samples), _SLICE):
        piece = Metric(metric.name, metric.documentation, metric.type)
        piece.samples = metric.samples[first : first + _SLICE]
        yield piece


def _without_head(text: bytes) -> bytes:
    """Leave out the two lines with the metric's help and type."""
    return text.split(b"\n", 2)[2]


class _Only(Collector):
    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics

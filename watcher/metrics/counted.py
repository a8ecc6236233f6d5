"""Reads prometheus-client's counters and histograms.

By attributes that it calls private: its own `collect` makes several objects for each series, and
takes forty times as long. tests/unit/test_spelling.py fails should a version of it have others.
"""

from collections.abc import Iterable
from typing import Any

from prometheus_client import Counter, Histogram

from watcher.metrics.exposition import Family, Value


def read(metric: Counter | Histogram) -> Family:
    """What it has counted so far."""
    # A copy, as a thread may count what was not there yet.
    children: dict[Any, Any] = metric._metrics.copy() if metric._labelnames else {(): metric}
    head = metric._name, metric._type, metric._documentation, metric._labelnames
    if isinstance(metric, Counter):
        return Family(*head, [*children], _counters(children.values()))
    bounds = tuple(metric._upper_bounds)
    return Family(*head, [*children], _histograms(children.values()), bounds)


def _counters(children: Iterable[Any]) -> list[Value]:
    return [child._value._value for child in children]


def _histograms(children: Iterable[Any]) -> list[Value]:
    return [
        (*[bucket._value for bucket in child._buckets], child._sum._value) for child in children
    ]

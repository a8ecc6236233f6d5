"""What a daemon's metrics tell, without its server."""

from collections.abc import Iterator
from itertools import chain

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from watcher.metrics import Metrics
from watcher.metrics.exposition import PLAIN, Format


def text(metrics: Metrics, form: Format = PLAIN) -> str:
    """All of it."""
    return b"".join(chain.from_iterable(metrics.spell(form))).decode()


def series(metrics: Metrics) -> Iterator[Sample]:
    """Each with its labels and its value."""
    for family in text_string_to_metric_families(text(metrics)):
        yield from family.samples

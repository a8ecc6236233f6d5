"""What a daemon's metrics tell, without its server."""

from collections.abc import Iterator

from prometheus_client import exposition
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from watcher.metrics import Metrics
from watcher.metrics.rendering import slices


def text(metrics: Metrics) -> str:
    """All of it."""
    return b"".join(slices(metrics.collect(), exposition)).decode()


def series(metrics: Metrics) -> Iterator[Sample]:
    """Each with its labels and its value."""
    for family in text_string_to_metric_families(text(metrics)):
        yield from family.samples

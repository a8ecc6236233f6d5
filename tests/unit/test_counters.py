"""What is counted begins at zero: an alert sees no rise of a series that begins with one."""

from watcher.metrics import Metrics


def test_errors_of_the_database_begin_at_zero():
    metrics = Metrics()
    metrics.count_operation("record", 0.1, failed=False)
    assert value(metrics, "watcher_db_errors_total", operation="record") == 0
    metrics.count_operation("record", 0.1, failed=True)
    assert value(metrics, "watcher_db_errors_total", operation="record") == 1


def test_missed_runs_begin_at_zero():
    metrics = Metrics()
    metrics.count_start("poll", 0.1)
    assert value(metrics, "watcher_scheduler_runs_missed_total", task="poll") == 0
    assert value(metrics, "watcher_scheduler_lateness_seconds_count", task="poll") == 1


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)

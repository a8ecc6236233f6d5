"""Expressions as the dashboards need them, with the variables `job` and `instance` in each."""

from collections.abc import Mapping

from grafana.source.alerts import EXCUSED, SPEND_RATE

Queries = Mapping[str, str]  # a legend -> an expression


def scope(*more: str) -> str:
    """The matchers that every selector has, and `more`."""
    return "{" + ", ".join(('job=~"$job"', 'instance=~"$instance"', *more)) + "}"


def per_minute(metric: str, by: str = "", *more: str) -> str:
    """How much the counter `metric` grows in a minute, in all or by some labels."""
    return f"60 * sum{_by(by)} (rate({metric}{scope(*more)}[$__rate_interval]))"


def in_range(metric: str, by: str = "", *more: str) -> str:
    """How much the counter `metric` grew in the time that is shown."""
    return f"sum{_by(by)} (increase({metric}{scope(*more)}[$__range]))"


def quantile(share: float, metric: str, by: str = "", *more: str) -> str:
    """A quantile of the histogram `metric`."""
    labels = f"le, {by}" if by else "le"
    rate = f"rate({metric}_bucket{scope(*more)}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by ({labels}) ({rate}))"


def quantiles(metric: str, *more: str) -> Queries:
    """The middle, the slow and the slowest."""
    return {f"{share:.0%}": quantile(share, metric, "", *more) for share in (0.5, 0.95, 0.99)}


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def late(by: str = "", *more: str) -> str:
    """For how long the order that waits longest for its check has been due; 0 where none waits."""
    due = f"watcher_poll_oldest_due_timestamp_seconds{scope(*more)}"
    return f"max{_by(by)} (clamp_min(time() - {due}, 0) * ({due} > bool 0))"


def lasts(by: str = "", *more: str) -> str:
    """How long the balance lasts at the spend of the last 6 hours; nothing where none was spent."""
    balance = f"max without (currency, instance) (watcher_panel_balance{scope(*more)})"
    spend = f"sum without (instance) ({SPEND_RATE}{scope(*more)})"
    return f"min{_by(by)} (clamp_min({balance}, 0) / ({spend} > 0))"


def failing(by: str = "", *more: str) -> str:
    """The share of requests in the time shown that failed, as the alerts count it."""
    unexcused = f'reason!~"{EXCUSED}"'
    failed = in_range("watcher_panel_request_failures_total", by, unexcused, *more)
    return f"{failed} / {in_range('watcher_panel_requests_total', by, *more)}"

"""What is too much or too late, in the alerts and on the dashboards.

What [attention] sets is here by its defaults: a dashboard's colours can't follow a configuration.
"""

from watcher.config import DaemonSection, PanelSection, Thresholds

_DEFAULTS = Thresholds()

DOWN_FOR = 300  # seconds
RESTARTS = 3  # in half an hour
MISSED_POLLS = 3
RAREST_POLL = 60  # seconds: a panel with nothing due is thought of once a minute
FAILURE_BUDGET = 0.01  # of requests in a month
FAST_BURN, SLOW_BURN = 14.4, 6.0  # times too fast: 2 % of the budget in an hour, 5 % in six
STALLED = 0  # orders
ENOUGH_OPEN = 10  # orders of which at least one should change in six hours
CHECKS_LATE = int(PanelSection().check_within)  # seconds
HOURS_LEFT = int(_DEFAULTS.balance_lasts_critical / 3600)  # until the balance is used up
UNRESOLVED = 0  # actions
LATENESS = 30  # seconds
CLOCKS_APART = 1  # seconds
BACKUP_HOURS = int(1.5 * DaemonSection().backup_every / 3600)


def spell(seconds: float) -> str:
    """A duration as Prometheus writes it: 300 -> "5m"."""
    whole = int(seconds)
    for unit, size in (("h", 3600), ("m", 60)):
        if whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"

"""States of a daemon and its panels, in which all is well but for what a test changes."""

from watcher.metrics.gauges import DaemonState, PanelState
from watcher.model import Kind

NOW = 1_750_000_000.0


def a_panel(**fields: object) -> PanelState:
    usual: dict[str, object] = {
        "name": "p",
        "up": True,
        "last_success": NOW - 100,
        "poll_interval": 1.0,
        "backoff_until": 0.0,
        "due": 0,
        "oldest_due": 0.0,
        "oldest_open": 0.0,
        "stalled": 0,
        "statuses": {},
        "pending": {},
        "unresolved": dict.fromkeys(Kind, 0),
        "balance": 100.0,
        "currency": "USD",
        "threshold": 10.0,
        "balance_at": NOW - 100,
        "balance_every": 300.0,
    }
    return PanelState(**(usual | fields))  # type: ignore[arg-type]


def a_state(**fields: object) -> DaemonState:
    usual: dict[str, object] = {
        "revision": "r",
        "engine": ("sqlite", "3.40.0"),
        "started_at": NOW - 86400,
        "reload_problems": (),
        "reload_at": NOW - 86400,
        "backup_at": NOW - 3600,
        "backup_every": 86400.0,
        "backup_problem": None,
        "integrity_ok": True,
        "files_problem": None,
        "db_failed_at": 0.0,
        "db_bytes": 12_345_678,
        "wal_bytes": 0,
        "notifiers": (),
        "receivers": (),
        "panels": [a_panel()],
        "rules": (),
    }
    return DaemonState(**(usual | fields))  # type: ignore[arg-type]

"""The daemon itself: is it late, does the database keep up, what does it use?"""

from grafana_foundation_sdk.models.dashboard import Panel

from grafana.source import board
from grafana.source import thresholds as at
from grafana.source.board import Row
from grafana.source.kit import bars, graph, stat
from grafana.source.looks import GREEN, IS_UP, RED, beyond, more_than, over, words
from grafana.source.promql import per_minute, quantile, quantiles, scope
from grafana.source.tables import Column, table

_ALL = scope()


def dashboard() -> str:
    """The file."""
    return board.dashboard(
        "internals",
        "Daemon internals",
        "The daemon itself: is it late, does the database keep up, what does it use?",
        [
            Row(4, _verdict()),
            "Is it late?",
            Row(8, _punctuality()),
            "Database",
            Row(8, _database()),
            "Machine",
            Row(8, _machine()),
            "Cluster",
            Row(8, _cluster()),
        ],
    )


def _verdict() -> list[Panel]:
    return [
        stat(
            "Version",
            "What runs: watcher, Python, SQLite.",
            f"max by (version, python, sqlite) (watcher_build_info{_ALL})",
            name="{{version}}, Python {{python}}",
        ),
        stat(
            "Running for",
            "Time since the last start.",
            f"time() - max(process_start_time_seconds{_ALL})",
            "s",
            decimals=1,
        ),
        stat(
            "Restarts in 30 min",
            "How often the process was exchanged.",
            f"max(changes(process_start_time_seconds{_ALL}[30m]))",
            steps=more_than(at.RESTARTS),
        ),
        stat(
            "Configuration",
            "Whether what is on disk is what is in force.",
            f"min(watcher_config_last_reload_successful{_ALL})",
            steps=IS_UP,
            mappings=words(_0=("refused", RED), _1=("in force", GREEN)),
        ),
        stat(
            "Configured",
            "Time since a configuration was last accepted.",
            f"time() - max(watcher_config_last_reload_success_timestamp_seconds{_ALL})",
            "s",
            decimals=1,
        ),
        stat(
            "Database",
            "What SQLite's last integrity check found, and whether the files are in place.",
            f"min(watcher_db_integrity_ok{_ALL}) * min(watcher_db_handle_ok{_ALL})",
            steps=IS_UP,
            mappings=words(_0=("damaged", RED), _1=("sound", GREEN)),
        ),
        stat(
            "Last backup",
            "Age of the last copy of the database; on PostgreSQL, of its newest archived log.",
            f"time() - (min(watcher_db_last_backup_timestamp_seconds{_ALL})"
            f" or min(watcher_db_wal_archived_timestamp_seconds{_ALL}))",
            "s",
            over(at.BACKUP_HOURS * 3600),
            beyond(1e9, "never", RED),
            decimals=1,
        ),
        stat(
            "Scheduler late",
            "95 % of the tasks start less late than this.",
            f"max({quantile(0.95, 'watcher_scheduler_lateness_seconds', 'task')})",
            "s",
            over(at.LATENESS),
            decimals=1,
        ),
    ]


def _punctuality() -> list[Panel]:
    return [
        graph(
            "Event loop late",
            "How late a timer fires: everything in the daemon waits at least that long.",
            quantiles("watcher_event_loop_lag_seconds"),
            "s",
        ),
        graph(
            "Scheduler late",
            "How late each task starts, for 95 % of its runs.",
            {"{{task}}": quantile(0.95, "watcher_scheduler_lateness_seconds", "task")},
            "s",
            at.LATENESS,
        ),
        graph(
            "Runs missed a minute",
            "Scheduled runs that were skipped, because the one before was still going.",
            {"{{task}}": per_minute("watcher_scheduler_runs_missed_total", "task")},
            "short",
        ),
    ]


def _database() -> list[Panel]:
    return [
        graph(
            "Operations take",
            "Time of SQLite operations with their waiting: the middle, the slow and the slowest.",
            quantiles("watcher_db_operation_duration_seconds"),
            "s",
        ),
        bars(
            "Most time goes to",
            "The operations that take most of the database's time; 100 % is all of its time.",
            {
                "{{operation}}": "topk(6, sum by (operation) (rate("
                f"watcher_db_operation_duration_seconds_sum{_ALL}[$__rate_interval])))"
            },
            "percentunit",
            maximum=1,
        ),
        graph(
            "Operations a minute",
            "How many there are, and how many of them failed. Any failure is an alert.",
            {
                "all": per_minute("watcher_db_operation_duration_seconds_count"),
                "failed": per_minute("watcher_db_errors_total"),
            },
            "short",
            colors={"failed": RED},
        ),
        graph(
            "Size",
            "The database file and its write-ahead log.",
            {
                "database": f"max(watcher_db_size_bytes{_ALL})",
                "write-ahead log": f"max(watcher_db_wal_size_bytes{_ALL})",
            },
            "bytes",
        ),
    ]


def _machine() -> list[Panel]:
    return [
        graph(
            "Memory",
            "What the process occupies in memory.",
            {"{{instance}}": f"process_resident_memory_bytes{_ALL}"},
            "bytes",
        ),
        graph(
            "CPU",
            "Share of one core. At 100 % the daemon can't do more: it runs in one thread.",
            {
                "{{instance}}": "sum by (instance)"
                f" (rate(process_cpu_seconds_total{_ALL}[$__rate_interval]))"
            },
            "percentunit",
        ),
        graph(
            "Garbage collections a minute",
            "By generation. The oldest takes longest.",
            {"generation {{generation}}": per_minute("python_gc_collections_total", "generation")},
            "short",
        ),
        graph(
            "Open files",
            "Files and sockets that the process has open, of those that it may.",
            {"{{instance}}": f"process_open_fds{_ALL} / process_max_fds{_ALL}"},
            "percentunit",
        ),
    ]


def _cluster() -> list[Panel]:
    return [
        graph(
            "Panels led",
            "How many panels each node of a cluster leads. Empty: there is no cluster.",
            {"{{node}}": f"max by (node) (watcher_node_panels{_ALL})"},
            "short",
        ),
        graph(
            "Lease left",
            "How long each node's lease lasts unless it is renewed. At 0 the others take over.",
            {
                "{{node}}": "max by (node)"
                f" (watcher_node_lease_until_timestamp_seconds{_ALL}) - time()"
            },
            "s",
        ),
        table(
            "Who leads",
            "Which node leads which panel.",
            {"panel": "Panel", "node": "Node"},
            [Column("Led", f"max by (panel, node) (watcher_panel_leader{_ALL})", hidden=True)],
            empty="there is no cluster",
        ),
    ]

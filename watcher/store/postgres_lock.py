"""The advisory locks of a PostgreSQL: of its daemon, or of the nodes that share it."""

from typing import Any

from watcher.errors import StoreBusy
from watcher.store.postgres import driver

LOCKS = 0x57415443  # "WATC": the first number of our advisory locks
OWNER, WRITER = 1, 2  # the second: held while a daemon runs, and by each writing transaction
_HOLDER = """
SELECT application_name, coalesce(host(client_addr), 'this machine'), pid,
  to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI UTC')
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND granted
  AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def take(connection: Any, place: str, last: int | None, *, shared: bool = False) -> int:
    """Take the lock of the database's only daemon; return the session's process id.

    `last` is our former session, which the server may not know to be gone. Nodes of a cluster
    share the lock.
    """
    holders = connection.execute(_HOLDER, (LOCKS, OWNER)).fetchall()
    if any(holder[2] == last for holder in holders):
        connection.execute("SELECT pg_terminate_backend(%s)", (last,))
    holder = holders[0] if holders else None
    lock = "pg_advisory_lock_shared" if shared else "pg_advisory_lock"
    try:
        connection.execute(f"SELECT {lock}(%s, %s)", (LOCKS, OWNER))
    except driver().errors.LockNotAvailable:
        name, where, _, since = holder or ("unknown", "unknown", 0, "now")
        raise StoreBusy(
            f"{place} is in use by another watcher ({name}, from {where}, since {since}):"
            " stop that one first"
        ) from None
    return int(connection.info.backend_pid)


def take_alone(connection: Any) -> bool:
    """Take the lock if nobody has it; return whether that was so."""
    taken = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCKS, OWNER)).fetchone()
    return bool(taken[0])


def share(connection: Any) -> None:
    """Share with other nodes the lock that the session has alone."""
    connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", (LOCKS, OWNER))
    connection.execute("SELECT pg_advisory_unlock(%s, %s)", (LOCKS, OWNER))

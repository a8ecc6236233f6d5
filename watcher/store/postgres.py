"""Everything that only PostgreSQL has: its driver, its sessions' settings, checks and SQLSTATEs.

The driver is an extra (`watcher[postgres]`), so it is imported when a URL is configured.
"""

import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

from watcher.common.postgres_url import PostgresUrl, is_installed
from watcher.errors import (
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreGone,
    StoreRefused,
)
from watcher.store.dialect import IN_BINARY

OLDEST = 14  # the first version that is supported
CONNECT_WITHIN = 5  # seconds
READERS = 6  # sessions
# libpq notices a server that is gone, also where nobody says so: after about 25 s.
_NETWORK: dict[str, Any] = {
    "connect_timeout": CONNECT_WITHIN,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "client_encoding": "utf8",
}
# JIT compilation takes longer than our statements. They go by indexes, which a plan for spinning
# disks would shun. The server notices a client that is gone.
_SESSION = """
SET client_min_messages = warning; SET jit = off; SET random_page_cost = 1.1;
SET statement_timeout = '120s';
SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3
"""
# A transaction that stands still is ended, so that a stopped daemon keeps nobody from writing.
_WRITING = """
SET default_transaction_read_only = off; SET lock_timeout = '5s';
SET idle_in_transaction_session_timeout = '10s'
"""
_READING = "SET default_transaction_read_only = on"
_STATE = """
SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
  pg_is_in_recovery(), current_schema(), current_user, current_setting('synchronous_commit'),
  current_setting('fsync')
"""
_RIGHTS = """
SELECT relname FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind IN ('r', 'p')
  AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
    AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
"""
_TABLES = """
SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')
  AND relnamespace = to_regnamespace(quote_ident(current_schema())) ORDER BY relname
"""
# By SQLSTATE, the whole one or its class. {text} is the server's own message.
_MESSAGES: dict[str, tuple[type[StoreError], str]] = {
    "08": (StoreGone, "{place} can't be reached ({text}): see to the server and the network"),
    "57P": (StoreGone, "{place} ended the connection ({text}): see to the server"),
    "25P03": (StoreGone, "{place} ended a transaction that stood still ({text})"),
    "25006": (
        StoreGone,
        "{place} can't be written ({text}): it is a standby, or read-only: name the primary",
    ),
    "53": (StoreBusy, "{place} is short of something ({text}): see to the server's limits"),
    "53100": (StoreFull, "no room left for {place} ({text}): make room on its server's disk"),
    "55P03": (StoreBusy, "{place} is locked by another session: stop what else uses it, or wait"),
    "57014": (StoreBusy, "{place} took too long ({text}): see what else its server does"),
    "40": (StoreBusy, "{place} is busy ({text}): wait, and try again"),
    "22": (StoreRefused, "{place} can't hold a value: {text}"),
    "23": (StoreRefused, "{place}: {text}"),
    "42501": (
        StoreError,
        "{place}: a right is missing ({text}): see docs/postgres.md for the roles",
    ),
    "42P01": (StoreError, "{place}: a table is missing ({text}): restore it, or name another"),
    "58": (StoreCorrupt, "{place} can't be read or written ({text}): see to its server's disk"),
    "XX001": (StoreCorrupt, "{place} is damaged ({text}): stop the watcher and restore it"),
    "XX002": (StoreCorrupt, "{place} is damaged ({text}): stop the watcher and restore it"),
}


def driver() -> Any:
    """Return psycopg; StoreError if it is not installed."""
    if not is_installed():
        raise StoreError("PostgreSQL needs psycopg: pip install 'watcher[postgres]'")
    import psycopg

    return psycopg


# By words of the server or of libpq, which give no SQLSTATE before a session is there.
_REFUSALS: tuple[tuple[str, str], ...] = (
    (
        "password|authentication|no pg_hba.conf entry|role .* does not exist|permitted to log in",
        "the server refuses the user or its password ({text}): see database_password_file in"
        " [daemon], and pg_hba.conf",
    ),
    ("database .* does not exist", "the server has no such database ({text}): create it"),
    ("SSL|TLS|certificate|channel binding", "TLS fails ({text}): see sslmode in the URL"),
)


# --- connections ---


def engine(connect: Callable[[], Any], connections: int) -> Engine:
    """Return an engine of at most so many connections, each made by `connect`.

    They are in the driver's autocommit mode: who writes begins its transactions itself.
    """
    made = create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=60,
        pool_reset_on_return=None,
        use_native_hstore=False,
    )
    event.listen(made, "before_cursor_execute", _before_statement)
    return made


def _before_statement(_: Connection, cursor: Any, *more: Any) -> None:
    """Get rows in binary where that is wanted: numbers then take no text, on either side."""
    _, _, context, _ = more
    if context.execution_options.get(IN_BINARY):
        cursor.format = driver().pq.Format.BINARY


def session(url: PostgresUrl, *, writing: bool, within: float | None = None) -> Any:
    """Return a new connection of the driver, with the settings that the store relies on.

    Statements that take longer than `within` seconds fail, as does a connection that is silent for
    so long. Raises StoreError.
    """
    given = {"application_name": f"watcher {os.getpid()} on {socket.gethostname()}"[:63]}
    if url.password:
        given["password"] = url.password
    if "target_session_attrs" not in url.text:  # of several servers, the one that can be written
        given["target_session_attrs"] = "primary"
    network = _NETWORK
    if within is not None:
        most = {"connect_timeout": max(2, round(within)), "tcp_user_timeout": round(within * 1000)}
        network = {**_NETWORK, **most}
    with driver_errors(str(url)):
        connection = driver().connect(url.text, autocommit=True, **network, **given)
        try:
            connection.execute(f"{_SESSION}; {_WRITING if writing else _READING}")
            if within is not None:
                most_ms = f"{within * 1000:.0f}"
                connection.execute(
                    f"SET statement_timeout = {most_ms}; SET lock_timeout = {most_ms}"
                )
            return connection
        except BaseException:
            connection.close()
            raise


@contextmanager
def unhurried(connection: Any) -> Iterator[None]:
    """Set no limits to the time of statements meanwhile: a migration may take minutes."""
    connection.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
    yield
    connection.execute(f"{_SESSION}; {_WRITING}")


@contextmanager
def driver_errors(place: str) -> Iterator[None]:
    """Raise the driver's own errors, which SQLAlchemy has not seen, as a StoreError."""
    try:
        yield
    except driver().Error as error:
        raise store_error(error, place) from error


def refuse_unfit(connection: Any, place: str) -> str:
    """Return the server's version; StoreError if the database can't be used as it is."""
    number, encoding, is_standby, schema, user, commit, fsync = connection.execute(
        _STATE
    ).fetchone()
    if number < OLDEST * 10_000:
        raise StoreError(f"{place} is PostgreSQL {number // 10_000}: {OLDEST} or newer is needed")
    if encoding != "UTF8":
        raise StoreError(
            f"{place} has the encoding {encoding}, not UTF8: create the database with"
            " ENCODING 'UTF8' TEMPLATE template0"
        )
    if is_standby:
        raise StoreGone(f"{place} is a standby, which can't be written: name the primary")
    if schema is None:
        raise StoreError(f"{place}: no schema of {user}'s search_path exists: see docs/postgres.md")
    if "off" in (commit, fsync):
        setting = "fsync" if fsync == "off" else "synchronous_commit"
        raise StoreError(
            f"{place} has {setting} off: a crash would forget what was sent, and it would be sent"
            f" again: set {setting} to on"
        )
    closed = [row[0] for row in connection.execute(_RIGHTS).fetchall()]
    if closed:
        raise StoreError(
            f"{place}: {user} may not write {', '.join(closed[:3])}: see docs/postgres.md for roles"
        )
    return f"{number // 10_000}.{number % 10_000}"


def refuse_foreign(connection: Any, place: str) -> bool:
    """Return whether there are tables; StoreError if another program's, or none can be created."""
    tables = {row[0] for row in connection.execute(_TABLES).fetchall()}
    if tables and not {"alembic_version", "order_states"} <= tables:
        some = ", ".join(sorted(tables)[:3])
        raise StoreError(
            f"{place} has another program's tables ({some}): name a database of its own"
        )
    may = connection.execute(
        "SELECT has_schema_privilege(current_schema(), 'CREATE'), current_user, current_schema()"
    ).fetchone()
    if not tables and not may[0]:
        raise StoreError(
            f"{place}: {may[1]} may not create tables in the schema {may[2]}: see docs/postgres.md"
            " for the roles"
        )
    return bool(tables)


def answers(cursor: Any) -> list[list[Any]]:
    """Return the rows of each statement of one message."""
    found = []
    while True:
        found.append(cursor.fetchall() if cursor.description else [])
        if not cursor.nextset():
            return found


# --- errors ---


def store_error(cause: BaseException, place: object) -> StoreError:
    """Return the driver's error as a StoreError that says what to do."""
    code = getattr(cause, "sqlstate", None) or ""
    text = _words(cause)
    found = next((_MESSAGES[code[:n]] for n in (5, 3, 2) if code[:n] in _MESSAGES), None)
    if found is None:
        kind = type(cause).__name__
        if is_about_data(cause):
            found = _MESSAGES["22"]
        elif kind == "OperationalError" and not code:
            found = _refusal(text) or _MESSAGES["08"]
        else:
            found = StoreError, "{place}: {text}"
    return found[0](found[1].format(place=place, text=text))


def is_about_data(cause: BaseException) -> bool:
    """Return whether the data caused the driver's error."""
    code = getattr(cause, "sqlstate", None)
    if code:
        return code[:2] in ("22", "23")
    return type(cause).__name__ in ("DataError", "IntegrityError", "ProgrammingError")


def _refusal(text: str) -> tuple[type[StoreError], str] | None:
    """Return the error and its message if a session was refused for what is configured."""
    for words, message in _REFUSALS:
        if re.search(words, text):
            return StoreError, f"{{place}}: {message}"
    return None


def _words(error: BaseException) -> str:
    """Return the error's message in one line."""
    diagnosis = getattr(error, "diag", None)
    said = getattr(diagnosis, "message_primary", None) or str(error)
    said = re.sub(r"^connection (failed|is bad): (connection to server .* failed: )?", "", said)
    return " ".join(said.split()) or type(error).__name__

"""Reads where the database is: a file's path, or the URL of a PostgreSQL with its password."""

from pathlib import Path

from watcher.common.postgres_url import (
    DatabaseLocation,
    PostgresUrl,
    is_installed,
    is_url,
    url_problem,
)
from watcher.config.sections import DaemonSection
from watcher.config.toml_tables import TomlTables


def read_database(
    tables: TomlTables, daemon: DaemonSection, state_directory: Path
) -> DatabaseLocation:
    """Return where the database is; notes what is wrong with it."""
    text = daemon.database.strip()
    if not is_url(text):
        return state_directory / Path(daemon.database).expanduser()
    problem = url_problem(text)
    if problem is None and not is_installed():
        problem = "PostgreSQL needs psycopg: pip install 'watcher[postgres]'"
    tables.note_if("daemon.database", problem)
    where = f"daemon.database_password_{'file' if daemon.database_password_file else 'env'}"
    password = tables.attempt(
        where,
        tables.secrets.database_password,
        daemon.database_password_env,
        daemon.database_password_file,
    )
    return PostgresUrl(text, password.reveal() if password else None, state_directory)

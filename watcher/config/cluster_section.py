"""Reads [cluster]: this watcher as a node of several."""

import re
import socket
from typing import Any

from watcher.common.postgres_url import DatabaseLocation, PostgresUrl
from watcher.config.access_keys import SHORTEST_KEY, VISIBLE
from watcher.config.cluster import ClusterConfig, ClusterSection
from watcher.config.toml_tables import TomlTables
from watcher.config.values import Secret
from watcher.panels.dialect import shown_url, split_http

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LEASE = (2.0, 300.0)  # seconds: shortest, longest


def read_cluster(
    tables: TomlTables, raw: dict[str, Any], database: DatabaseLocation
) -> ClusterConfig | None:
    """Return the node; None without [cluster], or if something is wrong with it, which is noted."""
    if "cluster" not in raw:
        return None
    section = tables.section(ClusterSection, tables.table(raw, "cluster"), "cluster")
    if not isinstance(database, PostgresUrl):
        cause = "nodes share a PostgreSQL: name it by `database` in [daemon], or remove [cluster]"
        tables.note("cluster", cause)
    if section is None:
        return None
    name = section.name or socket.gethostname()
    if not _NAME.fullmatch(name):
        cause = f"{name!r} is not letters, digits, dots, - and _, 63 at most"
        tables.note("cluster.name", cause)
    if not _LEASE[0] <= section.lease <= _LEASE[1]:
        tables.note("cluster.lease", f"from {_LEASE[0]:.0f}s to {_LEASE[1] / 60:.0f}m")
    url = section.url.rstrip("/")
    tables.note_if("cluster.url", _url_problem(url))
    token = tables.attempt("cluster.token_file", _token, tables, section.token_file)
    if token is None:
        return None
    return ClusterConfig(name=name, url=url, lease=float(section.lease), token=token)


def _token(tables: TomlTables, file: str | None) -> Secret:
    """Return the token; ValueError if there is none, or it can't be used."""
    token = tables.secrets.cluster_token(file)
    if token is None:
        raise ValueError("there is none: nodes know each other by it; or credential cluster.token")
    if len(token.reveal()) < SHORTEST_KEY:
        raise ValueError(
            f"the token is shorter than {SHORTEST_KEY} characters: `openssl rand -hex 32` makes one"
        )
    if not VISIBLE.fullmatch(token.reveal()):
        raise ValueError("a token is visible ASCII characters without blanks")
    return token


def _url_problem(url: str) -> str | None:
    parts = split_http(url)
    if parts is None:
        return f"{shown_url(url)!r} is not an http(s) URL, as http://10.0.0.1:9466"
    if parts.username or parts.password:
        return "a URL with a user or a password may hold a secret: leave them out"
    if parts.path or parts.query or parts.fragment:
        return "nothing comes after the port: other nodes add the paths of the API"
    return None

"""The address of a PostgreSQL database, as it stands in a configuration file."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SCHEMES = ("postgresql", "postgres")
# Parameters of libpq that a URL may have; the daemon sets the others itself.
_PARAMETERS = frozenset(
    "host port user dbname sslmode sslrootcert sslcert sslkey sslcrl sslnegotiation"
    " ssl_min_protocol_version channel_binding gssencmode krbsrvname require_auth"
    " target_session_attrs load_balance_hosts passfile service".split()
)
_TLS = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SHAPE = "write postgresql://user@host:5432/database"


class PostgresUrl:
    """The address as libpq reads it, the password apart from it.

    `directory` is where the daemon's own files are: the count of claims, the archive.
    """

    __slots__ = ("directory", "password", "text")

    def __init__(self, text: str, password: str | None, directory: Path) -> None:
        self.text = text
        self.password = password
        self.directory = directory

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"PostgresUrl({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PostgresUrl) and (self.text, self.password) == (
            other.text,
            other.password,
        )

    def __hash__(self) -> int:
        return hash(self.text)


DatabaseLocation = Path | PostgresUrl


def is_url(text: str) -> bool:
    """Return whether the text is meant as a URL, not as a file's path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:(//|/?[^/]*@)", text.strip()) is not None


def is_installed() -> bool:
    """Return whether the driver is there; importing it takes a tenth of a second."""
    return importlib.util.find_spec("psycopg") is not None


def url_problem(text: str) -> str | None:
    """Return what is wrong with a URL, without its password; None if nothing is."""
    if any(character.isspace() or not character.isprintable() for character in text):
        return f"a URL has no blanks: {_SHAPE}"
    try:
        parts = urlsplit(text)
    except ValueError:
        return f"this URL can't be read: {_SHAPE}"
    if parts.scheme.lower() not in SCHEMES:
        return f"there is no database {parts.scheme}:; {_SHAPE}, or the path of a file for SQLite"
    if parts.fragment or "#" in text:
        return "a # in a URL is written as %23"
    return next(_problems(parts), None)


def _problems(parts: SplitResult) -> Iterator[str]:
    user, at, hosts = parts.netloc.rpartition("@")
    if ":" in user:
        yield (
            "a password does not belong into this file: take it out, and put it into"
            " $DATABASE_PASSWORD, database_password_file, or credential database.password"
        )
    if at and not user:
        yield f"there is no user before the @: {_SHAPE}"
    for host in hosts.split(",") if hosts else ():
        if not re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:@]*)(:\d{1,5})?", host):
            yield f"{host!r} is no host:port; {_SHAPE}"
        elif (port := host.rpartition("]")[2].partition(":")[2]) and not 0 < int(port) < 65536:
            yield f"{port} is no port: 1 to 65535"
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    name = unquote(parts.path.removeprefix("/")) or given.get("dbname", "")
    if not name and "service" not in given:
        yield f"it does not name the database: {_SHAPE}"
    if "/" in name:
        yield f"{name!r} is no name of a database: {_SHAPE}"
    yield from _parameter_problems(given)


def _parameter_problems(given: dict[str, str]) -> Iterator[str]:
    if "password" in given:
        yield "a password does not belong into this file: see database_password_file"
    for key in given:
        if key not in _PARAMETERS:
            known = ", ".join(sorted(_PARAMETERS))
            yield f"the URL can't have the parameter {key!r}; it can have: {known}"
    mode = given.get("sslmode", "prefer")
    if mode not in _TLS:
        yield f"there is no sslmode {mode!r}; there are: {', '.join(_TLS)}"

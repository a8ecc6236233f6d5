"""Repairs the URL of a panel as people type it, and suggests others for its API: pure."""

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

from watcher.config.hosts import is_loopback

_USUAL_PATH = "/api/v2"
_BEFORE_IT = ("", "/api", "/api/v1", "/api/docs", "/docs")  # what people copy from a panel's pages


def typed(text: str) -> str:
    """Return the URL without quotes and blanks, with a scheme."""
    url = text.strip().strip("\"'<>").strip()
    if "://" in url or not url:
        return url
    try:
        host = urlsplit(f"//{url}").hostname or ""
    except ValueError:
        return url
    return f"{'http' if is_loopback(host) else 'https'}://{url}"


def problem(url: str) -> str | None:
    """Return the reason why no request can be sent to the URL, None if there is none."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or " " in url:
        return "this is not an http(s) URL, such as https://panel.example/api/v2"
    if "@" in parts.netloc:
        return "a URL with a user or a password may hold a secret: leave them out"
    return None


def other_paths(url: str) -> Iterator[str]:
    """Yield other URLs that the panel's API may have, the likeliest first."""
    parts = urlsplit(url)
    bare = parts.path.rstrip("/")
    if bare in _BEFORE_IT:
        yield urlunsplit(parts._replace(path=_USUAL_PATH))
        yield urlunsplit(parts._replace(path=f"{_USUAL_PATH}/"))
    else:
        yield urlunsplit(parts._replace(path=bare if parts.path.endswith("/") else f"{bare}/"))


def other_scheme(url: str) -> str | None:
    """Return the URL with https instead of http, or on this machine the other way round."""
    parts = urlsplit(url)
    if parts.scheme == "http":
        return urlunsplit(parts._replace(scheme="https"))
    return urlunsplit(parts._replace(scheme="http")) if is_loopback(parts.hostname or "") else None


def safe(url: str) -> str:
    """Return the URL with https if http would show the key to the network."""
    parts = urlsplit(url)
    shows = parts.scheme == "http" and not is_loopback(parts.hostname or "")
    return urlunsplit(parts._replace(scheme="https")) if shows else url

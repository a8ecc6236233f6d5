"""Where the daemon is and how it is asked: checked once, when a client is made. Pure."""

import json
import ssl
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from watcher_client.calls import Call


class Settings:
    """URLs, key and patience of a client. Neither repr nor an error shows the key.

    ValueError for what can't be used.
    """

    def __init__(
        self,
        url: str | Iterable[str],
        key: str | None,
        *,
        timeout: float,
        attempts: int,
        allow_http: bool,
    ) -> None:
        self.urls = tuple(
            _checked(one, allow_http) for one in ([url] if isinstance(url, str) else url)
        )
        if not self.urls:
            raise ValueError("url: at least one is required")
        if timeout <= 0 or attempts < 1:
            raise ValueError("timeout and attempts: above 0")
        self.timeout = timeout
        self.attempts = attempts
        self._headers = {"Accept": "application/json", "Connection": "close"}
        if key is not None:
            key = key.strip()
            if not (key and key.isascii() and key.isprintable()):
                raise ValueError("the key is empty, or has characters that no key has")
            self._headers["Authorization"] = f"Bearer {key}"

    def __repr__(self) -> str:
        return f"Settings({', '.join(self.urls)})"

    def request(self, call: Call[Any]) -> tuple[dict[str, str], bytes | None]:
        """Return the headers and the body of a call's request."""
        headers = {**self._headers, **call.headers}
        if call.body is None:
            return headers, None if call.method == "GET" else b""
        return {**headers, "Content-Type": "application/json"}, json.dumps(call.body).encode()


class Face:
    """What the blocking and the asyncio client are made of."""

    def __init__(
        self,
        url: str | Iterable[str] = "http://127.0.0.1:9466",
        key: str | None = None,
        *,
        timeout: float = 30.0,
        attempts: int = 3,
        allow_http: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = Settings(
            url, key, timeout=timeout, attempts=attempts, allow_http=allow_http
        )
        self._tls = tls
        self._place = 0  # of the URL that answered last

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._settings.urls)})"


def _checked(url: str, allow_http: bool) -> str:
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the URL is to have no user, password, query or fragment")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not a URL as https://watcher.example")
    _ = parts.port  # ValueError where it is not a port
    if parts.scheme == "http" and not (allow_http or _is_loopback(parts.hostname)):
        raise ValueError(f"{url} would show the key to the network: https, or allow_http=True")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

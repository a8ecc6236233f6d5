"""Client of the daemon's HTTP API, one request at a time."""

import http.client
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import typer

from watcher import __version__
from watcher.cli.connections import NotOpened, OpenPlain, OpenTls
from watcher.errors import WatcherError, no_such
from watcher.web.panel_shapes import PanelList, PanelView
from watcher.web.shapes import FaultAnswer

PAGE = 1000  # items in one page of a listing, at most
PATIENCE = 30.0  # seconds without a byte

Shape = TypeVar("Shape")
Query = Mapping[str, str | int | None]


class Unreachable(WatcherError):
    """No daemon answers; `sent` is whether the request may have reached one."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        self.sent = sent
        super().__init__(message)


class Declined(WatcherError):
    """The daemon refused the request; the message is its own."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        super().__init__(message)


class _Page(msgspec.Struct):
    next: str | None


class ApiClient:
    """A daemon at a URL, or the nodes of a cluster at several, with commas between them.

    ValueError if a URL or the token can't be used. If one can't be reached, the next is tried; a
    request that acts only if it certainly did not leave.
    """

    def __init__(self, url: str, token: str | None = None, patience: float = PATIENCE) -> None:
        self._urls = [one.strip().rstrip("/") for one in url.split(",") if one.strip()] or [url]
        self._openers = {one: _opener(one) for one in self._urls}
        self._patience = patience
        self._headers = {"Accept": "application/json", "User-Agent": f"watcher-cli/{__version__}"}
        if token is not None:
            if not (token.isascii() and token.isprintable()):
                raise ValueError("the token has characters that no token has")
            self._headers["Authorization"] = f"Bearer {token}"

    @property
    def url(self) -> str:
        """The URL that is asked: the one that answered last."""
        return self._urls[0]

    def get(self, path: str, query: Query | None = None) -> Any:
        """Return the answer's JSON."""
        return self.ask("GET", path, query=query)[1]

    def panels(self) -> list[PanelView]:
        """Return every panel that the daemon watches."""
        return self.shaped(self.get(path_of("panels")), PanelList).panels

    def check_panel(self, panel: str) -> list[str]:
        """Return the names of all panels; NotFound, with a suggestion, if this is none of them."""
        known = [view.panel for view in self.panels()]
        if panel not in known:
            raise no_such("panel", panel, known)
        return known

    def post(
        self,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
    ) -> tuple[int, Any]:
        """Return the answer's status and JSON."""
        return self.ask("POST", path, body=body, headers=headers, patience=patience)

    def delete(self, path: str) -> Any:
        """Return the answer's JSON."""
        return self.ask("DELETE", path)[1]

    def pages(
        self, path: str, name: str, query: Query, most: int | None = None
    ) -> Iterator[tuple[list[Any], str | None]]:
        """Yield a listing's pages, each with the cursor of the next; `most` None is all."""
        cursor, left = query.get("cursor"), most
        while left is None or left > 0:
            limit = PAGE if left is None else min(PAGE, left)
            answer = self.get(path, {**query, "limit": limit, "cursor": cursor})
            items = self.shaped(answer.get(name), list[Any])
            after = self.shaped(answer, _Page).next
            yield items, after
            if after is None or after == cursor:
                return
            cursor, left = after, None if left is None else left - len(items)

    @contextmanager
    def download(self, path: str) -> Iterator[tuple[int | None, Iterator[bytes]]]:
        """Give the number of bytes that the daemon announces, and these in parts."""
        with self._open("GET", path, patience=300.0) as answer:
            yield answer.length, self._chunks(answer, answer.length)

    def shaped(self, raw: Any, shape: type[Shape]) -> Shape:
        """Convert the JSON to its shape; Unreachable if it has another."""
        try:
            return msgspec.convert(raw, shape)
        except msgspec.ValidationError as error:
            raise Unreachable(f"{self.url} does not answer as this version does: {error}") from None

    def ask(self, method: str, path: str, **request: Any) -> tuple[int, Any]:
        """Return the answer's status and JSON; the request may have a query and a body."""
        with self._open(method, path, **request) as answer:
            raw = self._chunk(answer, -1)
            try:
                document = msgspec.json.decode(raw)
            except (msgspec.MsgspecError, ValueError):
                document = None
            if not isinstance(document, dict):
                raise Unreachable(f"what answers at {self.url} is not watcher: no JSON object")
            return answer.status, document

    def _open(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
    ) -> http.client.HTTPResponse:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{path}?{urlencode(given)}" if given else path
        data = None if method == "GET" else msgspec.json.encode({} if body is None else body)
        every = {**self._headers, "Content-Type": "application/json", **(headers or {})}
        patience = patience or self._patience
        for others in reversed(range(len(self._urls))):
            request = urllib.request.Request(self.url + target, data, every, method=method)  # noqa: S310
            try:
                return self._send(request, patience)
            except (Declined, Unreachable) as error:
                if not others or not _may_try_next(error, method):
                    raise
                self._urls = [*self._urls[1:], self.url]
        raise AssertionError  # there is a URL

    def _send(self, request: urllib.request.Request, patience: float) -> http.client.HTTPResponse:
        try:
            return self._openers[self.url].open(request, timeout=patience)  # type: ignore[no-any-return]
        except HTTPError as error:
            raise self._declined(error) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None

    def _chunks(self, answer: http.client.HTTPResponse, promised: int | None) -> Iterator[bytes]:
        size = 0
        while chunk := self._chunk(answer):
            size += len(chunk)
            yield chunk
        if promised is not None and size != promised:
            raise Unreachable(f"{self.url} broke off after {size:,} of {promised:,} bytes")

    def _chunk(self, answer: http.client.HTTPResponse, size: int = 1 << 20) -> bytes:
        try:
            return answer.read() if size < 0 else answer.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None

    def _declined(self, error: HTTPError) -> WatcherError:
        with error:
            try:
                fault = msgspec.json.decode(error.read(1 << 20), type=FaultAnswer).error
            except (msgspec.MsgspecError, ValueError, OSError, http.client.HTTPException):
                cause = f"HTTP {error.code} without a reason"
                return Unreachable(f"what answers at {self.url} is not watcher: {cause}")
        if error.code == 401:
            hint = "give --token-file or set WATCHER_TOKEN"
            if "Authorization" in self._headers:
                hint = "the one given is not the daemon's: see `token_file` in its configuration"
            return Declined(error.code, fault.code, f"{fault.message} ({hint})")
        return Declined(error.code, fault.code, fault.message)

    def _unreachable(self, error: Exception) -> Unreachable:
        cause = error.reason if isinstance(error, URLError) else error
        sent = not isinstance(cause, NotOpened)
        if isinstance(cause, NotOpened):
            cause = cause.cause
        if isinstance(cause, ConnectionRefusedError):
            hint = "start it with `watcher run`, or name another with --url"
            return Unreachable(f"no daemon answers at {self.url}: {hint}", sent=False)
        if isinstance(cause, TimeoutError):
            return Unreachable(f"{self.url} does not answer in time", sent=sent)
        if isinstance(cause, OSError):
            from watcher.common.transport import failure  # with aiohttp, which takes a while

            return Unreachable(f"{self.url} does not answer: {failure(cause)}", sent=sent)
        return Unreachable(f"{self.url} does not answer: {cause or type(cause).__name__}")


def _may_try_next(error: Declined | Unreachable, method: str) -> bool:
    """Return whether the request may be sent to another node: this one has surely done nothing."""
    if isinstance(error, Declined):
        return error.code == "no_lease"
    return method == "GET" or not error.sent


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Return what sends requests to the URL; ValueError if it can't be used."""
    # Redirects are not followed: they would take the token elsewhere.
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect(), OpenPlain(), OpenTls()]
    if _is_loopback(_host(url)):
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *request: Any, **more: Any) -> None:
        return None


def path_of(*parts: str) -> str:
    """Return a path in the API with its names quoted; BadParameter if one is empty."""
    if not all(part.strip() for part in parts):
        raise typer.BadParameter("a name or an id is empty: give one")
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _host(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not a URL as http://127.0.0.1:9466")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the URL is to have no user, password, query or fragment")
    _ = parts.port  # ValueError where it is not a port
    return parts.hostname


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

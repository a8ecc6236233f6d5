"""The API's token, the sessions made with it, and a limit on wrong tokens.

Programs send the token with each request. People enter it once, on the page, and their browser then
has a session. The session is signed with the token, so a new token ends it.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import time

from aiohttp import web
from aiohttp.typedefs import Middleware

from watcher.common.clock import Clock
from watcher.errors import RequestError
from watcher.web.context import BACKEND
from watcher.web.guard import Respond, is_drop_in, is_open, is_page
from watcher.web.rate_limit import TokenBuckets, client_of

WRONG_A_MINUTE = 20.0
SESSION = 30 * 86400  # seconds


class Unauthorized(RequestError):
    """A valid bearer token is required."""

    status = 401
    code = "unauthorized"


class Wrong(Unauthorized):
    """That is not the token."""


class SessionAuth:
    """Checks tokens and sessions, and limits the wrong tokens of each client."""

    def __init__(self, wrong: TokenBuckets | None = None, clock: Clock = time.time) -> None:
        self._wrong = wrong or TokenBuckets(WRONG_A_MINUTE / 60.0, WRONG_A_MINUTE)
        self._clock = clock
        self._ended: set[str] = set()  # digests of ended sessions

    async def load(self, app: web.Application) -> None:
        """Read which sessions were ended before this start."""
        self._ended = await app[BACKEND].store.sessions.ended()

    def lets_in(self, request: web.Request) -> bool:
        """Return whether the request has the token or a session. Raises Wrong, TooMany."""
        token = _token(request)
        if token is None:
            return True
        if is_page(request) and self.has_session(request):
            return True
        given = request.headers.get("Authorization")
        if given is None:
            return False
        self._compare(request, _given(given, may_be_basic=is_page(request)), token)
        return True

    def begin(self, request: web.Request, given: str) -> str:
        """Return a new session for someone with the token. Raises Wrong, TooMany."""
        token = _token(request) or ""
        self._compare(request, given, token)
        name = f"{int(self._clock()) + SESSION}.{secrets.token_urlsafe(16)}"
        return f"{name}.{_signature(name, token)}"

    async def end(self, request: web.Request) -> None:
        """End the request's session for good. Raises StoreError."""
        session = request.cookies.get(cookie_name(request), "")
        if self.has_session(request):
            digest, until = _digest(session), _until(session)
            await request.app[BACKEND].store.sessions.end(digest, until, now=self._clock())
            self._ended.add(digest)

    def has_session(self, request: web.Request) -> bool:
        """Return whether the request's cookie is a valid session of the current token."""
        session, token = request.cookies.get(cookie_name(request), ""), _token(request)
        name, _, signature = session.rpartition(".")
        if token is None or not session.isascii():
            return False
        if not hmac.compare_digest(signature, _signature(name, token)):
            return False
        return _until(session) > self._clock() and _digest(session) not in self._ended

    def _compare(self, request: web.Request, given: str | None, token: str) -> None:
        """Raise Wrong if it is not the token, or TooMany for a client with many wrong ones.

        A token is too long to be guessed at the rate that requests are limited to. This limit
        keeps attempts cheap, and never locks out a client with the right token.
        """
        sent = (given or "").strip().encode(errors="replace")
        if given is not None and hmac.compare_digest(sent, token.encode()):
            return
        self._wrong.take(client_of(request.remote), "too many wrong tokens: wait")
        raise Wrong


KEEPER = web.AppKey("keeper", SessionAuth)


def authorize() -> Middleware:
    """Return the middleware that refuses requests without the token, if they need it."""

    @web.middleware
    async def authorized(request: web.Request, handler: Respond) -> web.StreamResponse:
        is_known = _needs_none(request) or may_read_by_query(request)
        if not is_known and not request.app[KEEPER].lets_in(request):
            raise Unauthorized
        return await handler(request)

    return authorized


def may_read_by_query(request: web.Request) -> bool:
    """Return whether the request's `key` in the query is a key that may only read.

    Spreadsheets send no headers. What stands in a URL is kept by proxies and browsers, so no key
    that may do more is taken there: the token is not.
    """
    return False


def cookie_name(request: web.Request) -> str:
    """Return the name of the session's cookie; daemons on one machine differ by their port."""
    address = request.get_extra_info("sockname")
    return f"watcher-{address[1]}" if address else "watcher"


def _needs_none(request: web.Request) -> bool:
    """Return whether a request needs no token: of shops, which have keys, or of the login."""
    path = request.path
    if is_open(request) or is_drop_in(request):
        return True
    return path == "/login" or path.startswith("/static/")


def _token(request: web.Request) -> str | None:
    secret = request.app[BACKEND].config.current.token
    return None if secret is None else secret.reveal()


def _signature(name: str, token: str) -> str:
    key = hashlib.sha256(b"watcher session\0" + token.encode()).digest()
    return hmac.new(key, name.encode(), hashlib.sha256).hexdigest()


def _until(session: str) -> float:
    """Return when a session ends; the caller has checked its signature."""
    return float(session.partition(".")[0])


def _digest(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()


def _given(header: str, *, may_be_basic: bool) -> str | None:
    """Return the token in the header; for the page also as the password of any user."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() == "bearer":
        return given
    if scheme.lower() != "basic" or not may_be_basic:
        return None
    try:
        return base64.b64decode(given, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None

"""Keys, the sessions made with them, and limits on wrong keys and on each key's requests.

Programs send their key with each request: the token, or one of [[keys]]. People enter it once, on
the page, and their browser then has a session. It is signed with the key and what the key may do,
so a session ends when the key changes or goes.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import time

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from watcher.common.clock import Clock
from watcher.config import AccessKey, Config, Right
from watcher.errors import RequestError
from watcher.web.context import CONTEXT
from watcher.web.guard import Respond, is_page
from watcher.web.hop import hop_of
from watcher.web.principal import LOCAL, PRINCIPAL, TOKEN, Forbidden, Principal
from watcher.web.rate_limit import TokenBuckets, client_of
from watcher.web.rights import RouteAccess, access_of, check

WRONG_A_MINUTE = 20.0
SESSION = 30 * 86400  # seconds


class Unauthorized(RequestError):
    """A valid bearer token is required."""

    status = 401
    code = "unauthorized"


class WrongKey(Unauthorized):
    """That is not the token."""


class Credential(msgspec.Struct, frozen=True):
    """A secret and who has it. A session is signed with `seal`."""

    principal: Principal
    secret: bytes
    seal: bytes
    requests_per_minute: float | None = None


class SessionAuth:
    """Checks keys and sessions, and limits wrong keys and each key's requests."""

    def __init__(self, wrong: TokenBuckets | None = None, clock: Clock = time.time) -> None:
        self._wrong = wrong or TokenBuckets(WRONG_A_MINUTE / 60.0, WRONG_A_MINUTE)
        self._rates: dict[float, TokenBuckets] = {}  # by requests per minute
        self._clock = clock
        self._ended: set[str] = set()  # digests of ended sessions

    async def load(self, app: web.Application) -> None:
        """Read which sessions were ended before this start, or by another node of a cluster."""
        self._ended = await app[CONTEXT].store.sessions.ended()

    def credential(self, request: web.Request, *, in_query: bool = False) -> Credential | None:
        """Return whose key or session the request has; None if none is wanted.

        With `in_query`, the key may stand in the query if it may only read. Raises Unauthorized if
        there is none, WrongKey for a wrong one, TooMany after many of those, else Forbidden.
        """
        if not asks_for_key(request):
            return None
        signed_in = self.session(request) if is_page(request) else None
        if signed_in is not None:
            return signed_in
        given = request.headers.get("Authorization")
        if given is None and in_query and "key" in request.query:
            return _reading(self._compare(request, request.query["key"]))
        if given is None:
            raise Unauthorized
        return self._compare(request, _given(given, may_be_basic=is_page(request)))

    def still_lets_in(self, request: web.Request, principal: Principal) -> bool:
        """Return whether a stream may continue: its key or session is valid and unchanged."""
        try:
            credential = self.credential(request)
        except RequestError:
            return False
        return _principal(credential) == principal

    def begin(self, request: web.Request, given: str) -> str:
        """Return a new session for someone with a key. Raises WrongKey, TooMany."""
        credential = self._compare(request, given)
        name = f"{int(self._clock()) + SESSION}.{secrets.token_urlsafe(16)}"
        return f"{name}.{_signature(name, credential.seal)}"

    async def end(self, request: web.Request) -> None:
        """End the request's session for good. Raises StoreError."""
        session = request.cookies.get(cookie_name(request), "")
        if self.has_session(request):
            digest, until = _digest(session), _until(session)
            await request.app[CONTEXT].store.sessions.end(digest, until, now=self._clock())
            self._ended.add(digest)

    def has_session(self, request: web.Request) -> bool:
        """Return whether the request's cookie is a valid session."""
        hop = hop_of(request)
        if hop is not None:
            return hop.has_session
        return self.session(request) is not None

    def session(self, request: web.Request) -> Credential | None:
        """Return whose session the request's cookie is; None if it is not valid."""
        session = request.cookies.get(cookie_name(request), "")
        name, _, signature = session.rpartition(".")
        found = None
        for credential in credentials_of(request) if session.isascii() else ():
            if hmac.compare_digest(signature, _signature(name, credential.seal)):
                found = credential
        if found is None:
            return None
        is_valid = _until(session) > self._clock() and _digest(session) not in self._ended
        return found if is_valid else None

    def count(self, credential: Credential) -> None:
        """Count a request of a key; raise TooMany if it has made too many."""
        most, name = credential.requests_per_minute, credential.principal.name
        if most is not None:
            bucket = self._rates.setdefault(most, TokenBuckets(most / 60.0, most))
            bucket.take(name, f"more than {most:g} requests a minute with key {name!r}: slow down")

    def _compare(self, request: web.Request, given: str | None) -> Credential:
        """Return whose key it is; raise WrongKey, or TooMany for a client with many wrong ones.

        A key is too long to be guessed at the rate that requests are limited to. This limit
        keeps attempts cheap, and never locks out a client with the right key.
        """
        sent, found = (given or "").strip().encode(errors="replace"), None
        for credential in credentials_of(
            request
        ):  # compared with every key, so that the time shows nothing
            if hmac.compare_digest(sent, credential.secret):
                found = credential
        if found is not None:
            return found
        self._wrong.take(client_of(request.remote), "too many wrong tokens: wait")
        has_keys = request.app[CONTEXT].config.current.keys
        raise WrongKey("That is neither the token nor one of the keys." if has_keys else "")


SESSION_AUTH = web.AppKey("session_auth", SessionAuth)


def authorize() -> Middleware:
    """Return the middleware that refuses requests without the right that the route needs.

    It sets PRINCIPAL of the request. No route's handler runs before this.
    """

    @web.middleware
    async def authorized(request: web.Request, handler: Respond) -> web.StreamResponse:
        access = access_of(request)
        if not access.is_open:
            _let_in(request, access)
        return await handler(request)

    return authorized


def _let_in(request: web.Request, access: RouteAccess) -> None:
    hop = hop_of(request)
    if hop is not None:
        request[PRINCIPAL] = passed_on = Principal(hop.name, hop.rights, hop.panels)
        check(request, access, passed_on)
        return
    keeper = request.app[SESSION_AUTH]
    credential = keeper.credential(request, in_query=access.takes_query)
    if credential is not None:
        keeper.count(credential)
    principal = _principal(credential)
    request[PRINCIPAL] = principal
    check(request, access, principal)


def asks_for_key(request: web.Request) -> bool:
    """Return whether requests need a key: there is a token, or one of [[keys]]."""
    config = request.app[CONTEXT].config.current
    return config.token is not None or bool(config.keys)


def credentials_of(request: web.Request) -> list[Credential]:
    """Return every key that is in force."""
    config: Config = request.app[CONTEXT].config.current
    found = [_of_key(key) for key in config.keys]
    if config.token is not None:
        secret = config.token.reveal().encode()
        found.append(Credential(TOKEN, secret, secret))
    return found


def cookie_name(request: web.Request) -> str:
    """Return the name of the session's cookie; daemons on one machine differ by their port."""
    address = request.get_extra_info("sockname")
    return f"watcher-{address[1]}" if address else "watcher"


def _of_key(key: AccessKey) -> Credential:
    secret = key.secret.reveal().encode()
    panels = "*" if key.panels is None else ",".join(sorted(key.panels))
    may = f"{key.name} {','.join(sorted(key.rights))} {panels}"
    seal = hashlib.sha256(secret).digest() + may.encode()  # what a session of the key stands for
    return Credential(
        Principal(key.name, key.rights, key.panels), secret, seal, key.requests_per_minute
    )


def _reading(credential: Credential) -> Credential:
    """Return the key if it may only read: browsers and proxies store URLs."""
    if credential.principal.rights != {Right.READ}:
        raise Forbidden("a key in a URL is one that may read and nothing else")
    return credential


def _principal(credential: Credential | None) -> Principal:
    return LOCAL if credential is None else credential.principal


def _signature(name: str, seal: bytes) -> str:
    key = hashlib.sha256(b"watcher session\0" + seal).digest()
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

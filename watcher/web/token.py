"""The API's token: who has it, and how often one may be wrong about it."""

import base64
import binascii
import hmac

from aiohttp import web
from aiohttp.typedefs import Middleware

from watcher.errors import RequestError
from watcher.web.backend import BACKEND
from watcher.web.guard import Respond, is_open
from watcher.web.rate import Buckets, TooMany, client_of

WRONG_A_MINUTE = 20.0
PAGE = "/"


class Unauthorized(RequestError):
    """A valid bearer token is required."""

    status = 401
    code = "unauthorized"


def authorize(failures: Buckets | None = None) -> Middleware:
    """The middleware; `failures` are each client's wrong tokens."""
    wrong = failures or Buckets(WRONG_A_MINUTE / 60.0, WRONG_A_MINUTE)

    @web.middleware
    async def authorized(request: web.Request, handler: Respond) -> web.StreamResponse:
        token = request.app[BACKEND].token()
        if token is None or is_open(request):
            return await handler(request)
        given = request.headers.get("Authorization")
        if given is None:
            raise Unauthorized
        client = client_of(request.remote)
        wait = wrong.wait(client)
        if wait:  # even a right one is not looked at, or guesses would cost nothing
            raise TooMany("too many wrong tokens: wait", wait)
        if not _is_right(given, token.reveal(), may_be_basic=request.path == PAGE):
            wrong.take(client)
            raise Unauthorized
        return await handler(request)

    return authorized


def _is_right(header: str, token: str, *, may_be_basic: bool) -> bool:
    scheme, _, given = header.partition(" ")
    if scheme.lower() == "basic" and may_be_basic:
        # A browser asks its user for the page's password: that is the token, for any user.
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode(errors="replace"), token.encode())

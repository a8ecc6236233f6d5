"""Opens connections first, so that it is known whether a request may have left."""

import http.client
import urllib.request
from typing import Any

OPENS_WITHIN = 10.0  # seconds: a machine that is off does not even refuse


class NotOpened(OSError):
    """No connection came about, so nothing was sent. `cause` says why."""

    def __init__(self, cause: OSError) -> None:
        self.cause = cause
        super().__init__(str(cause))


class _Plain(http.client.HTTPConnection):
    def connect(self) -> None:
        _open(self, super().connect)


class _Tls(http.client.HTTPSConnection):
    def connect(self) -> None:
        _open(self, super().connect)


def _open(connection: http.client.HTTPConnection, connect: Any) -> None:
    patience = connection.timeout
    connection.timeout = OPENS_WITHIN if patience is None else min(patience, OPENS_WITHIN)
    try:
        connect()
    except OSError as error:
        raise NotOpened(error) from None
    connection.sock.settimeout(patience)


class OpenPlain(urllib.request.HTTPHandler):
    """Opens http."""

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """Send the request; URLError with NotOpened if there is no connection."""
        return self.do_open(_Plain, request)


class OpenTls(urllib.request.HTTPSHandler):
    """Opens https."""

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """Send the request; URLError with NotOpened if there is no connection."""
        return self.do_open(_Tls, request)

"""The blocking client. It needs nothing but Python's own library."""

import http.client
import ssl
import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, Unpack
from urllib.parse import urlsplit

from watcher_client import calls
from watcher_client.calls import Call
from watcher_client.delivery import Delivery, Failure, Reply
from watcher_client.errors import WatcherError
from watcher_client.following import Following
from watcher_client.settings import Face
from watcher_client.shapes import ChangeList, ListChangesQuery, ListOrdersQuery, OrderView

P = ParamSpec("P")
T = TypeVar("T")


def _sends(build: Callable[P, Call[T]]) -> "Callable[Concatenate[Client, P], T]":
    """Return the method that sends a call and returns its answer."""

    @wraps(build)
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.send(build(*args, **kwargs))

    return method


class Client(Face):
    """A watcher at a URL, or at several: those of one cluster. Threads may share it.

    `timeout` is how many seconds may pass without a byte, `attempts` how often a call that may be
    repeated is tried. Methods return the JSON that the API answers with, and raise a WatcherError.
    """

    track = _sends(calls.track)
    submit = _sends(calls.submit)
    list_orders = _sends(calls.list_orders)
    show = _sends(calls.show)
    label = _sends(calls.label)
    untrack = _sends(calls.untrack)
    check = _sends(calls.check)
    check_all = _sends(calls.check_all)
    list_changes = _sends(calls.list_changes)
    refill = _sends(calls.refill)
    cancel = _sends(calls.cancel)
    show_action = _sends(calls.show_action)
    list_panels = _sends(calls.list_panels)
    list_attention = _sends(calls.list_attention)
    whoami = _sends(calls.whoami)

    def orders(self, **query: Unpack[ListOrdersQuery]) -> Iterator[OrderView]:
        """Yield every order that fits, page by page."""
        while True:
            page = self.list_orders(**query)
            yield from page["orders"]
            if page["next"] is None:
                return
            query["cursor"] = page["next"]

    def follow(self, **query: Unpack[ListChangesQuery]) -> Iterator[ChangeList]:
        """Yield pages of changes for ever, also through restarts of the daemon.

        Deal with a page's `changes`, then keep its `cursor`: it is `after` of your next start.
        """
        following = Following(**query)
        while True:
            try:
                page = self.send(following.call())
            except WatcherError as error:
                time.sleep(following.pause_after(error))
                continue
            if following.is_new(page):
                yield page

    def send(self, call: Call[T]) -> T:
        """Send a call; return its answer."""
        settings = self._settings
        delivery = Delivery(call, settings.urls, settings.attempts, self._place)
        while True:
            outcome = self._try(delivery.url, call)
            pause = delivery.pause_after(outcome)
            if pause is None:
                self._place = delivery.place
                return delivery.answer
            time.sleep(pause)

    def _try(self, url: str, call: Call[Any]) -> Reply | Failure:
        """Send the request once, over a connection of its own.

        A connection that was kept may be closed at the other end just when a refill is sent: then
        nobody would know whether it arrived.
        """
        headers, body = self._settings.request(call)
        target = urlsplit(url).path + call.target
        connection = self._connection(url)
        sent = False
        try:
            connection.connect()
            sent = True
            connection.sock.settimeout(self._settings.timeout + call.wait)
            connection.request(call.method, target, body, headers)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        except (OSError, http.client.HTTPException) as error:
            return Failure(sent, str(error) or type(error).__name__)
        finally:
            connection.close()

    def _connection(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        host, seconds = parts.hostname or "", self._settings.timeout
        # The port is always given: else http.client looks for one in an IPv6 address.
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port or 80, timeout=seconds)
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return http.client.HTTPSConnection(
            host, parts.port or 443, timeout=seconds, context=self._tls
        )

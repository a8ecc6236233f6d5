"""The client for asyncio. It needs aiohttp: `pip install 'watcher-client[aio]'`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, Unpack

import aiohttp
from yarl import URL

from watcher_client import calls
from watcher_client.calls import Call
from watcher_client.delivery import Delivery, Failure, Reply
from watcher_client.errors import WatcherError
from watcher_client.following import Following
from watcher_client.settings import Face
from watcher_client.shapes import ChangeList, ListChangesQuery, ListOrdersQuery, OrderView

P = ParamSpec("P")
T = TypeVar("T")


def _sends(
    build: Callable[P, Call[T]],
) -> "Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]":
    """Return the method that sends a call and returns its answer."""

    @wraps(build)
    async def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(build(*args, **kwargs))

    return method


class AsyncClient(Face):
    """A watcher at a URL, or at several: those of one cluster. Nothing has to be closed.

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

    async def orders(self, **query: Unpack[ListOrdersQuery]) -> AsyncIterator[OrderView]:
        """Yield every order that fits, page by page."""
        while True:
            page = await self.list_orders(**query)
            for order in page["orders"]:
                yield order
            if page["next"] is None:
                return
            query["cursor"] = page["next"]

    async def follow(self, **query: Unpack[ListChangesQuery]) -> AsyncIterator[ChangeList]:
        """Yield pages of changes for ever, also through restarts of the daemon.

        Deal with a page's `changes`, then keep its `cursor`: it is `after` of your next start.
        """
        following = Following(**query)
        while True:
            try:
                page = await self.send(following.call())
            except WatcherError as error:
                await asyncio.sleep(following.pause_after(error))
                continue
            if following.is_new(page):
                yield page

    async def send(self, call: Call[T]) -> T:
        """Send a call; return its answer."""
        settings = self._settings
        delivery = Delivery(call, settings.urls, settings.attempts, self._place)
        while True:
            outcome = await self._try(delivery.url, call)
            pause = delivery.pause_after(outcome)
            if pause is None:
                self._place = delivery.place
                return delivery.answer
            await asyncio.sleep(pause)

    async def _try(self, url: str, call: Call[Any]) -> Reply | Failure:
        """Send the request once, over a connection of its own: see `Client`."""
        headers, body = self._settings.request(call)
        seconds = self._settings.timeout
        patience = aiohttp.ClientTimeout(total=None, connect=seconds, sock_read=seconds + call.wait)
        target = URL(url + call.target, encoded=True)
        connector = aiohttp.TCPConnector(force_close=True, ssl=self._tls or True)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=patience) as session,
                session.request(
                    call.method, target, headers=headers, data=body, allow_redirects=False
                ) as answer,
            ):
                found = {name.lower(): value for name, value in answer.headers.items()}
                return Reply(answer.status, found, await answer.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Failure(sent=False, cause=str(error))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return Failure(sent=True, cause=str(error) or type(error).__name__)

"""The API's calls about who is told: people by [[notify]], programs by [[events]]."""

from aiohttp import web

from watcher.errors import RequestError, Undelivered
from watcher.outlets.courier import Courier
from watcher.outlets.feed import Feed
from watcher.web.backend import Backend, Route, read_body
from watcher.web.outlet_shapes import (
    DeadList,
    DeadView,
    Delivered,
    EventsList,
    EventsView,
    NotifyList,
    NotifyView,
    ReplayAnswer,
    ReplayRequest,
)
from watcher.web.shapes import FaultAnswer
from watcher.web.views import moment, moment_or_none

_MOST = 1000  # dead letters in one answer
_TESTS_AT_ONCE = 4


class NotDelivered(RequestError):
    """The message has not arrived, or nobody knows."""

    status = 502
    code = "undelivered"


async def list_notify(backend: Backend, request: web.Request) -> tuple[int, NotifyList]:
    given_up = await backend.store.outbox.given_up()
    couriers = backend.outlets.couriers.items()
    return 200, NotifyList([_notify_view(courier, given_up.get(n, 0)) for n, courier in couriers])


async def test_notify(backend: Backend, request: web.Request) -> tuple[int, Delivered]:
    courier = backend.outlets.courier(request.match_info["name"])
    try:
        await courier.test()
    except Undelivered as error:
        raise NotDelivered(f"{courier.target.name}: {error}") from None
    return 200, Delivered(courier.target.name)


async def list_events(backend: Backend, request: web.Request) -> tuple[int, EventsList]:
    newest = await backend.store.history.newest_change() if backend.outlets.feeds else 0
    dead = await backend.store.events.count_dead()
    feeds = backend.outlets.feeds.values()
    return 200, EventsList(
        [_events_view(feed, newest, dead.get(feed.target.name, 0)) for feed in feeds]
    )


async def list_dead(backend: Backend, request: web.Request) -> tuple[int, DeadList]:
    feed = backend.outlets.feed(request.match_info["name"])
    dead = await backend.store.events.dead(feed.target.name, _MOST)
    return 200, DeadList(
        [DeadView(one.change, one.panel, one.order, moment(one.at), one.error) for one in dead]
    )


async def replay_events(backend: Backend, request: web.Request) -> tuple[int, ReplayAnswer]:
    feed = backend.outlets.feed(request.match_info["name"])
    body = await read_body(request, ReplayRequest)
    if sum((body.since is not None, body.order is not None, body.dead)) != 1:
        raise RequestError("name one of: since, order, dead")
    dead = 0
    if body.since is not None:
        if body.since.tzinfo is None:
            raise RequestError("since: without a time zone it is no moment")
        await feed.replay_since(body.since.timestamp())
    elif body.order is not None:
        await feed.replay_order(body.order.panel, str(body.order.order))
    else:
        dead = await feed.replay_dead()
    backend.outlets.wake(feed)
    return 202, ReplayAnswer(feed.target.name, dead)


def _notify_view(courier: Courier, given_up: int) -> NotifyView:
    target = courier.target
    return NotifyView(
        name=target.name,
        on=sorted(target.on),
        queued=courier.waiting,
        given_up=given_up,
        arrived_at=moment_or_none(courier.arrived_at),
        error=courier.error,
    )


def _events_view(feed: Feed, newest: int, dead: int) -> EventsView:
    target, lanes = feed.target, feed.lanes
    return EventsView(
        name=target.name,
        on=sorted(target.on),
        panels=None if target.panels is None else sorted(target.panels),
        behind=max(0, newest - lanes.cursor),
        orders_waiting=len(lanes.held),
        dead=dead,
        arrived_at=moment_or_none(feed.arrived_at),
        paused_until=moment_or_none(lanes.paused_until or None),
        error=lanes.error,
    )


ROUTES = (
    Route(
        method="GET",
        path="/v1/notify",
        handler=list_notify,
        summary="Where people are told of troubles, and how that goes.",
        gives={200: NotifyList},
    ),
    Route(
        method="POST",
        path="/v1/notify/{name}/test",
        handler=test_notify,
        summary="Send a test message to a target.",
        gives={200: Delivered, 404: FaultAnswer, 502: FaultAnswer},
        at_once=_TESTS_AT_ONCE,
    ),
    Route(
        method="GET",
        path="/v1/events",
        handler=list_events,
        summary="Which programs are told of changed orders, and how that goes.",
        gives={200: EventsList},
    ),
    Route(
        method="GET",
        path="/v1/events/{name}/dead",
        handler=list_dead,
        summary="Changes of which a program could not be told.",
        gives={200: DeadList, 404: FaultAnswer},
    ),
    Route(
        method="POST",
        path="/v1/events/{name}/replay",
        handler=replay_events,
        summary="Tell a program once more of changes.",
        takes=ReplayRequest,
        gives={202: ReplayAnswer, 404: FaultAnswer},
        at_once=_TESTS_AT_ONCE,
    ),
)

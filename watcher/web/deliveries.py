"""The API's calls about the targets of [[notify]] and [[events]]."""

from aiohttp import web

from watcher.daemon.leadership import OUTLETS
from watcher.errors import RequestError, Undelivered
from watcher.events.feed import EventFeed
from watcher.notify.worker import NotifyWorker
from watcher.web.context import Route, WebContext, read_body
from watcher.web.delivery_shapes import (
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

_MOST = 1000  # dead events in one answer
_TESTS_AT_ONCE = 4


class NotDelivered(RequestError):
    """The message did not arrive, or it is not known whether it did."""

    status = 502
    code = "undelivered"


async def list_notify(context: WebContext, request: web.Request) -> tuple[int, NotifyList]:
    context.leadership.check_leads(OUTLETS)
    given_up = await context.store.outbox.given_up()
    notify_workers = context.receivers.notify_workers.items()
    return 200, NotifyList(
        [_notify_view(notify_worker, given_up.get(n, 0)) for n, notify_worker in notify_workers]
    )


async def test_notify(context: WebContext, request: web.Request) -> tuple[int, Delivered]:
    context.leadership.check_leads(OUTLETS)
    notify_worker = context.receivers.notify_worker(request.match_info["name"])
    try:
        await notify_worker.test()
    except Undelivered as error:
        raise NotDelivered(f"{notify_worker.target.name}: {error}") from None
    return 200, Delivered(notify_worker.target.name)


async def list_events(context: WebContext, request: web.Request) -> tuple[int, EventsList]:
    context.leadership.check_leads(OUTLETS)
    newest = await context.store.history.newest_change() if context.receivers.feeds else 0
    dead = await context.store.events.count_dead()
    feeds = context.receivers.feeds.values()
    return 200, EventsList(
        [_events_view(feed, newest, dead.get(feed.target.name, 0)) for feed in feeds]
    )


async def list_dead(context: WebContext, request: web.Request) -> tuple[int, DeadList]:
    context.leadership.check_leads(OUTLETS)
    feed = context.receivers.feed(request.match_info["name"])
    dead = await context.store.events.dead(feed.target.name, _MOST)
    return 200, DeadList(
        [DeadView(one.change, one.panel, one.order, moment(one.at), one.error) for one in dead]
    )


async def replay_events(context: WebContext, request: web.Request) -> tuple[int, ReplayAnswer]:
    context.leadership.check_leads(OUTLETS)
    feed = context.receivers.feed(request.match_info["name"])
    body = await read_body(request, ReplayRequest)
    if sum((body.since is not None, body.order is not None, body.dead)) != 1:
        raise RequestError("name one of: since, order, dead")
    dead = 0
    if body.since is not None:
        if body.since.tzinfo is None:
            raise RequestError("since: it needs a time zone")
        await feed.replay_since(body.since.timestamp())
    elif body.order is not None:
        await feed.replay_order(body.order.panel, str(body.order.order))
    else:
        dead = await feed.replay_dead()
    context.receivers.wake(feed)
    return 202, ReplayAnswer(feed.target.name, dead)


def _notify_view(notify_worker: NotifyWorker, given_up: int) -> NotifyView:
    target = notify_worker.target
    return NotifyView(
        name=target.name,
        on=sorted(target.on),
        queued=notify_worker.waiting,
        given_up=given_up,
        arrived_at=moment_or_none(notify_worker.arrived_at),
        error=notify_worker.error,
    )


def _events_view(feed: EventFeed, newest: int, dead: int) -> EventsView:
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
    Route("GET", "/v1/notify", list_notify, "List the [[notify]] targets.", {200: NotifyList}),
    Route(
        "POST",
        "/v1/notify/{name}/test",
        test_notify,
        "Send a test message to a target.",
        {200: Delivered, 404: FaultAnswer, 502: FaultAnswer},
        at_once=_TESTS_AT_ONCE,
    ),
    Route("GET", "/v1/events", list_events, "List the [[events]] targets.", {200: EventsList}),
    Route(
        "GET",
        "/v1/events/{name}/dead",
        list_dead,
        "List changes that a target did not accept.",
        {200: DeadList, 404: FaultAnswer},
    ),
    Route(
        "POST",
        "/v1/events/{name}/replay",
        replay_events,
        "Send changes to a target again.",
        {202: ReplayAnswer, 404: FaultAnswer},
        takes=ReplayRequest,
        at_once=_TESTS_AT_ONCE,
    ),
)

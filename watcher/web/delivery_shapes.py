"""Bodies and answers of the API about the targets of [[notify]] and [[events]]."""

from typing import Literal

import msgspec

from watcher.web.shapes import OrderId, PanelName, Time


class NotifyView(msgspec.Struct, frozen=True, kw_only=True):
    """A target of notifications. `error` is of the last attempt, if it failed."""

    name: str
    on: list[str]
    queued: int
    given_up: int  # messages of the last 30 days
    arrived_at: Time | None
    error: str | None


class NotifyList(msgspec.Struct, frozen=True):
    """Every [[notify]] target, in the configuration's order."""

    targets: list[NotifyView]
    next: str | None = None


class Delivered(msgspec.Struct, frozen=True):
    """A message arrived."""

    name: str
    arrived: Literal[True] = True


class EventsView(msgspec.Struct, frozen=True, kw_only=True):
    """A program that gets the changes of orders.

    `behind` is how many recorded changes it has not got yet, of all panels and kinds;
    `orders_waiting` is how many orders have a change that did not arrive.
    """

    name: str
    on: list[str]
    panels: list[str] | None
    behind: int
    orders_waiting: int
    dead: int
    arrived_at: Time | None
    paused_until: Time | None
    error: str | None


class EventsList(msgspec.Struct, frozen=True):
    """Every [[events]] target, in the configuration's order."""

    targets: list[EventsView]
    next: str | None = None


class DeadView(msgspec.Struct, frozen=True):
    """A change that is no longer sent."""

    id: int
    panel: str
    order: str
    at: Time
    error: str


class DeadList(msgspec.Struct, frozen=True):
    """The changes that a target did not get, newest first; 1,000 at most."""

    dead: list[DeadView]
    next: str | None = None


class OrderName(msgspec.Struct, frozen=True):
    """An order at a panel."""

    panel: PanelName
    order: OrderId | int


class ReplayRequest(msgspec.Struct, frozen=True):
    """What to send again: give one of these."""

    since: Time | None = None
    order: OrderName | None = None
    dead: bool = False


class ReplayAnswer(msgspec.Struct, frozen=True):
    """The changes will be sent again; `dead` is how many of them were given up."""

    name: str
    dead: int

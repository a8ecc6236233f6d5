"""What the HTTP API takes and gives about who is told: people and programs."""

from typing import Literal

import msgspec

from watcher.web.shapes import OrderId, PanelName, Time


class NotifyView(msgspec.Struct, frozen=True, kw_only=True):
    """Where people are told, and how that goes. `error` is of the last attempt, if it failed."""

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
    """A message has arrived."""

    name: str
    arrived: Literal[True] = True


class EventsView(msgspec.Struct, frozen=True, kw_only=True):
    """A program that is told of changed orders, and how that goes.

    `behind` is how many changes on record it has not been told of, those of other panels or kinds
    included; `orders_waiting` are orders with a change that did not arrive.
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
    """A change that was given up."""

    id: int
    panel: str
    order: str
    at: Time
    error: str


class DeadList(msgspec.Struct, frozen=True):
    """A target's dead letters, the newest first; 1,000 at most."""

    dead: list[DeadView]
    next: str | None = None


class OrderName(msgspec.Struct, frozen=True):
    """An order at a panel."""

    panel: PanelName
    order: OrderId | int


class ReplayRequest(msgspec.Struct, frozen=True):
    """What to tell once more: one of these."""

    since: Time | None = None
    order: OrderName | None = None
    dead: bool = False


class ReplayAnswer(msgspec.Struct, frozen=True):
    """It will be told. `dead` is how many dead letters that are."""

    name: str
    dead: int

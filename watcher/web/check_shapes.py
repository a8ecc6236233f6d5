"""Requests and answers of the HTTP API about checks."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from watcher.daemon.check_outcomes import CheckOutcome, WaitReason
from watcher.web.delivery_shapes import OrderName
from watcher.web.shapes import OrderView, Time

MOST_LISTED = 1000
Wait = Annotated[float, Meta(ge=0, le=25)]  # seconds


Orders = Annotated[list[OrderName], Meta(min_length=1, max_length=MOST_LISTED)]


class ChecksRequest(msgspec.Struct, frozen=True):
    """Up to 1,000 orders to check now. The answer waits up to `wait` seconds for the panels."""

    orders: Orders
    wait: Wait = 10.0


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a check, or why there is none yet.

    `outcome` is `changed`; `unchanged`; `refused`: the panel does not report it; `waiting`: it is
    asked about as soon as that is possible; `not_watched`: it is unknown here, or closed. `why` is
    set while it waits: the panel is `paused` by somebody, `refusing` everything, `down`, or has
    `limited` its requests; the order is `resting` after a check some seconds ago, being `asked`, or
    `queued`. `until` is the next try, where it is known. `changes` has the old and the new value of
    each field.
    """

    panel: str
    order: str
    outcome: CheckOutcome
    sentence: str
    why: WaitReason | None
    until: Time | None
    changes: dict[str, list[Any]]
    state: OrderView | None


class CheckAnswer(msgspec.Struct, frozen=True):
    """One order's check."""

    check: CheckView


class CheckList(msgspec.Struct, frozen=True):
    """The checks, in the order of the request, each order once."""

    checks: list[CheckView]

"""Requests and answers of the HTTP API about pauses, and about what people and keys did."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from watcher.common.pauses import Paused
from watcher.web.check_shapes import MOST_LISTED
from watcher.web.delivery_shapes import OrderName
from watcher.web.shapes import ActionView, OrderId, Time

MOST_RESOLVED = 100

What = Literal["all", "reads", "actions"]
Why = Annotated[str, Meta(max_length=200)]
Key = Annotated[str, Meta(min_length=1, max_length=500)]


class PauseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Until when, and why. Without `until` it lasts until somebody resumes it."""

    until: Time | None = None
    reason: Why = ""


class PanelPauseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to pause of a panel: what only `reads`, the `actions`, or `all`."""

    what: What = "all"
    until: Time | None = None
    reason: Why = ""


class PanelResumeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to resume of a panel."""

    what: What = "all"


class SnoozeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that needs attention, by its key. Without `until` it is snoozed for a day."""

    key: Key
    until: Time | None = None
    reason: Why = ""


class WakeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that is snoozed, by its key."""

    key: Key


class PauseView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is paused. `name` is a panel, a rule, or the key of an attention item."""

    what: Paused
    name: str
    since: Time
    until: Time | None
    reason: str
    by: str
    via: str
    sentence: str


class PauseAnswer(msgspec.Struct, frozen=True):
    """What was done, in words, and the pauses that it concerns, as they are or were."""

    message: str
    pauses: list[PauseView]


class PauseList(msgspec.Struct, frozen=True):
    """Everything that is paused, the oldest pause first."""

    pauses: list[PauseView]
    next: str | None = None


class ResolvedAction(msgspec.Struct, frozen=True):
    """The outcome of an unresolved action, as seen at the panel."""

    id: Annotated[int, Meta(ge=1, le=10**18)]
    state: Literal["accepted", "rejected"]
    result: OrderId | int | None = None


class ResolveManyRequest(msgspec.Struct, frozen=True):
    """Up to 100 actions; each is settled by itself, so that a refused one stops no other."""

    actions: Annotated[list[ResolvedAction], Meta(min_length=1, max_length=MOST_RESOLVED)]


class RefusedItem(msgspec.Struct, frozen=True):
    """An item of a list for which nothing was done, and why."""

    item: str
    error: str


class ResolveManyAnswer(msgspec.Struct, frozen=True):
    """The actions that are settled now, and those that are not."""

    resolved: list[ActionView]
    refused: list[RefusedItem]


class UntrackRequest(msgspec.Struct, frozen=True):
    """Up to 1,000 orders to forget."""

    orders: Annotated[list[OrderName], Meta(min_length=1, max_length=MOST_LISTED)]


class UntrackAnswer(msgspec.Struct, frozen=True):
    """How many orders are forgotten, and which are not."""

    untracked: int
    refused: list[RefusedItem]


class DeedView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person or a key did. `via` is page, cli or api."""

    id: int
    at: Time
    by: str
    via: str
    did: str
    panel: str | None
    subject: str | None
    detail: str | None


class AuditList(msgspec.Struct, frozen=True):
    """What people and keys did, the newest first; `next` is the cursor of the next page."""

    audit: list[DeedView]
    next: str | None

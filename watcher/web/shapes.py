"""Requests and answers of the HTTP API. Times are ISO 8601 in UTC, money a decimal string."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from watcher.orders.labels import LINE, LINES, LONGEST, LONGEST_TAG, MOST_TAGS, TAG_LINE

PanelName = Annotated[str, Meta(min_length=1, max_length=40)]
OrderId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\s,\x00]+$")]
Time = Annotated[datetime, Meta(extra_json_schema={"format": "date-time"})]
Count = Annotated[int, Meta(ge=0, le=2**53)]  # what every JSON reader holds exactly
# `watcher.orders.labels` checks them: its messages are clearer than the decoder's.
Reference = (
    Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST["reference"], "pattern": LINE})]
    | Count
)
Customer = (
    Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST["customer"], "pattern": LINE})]
    | Count
)
Tag = Annotated[
    str, Meta(extra_json_schema={"minLength": 1, "maxLength": LONGEST_TAG, "pattern": TAG_LINE})
]
Tags = Annotated[list[Tag], Meta(extra_json_schema={"maxItems": MOST_TAGS})]
Note = Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST["note"], "pattern": LINES})]
ServiceId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\s,\x00]+$")]
Link = Annotated[str, Meta(max_length=2000, pattern=r"^[^\x00]*$")]
Param = Annotated[str, Meta(max_length=10_000)] | Annotated[int, Meta(ge=-(2**53), le=2**53)]


class TrackItem(msgspec.Struct, frozen=True):
    """An order that was submitted elsewhere."""

    panel: PanelName
    order: OrderId | int
    service: str | int | None = None
    link: Link | None = None
    quantity: Count | None = None
    submitted_at: Time | None = None
    finished_at: Time | None = None  # counts if the order is final at its first check
    reference: Reference | None = None
    customer: Customer | None = None
    tags: Tags = []
    note: Note | None = None


# Any other item of the list is rejected by itself.
_ITEMS = {"items": {"anyOf": [{"$ref": "#/components/schemas/TrackItem"}, {}]}}


class TrackRequest(msgspec.Struct, frozen=True):
    """Up to 10,000 orders; each is checked by itself, so that a bad one rejects no other."""

    orders: Annotated[list[Any], Meta(max_length=10_000, extra_json_schema=_ITEMS)]


class Rejected(msgspec.Struct, frozen=True):
    """An item that was not accepted, by its place in the list (from 0)."""

    index: int
    error: str


class TrackAnswer(msgspec.Struct, frozen=True):
    """How many are tracked from now on, how many were known already, and which were refused.

    Of those tracked, `undated` have no time of submission: their age is not known.
    `finish_unknown` have no time of completion: if they are final at their first check, it is not
    known when they finished, and rules that need it don't fire. `updated` counts the known orders
    that got a service, reference, customer, tags or note, where they had none.
    """

    tracked: int
    known: int
    rejected: list[Rejected]
    undated: int = 0
    finish_unknown: int = 0
    updated: int = 0


class SubmitRequest(msgspec.Struct, frozen=True):
    """An order to place. `params` are further parameters of its service's type."""

    panel: PanelName
    service: str | int
    link: Link | None = None
    quantity: Count | None = None
    params: Annotated[dict[str, Param], Meta(max_length=50)] = {}
    reference: Reference | None = None
    customer: Customer | None = None
    tags: Tags = []
    note: Note | None = None


class CountRequest(msgspec.Struct, frozen=True):
    """The link's current count, measured elsewhere."""

    count: Count


class ServiceRequest(msgspec.Struct, frozen=True):
    """The panel's service of an order that was tracked without one."""

    service: ServiceId | Count


class LabelRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Changes of an order's labels. Null or an empty text removes one.

    `tags` are all tags that the order has from then on. At least one field is required.
    """

    reference: Reference | UnsetType | None = UNSET
    customer: Customer | UnsetType | None = UNSET
    tags: Tags | UnsetType | None = UNSET
    note: Note | UnsetType | None = UNSET


class ResolveRequest(msgspec.Struct, frozen=True):
    """The outcome of an unresolved action. `result` is the panel's id of what it accepted."""

    state: Literal["accepted", "rejected"]
    result: OrderId | int | None = None


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it was last seen.

    `finished_at` is null while it is open, and if it was final at its first check: then it is not
    known when it finished. If `submitted_known` is false, `submitted_at` is when it was tracked.
    """

    panel: str
    order: str
    service: str | None
    link: str | None
    quantity: int | None
    reference: str | None
    customer: str | None
    tags: list[str]
    note: str | None
    status: str
    status_text: str | None
    remains: int | None
    start_count: int | None
    count: int | None
    charge: str | None
    currency: str | None
    phase: str
    stalled: bool
    problem: str | None
    refills: int
    submitted_at: Time
    progressed_at: Time
    finished_at: Time | None
    checked_at: Time | None
    next_check_at: Time | None
    submitted_known: bool = True


class NextCheckView(msgspec.Struct, frozen=True, kw_only=True):
    """When an order is expected to be checked next, and why then.

    `stage` is pending, starting, moving, stopped, ending or guarded; null if the panel does not
    report the order. `every` is the present interval between two checks, in seconds;
    `change_within_hour` is a probability from 0 to 1; by `change_expected_at` the order has changed
    with a probability of one half.
    """

    at: Time | None
    reason: str
    stage: str | None
    every: float | None
    hazard_per_hour: float | None
    change_within_hour: float | None
    change_expected_at: Time | None


class HistoryView(msgspec.Struct, frozen=True):
    """A change: the old and the new value of each field that differs."""

    at: Time
    changes: dict[str, list[Any]]


class ChangeView(msgspec.Struct, frozen=True):
    """A change of some order: the old and the new value of each field that differs."""

    panel: str
    order: str
    at: Time
    changes: dict[str, list[Any]]


class HistoryList(msgspec.Struct, frozen=True):
    """A page of changes; `next` is the cursor of the next page, null on the last."""

    history: list[ChangeView]
    next: str | None


class RefillView(msgspec.Struct, frozen=True, kw_only=True):
    """A refill task at the panel. `note` says why its status is unknown, if it is."""

    refill: str
    status: str
    status_text: str | None
    requested_at: Time
    finished_at: Time | None
    note: str | None = None


class ActionView(msgspec.Struct, frozen=True, kw_only=True):
    """An action with its record; `outcome` says in words how it ended.

    In lists, long `params` are cut and `params_cut` is true: `GET /v1/actions/{id}` has them whole.
    """

    id: int
    kind: str
    panel: str
    order: str | None
    state: str
    rule: str | None
    reason: str
    params: dict[str, str] | None
    result: str | None
    answer: str | None
    planned_at: Time
    sent_at: Time | None
    settled_at: Time | None
    params_cut: bool = False
    outcome: str = ""


class FiringView(msgspec.Struct, frozen=True, kw_only=True):
    """When a rule fired for the order."""

    rule: str
    action: str
    at: Time
    dry_run: bool
    detail: str


class OrderDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One order with all that is known about it."""

    state: OrderView
    history: list[HistoryView]
    refills: list[RefillView]
    actions: list[ActionView]
    firings: list[FiringView]
    next_check: NextCheckView | None = None  # null where it is closed


class OrderList(msgspec.Struct, frozen=True):
    """A page of orders; `next` is the cursor of the next page, null on the last."""

    orders: list[OrderView]
    next: str | None


class ActionList(msgspec.Struct, frozen=True):
    """A page of actions, newest first."""

    actions: list[ActionView]
    next: str | None


class ActionAnswer(msgspec.Struct, frozen=True):
    """The action that was planned, settled or withdrawn; `order` once a submission was accepted.

    `message` says what happens to a submission that could not be sent yet.
    """

    action: ActionView
    order: OrderView | None = None
    message: str | None = None


class Fault(msgspec.Struct, frozen=True):
    """Why a request was refused."""

    code: str
    message: str


class FaultAnswer(msgspec.Struct, frozen=True):
    """Every error has this form."""

    error: Fault

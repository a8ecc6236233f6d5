"""What the HTTP API takes and gives. Times are ISO 8601 in UTC, money is a decimal string."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

PanelName = Annotated[str, Meta(min_length=1, max_length=40)]
OrderId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\s,]+$")]
Time = Annotated[datetime, Meta(extra_json_schema={"format": "date-time"})]
Count = Annotated[int, Meta(ge=0, le=2**53)]  # what every reader of JSON holds exactly
ServiceId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\s,]+$")]
Param = Annotated[str, Meta(max_length=10_000)] | Annotated[int, Meta(ge=-(2**53), le=2**53)]


class TrackItem(msgspec.Struct, frozen=True):
    """An order that was submitted elsewhere."""

    panel: PanelName
    order: OrderId | int
    service: str | int | None = None
    link: Annotated[str, Meta(max_length=2000)] | None = None
    quantity: Count | None = None
    submitted_at: Time | None = None
    finished_at: Time | None = None  # counts if the order is final at its first check


# Whatever else is in the list is rejected alone.
_ITEMS = {"items": {"anyOf": [{"$ref": "#/components/schemas/TrackItem"}, {}]}}


class TrackRequest(msgspec.Struct, frozen=True):
    """Up to 10,000 orders; each is checked alone, so that a bad one spoils nothing."""

    orders: Annotated[list[Any], Meta(max_length=10_000, extra_json_schema=_ITEMS)]


class Rejected(msgspec.Struct, frozen=True):
    """An item that was not taken, by its place in the list (from 0)."""

    index: int
    error: str


class TrackAnswer(msgspec.Struct, frozen=True):
    """How many are tracked from now on, how many were known already, and which were refused.

    Of those tracked, `undated` have no time of submission, so that their age is not known, and
    `finish_unknown` no time of completion: if they are final at their first check, when they
    finished is not known, and no rule on that acts on them.
    `updated` are those of the known ones whose service was not known before.
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
    link: Annotated[str, Meta(max_length=2000)] | None = None
    quantity: Count | None = None
    params: Annotated[dict[str, Param], Meta(max_length=50)] = {}


class CountRequest(msgspec.Struct, frozen=True):
    """The link's current count, measured elsewhere."""

    count: Count


class ServiceRequest(msgspec.Struct, frozen=True):
    """The panel's service of an order that was tracked without one."""

    service: ServiceId | Count


class ResolveRequest(msgspec.Struct, frozen=True):
    """What became of an unresolved action. `result` is the panel's id of what it accepted."""

    state: Literal["accepted", "rejected"]
    result: OrderId | int | None = None


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it was last seen.

    `finished_at` is null while it is open, and where it was final at its first check: when it
    finished is not known then. Where `submitted_known` is false `submitted_at` is when it was
    tracked.
    """

    panel: str
    order: str
    service: str | None
    link: str | None
    quantity: int | None
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
    """When an order will be checked next, as far as one can tell, and why then.

    `stage` is how far the order is, null where the panel does not tell of it: pending, starting,
    moving, stopped, ending, guarded. `every` is how many seconds lie between two checks as things
    stand; `change_within_hour` is a chance from 0 to 1; by `change_expected_at` the order will
    have changed as likely as not.
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
    """An action with its record; `outcome` tells people what came of it.

    In lists, long `params` are cut and `params_cut` is true: `GET /v1/actions/{id}` has the whole.
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
    """One order with all that is known of it."""

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

    `message` tells what will become of a submission that could not be sent yet.
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

"""Values that every package uses: orders, observations, services, actions.

Times are Unix seconds (float), durations are seconds, money is Decimal, ids are text. A million
orders stay in memory, so they are msgspec structs that the garbage collector doesn't visit.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec


class Status(StrEnum):
    """An order's status, normalised; the panel's own word is stored beside it."""

    PENDING = "pending"
    PROCESSING = "processing"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    PARTIAL = "partial"
    CANCELED = "canceled"
    REFUNDED = "refunded"
    FAILED = "failed"
    UNKNOWN = "unknown"


DELIVERED = frozenset({Status.COMPLETED, Status.PARTIAL})
DEAD = frozenset({Status.CANCELED, Status.REFUNDED, Status.FAILED})
FINAL = DELIVERED | DEAD


class Phase(StrEnum):
    """How an order is watched."""

    OPEN = "open"  # still changing
    GUARDED = "guarded"  # finished, but rules may still refill it
    CLOSED = "closed"  # no longer checked


class Origin(StrEnum):
    """How much of an order's history is known from before it was tracked."""

    WHOLE = "whole"  # it was placed here, or tracked as soon as it was submitted
    DATED = "dated"  # it was tracked later, with the time of its submission
    UNDATED = "undated"  # tracked later: `submitted_at` is an upper bound


class Order(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order submitted to a panel and tracked here; None means "not known"."""

    panel: str
    id: str
    key: int = 0  # its row in the database, 0 before it has one
    service: str | None = None
    link: str | None = None
    quantity: int | None = None
    reference: str | None = None
    customer: str | None = None
    tags: tuple[str, ...] = ()
    note: str | None = None
    submitted_at: float
    status: Status = Status.UNKNOWN  # until the panel reports one
    status_text: str | None = None
    charge: Decimal | None = None
    currency: str | None = None
    start_count: int | None = None
    remains: int | None = None
    count: int | None = None  # the link's current count, measured elsewhere
    phase: Phase = Phase.OPEN
    progressed_at: float  # when status, remains or start_count last moved
    finished_at: float | None = None  # None also if it was final at its first check
    checked_at: float | None = None  # as of the last change; the watchlist has the latest
    problem: str | None = None  # why the panel doesn't report it, in the panel's words
    refills: int = 0  # accepted by the panel
    origin: Origin = Origin.WHOLE

    @property
    def delivered(self) -> int | None:
        """Return the units delivered so far; None if the panel reports too little."""
        if self.quantity is None:
            return None
        if self.remains is not None:
            return max(0, self.quantity - max(0, self.remains))
        return self.quantity if self.status is Status.COMPLETED else None

    @property
    def drop(self) -> float | None:
        """Return the lost share (0 to 1) of the delivered units, by `count`."""
        if self.count is None or self.start_count is None or not self.delivered:
            return None
        missing = self.start_count + self.delivered - self.count
        return min(1.0, max(0.0, missing / self.delivered))


class Labels(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The caller's own words on an order; each is a field of `Order`, too."""

    reference: str | None = None
    customer: str | None = None
    tags: tuple[str, ...] = ()
    note: str | None = None


class Observation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A panel's data on one order in one answer; `None` means "not reported"."""

    status: Status
    status_text: str | None = None
    charge: Decimal | None = None
    currency: str | None = None
    start_count: int | None = None
    remains: int | None = None


class RowError(msgspec.Struct, frozen=True, gc=False):
    """A panel's refusal of one id in an answer, in its own words."""

    text: str


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """A panel's acceptance in words, without an id; `whole`: one word for the whole request."""

    text: str
    whole: bool = False


class Unclear(msgspec.Struct, frozen=True, gc=False):
    """An answer to an action that shows neither acceptance nor refusal; `contradicts`: both."""

    text: str
    contradicts: bool = False


# A panel's answer on one id of an action: the id it gave, or another answer.
Verdict = str | Accepted | RowError | Unclear


class Transition(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order's change; `changes` has the old and the new value of each changed field."""

    before: Order
    after: Order
    at: float
    changes: dict[str, tuple[Any, Any]]


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a panel's price list; `rate` is the price of 1,000."""

    id: str
    name: str
    type: str = "Default"
    category: str = ""
    rate: Decimal | None = None
    min: int | None = None
    max: int | None = None
    refill: bool | None = None
    cancel: bool | None = None
    dripfeed: bool | None = None
    desc: str | None = None
    average_time: str | None = None


class Balance(msgspec.Struct, frozen=True):
    """The remaining balance of an account, as the panel reports it."""

    amount: Decimal
    currency: str


class RefillStatus(StrEnum):
    """A refill task's status, normalised; the panel's own word is stored beside it."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"  # an unknown word
    NOT_FOUND = "not_found"  # the panel refuses to report it
    LOST = "lost"  # final: its outcome stayed unknown for too long


_RUNNING = {RefillStatus.PENDING, RefillStatus.IN_PROGRESS}
_NOT_TOLD = {RefillStatus.UNKNOWN, RefillStatus.NOT_FOUND}
REFILL_FINAL = frozenset(RefillStatus) - _RUNNING - _NOT_TOLD


class Refill(msgspec.Struct, frozen=True, kw_only=True):
    """A refill task at a panel; `key` is its row, 0 before it has one.

    `silent_since` is when answers began to lack the task; None if the last one had it.
    """

    panel: str
    order: str
    id: str
    key: int = 0
    action: int | None = None
    status: RefillStatus = RefillStatus.PENDING
    status_text: str | None = None
    requested_at: float
    finished_at: float | None = None
    silent_since: float | None = None


class Kind(StrEnum):
    """A kind of action at a panel."""

    SUBMIT = "submit"
    REFILL = "refill"
    CANCEL = "cancel"


class ActionState(StrEnum):
    """An action's state in the intent log."""

    PLANNED = "planned"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNRESOLVED = "unresolved"


UNSETTLED = frozenset({ActionState.PLANNED, ActionState.SENDING, ActionState.UNRESOLVED})


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One submission, refill or cancel that the watcher sends, with its record.

    `order` is None for a submission that is not accepted yet; `params` and `labels` are those of
    the order to place; `result` is the panel's id for what it accepted; `rule` is None for an
    action by a person.
    """

    id: int
    kind: Kind
    panel: str
    order: str | None = None
    state: ActionState = ActionState.PLANNED
    rule: str | None = None
    reason: str = ""
    params: dict[str, str] | None = None
    labels: Labels | None = None
    idempotency_key: str | None = None
    planned_at: float
    sent_at: float | None = None
    settled_at: float | None = None
    result: str | None = None
    answer: str | None = None


class RuleAction(StrEnum):
    """A rule's effect when it fires."""

    REFILL = "refill"
    CANCEL = "cancel"
    NOTIFY = "notify"


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's firing for an order; `every` and `attempts` go by it, also after a restart."""

    rule: str
    action: RuleAction
    panel: str
    order: str
    at: float
    dry_run: bool
    detail: str


class ActionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """An action to write to the intent log as planned."""

    kind: Kind
    panel: str
    order: str | None = None
    rule: str | None = None
    reason: str = ""
    params: dict[str, str] | None = None
    labels: Labels | None = None
    idempotency_key: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of sending an action; it is planned again if nothing was done for certain.

    `result` is the panel's id of the refill or of the placed order.
    """

    action: Action
    state: ActionState
    result: str | None = None
    answer: str | None = None

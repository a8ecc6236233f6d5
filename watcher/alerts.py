"""Values of alerts and events: what [[notify]] and [[events]] can tell of. Pure."""

from enum import StrEnum

import msgspec


class AlertKind(StrEnum):
    """The kinds of alerts, as `on` of [[notify]] names them."""

    BALANCE_LOW = "balance_low"
    ORDER_STALLED = "order_stalled"
    ACTION_UNRESOLVED = "action_unresolved"
    PANEL_DOWN = "panel_down"
    PANEL_DEGRADED = "panel_degraded"
    ORDER_PROBLEM = "order_problem"
    RULE_PAUSED = "rule_paused"
    NODE_LOST = "node_lost"
    CLOCKS_APART = "clocks_apart"
    PRICE_RISE = "price_rise"
    SERVICE_GONE = "service_gone"
    REFILL_REJECTED = "refill_rejected"
    RULE_FIRED = "rule_fired"


# Moments happen and do not last: each is notified once.
MOMENTS = frozenset(
    {AlertKind.PRICE_RISE, AlertKind.SERVICE_GONE, AlertKind.REFILL_REJECTED, AlertKind.RULE_FIRED}
)
# Only targets that list these are told.
ON_REQUEST = frozenset({AlertKind.ORDER_PROBLEM})


class AlertStage(StrEnum):
    """The state of an alert; `once` is one that does not last."""

    BEGUN = "begun"
    LASTS = "lasts"
    OVER = "over"
    ONCE = "once"


REFUSES = "refuses everything"  # the subject of PANEL_DOWN where the panel answers so


class Alert(msgspec.Struct, frozen=True):
    """One thing that is wrong. `subject` distinguishes alerts of one event at one panel."""

    event: AlertKind
    panel: str
    text: str
    subject: str = ""

    @property
    def key(self) -> str:
        """Return a key that stays as long as the alert lasts."""
        return f"{self.event}/{self.panel}/{self.subject}"

    @property
    def is_refusal(self) -> bool:
        """Return whether a panel answers, and refuses everything."""
        return self.event is AlertKind.PANEL_DOWN and self.subject == REFUSES


class AlertNotice(msgspec.Struct, frozen=True, rename={"alert": "trouble"}):
    """One alert at one stage, for a message; the outbox stores it with the key `trouble`."""

    alert: Alert
    stage: AlertStage
    at: float
    began_at: float


class KnownAlert(msgspec.Struct, frozen=True):
    """The state of an alert at one target, which may have been notified of it."""

    alert: Alert
    began_at: float
    notified_at: float | None = None  # the last notification
    gone_at: float | None = None


class ChangeKind(StrEnum):
    """What changed of an order."""

    STATUS = "status"
    PROGRESS = "progress"
    OTHER = "other"


class RetryLane(msgspec.Struct, frozen=True):
    """The changes of one order that wait: from `first` on."""

    key: int
    first: int
    attempts: int = 0
    next_at: float = 0.0
    error: str | None = None


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. `number` is that of its row, `text` what the panel or rule said.

    `reference` is the caller's own number of the order.
    `rule` is the one that fired. `is_routine` marks a refusal of a refill that a rule or a shop
    asked for, not a person. `service` (panel, id) names the one whose entry in the price list has
    changed, `name` is what it is called.
    """

    event: AlertKind
    panel: str
    at: float
    number: int
    text: str | None = None
    order: str | None = None
    reference: str | None = None
    refill: str | None = None
    rule: str | None = None
    is_routine: bool = False
    service: tuple[str, str] | None = None
    name: str = ""
    old: str | None = None
    new: str | None = None

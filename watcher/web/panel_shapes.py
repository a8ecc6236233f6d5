"""Answers of the HTTP API about panels, price lists, rules, and what needs a person."""

import msgspec
from msgspec import UNSET, UnsetType

from watcher.daemon.attention_kinds import Issue, Severity
from watcher.panels.breaker import BreakerState
from watcher.panels.health import HealthState
from watcher.web.control_shapes import PauseView
from watcher.web.shapes import Time


class AttentionView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that needs a person. `key` names it for as long as it lasts.

    `panel` is null where it concerns the daemon; `subject` is a rule, a target, or a kind of
    action. If `at` is set, the `sentence` ends with that time in UTC. `todo` says what to do,
    `command` and `link` where; `doc` is a page of the docs.
    """

    key: str
    kind: Issue
    severity: Severity
    since: Time
    panel: str | None
    subject: str
    title: str
    sentence: str
    at: Time | None = None
    todo: str
    command: str | None
    link: str | None  # a path of the status page
    doc: str
    snoozed: PauseView | None = None


class AttentionList(msgspec.Struct, frozen=True):
    """Everything that needs a person, the most urgent first."""

    attention: list[AttentionView]
    next: str | None = None


class PanelFault(msgspec.Struct, frozen=True):
    """What is wrong with one kind of call: the panel's words, or the unreadable value."""

    call: str
    text: str
    since: Time


class PanelView(msgspec.Struct, frozen=True, kw_only=True):
    """A panel's health.

    `state` is `up`; `degraded`: it works, but one kind of call is refused or can't be read;
    `limited`: it refuses because it is asked too fast; `refusing`: it refuses everything; `down`:
    it does not answer. `state_detail` says what is wrong, `problem` the main thing. In a cluster,
    what is told of a panel that another node leads is as of `told_at`.
    """

    panel: str
    profile: str
    can: list[str]
    up: bool  # the last request was answered, and the panel does not refuse everything
    state: HealthState = HealthState.UP
    state_detail: list[PanelFault] = []
    problem: str | None
    breaker: BreakerState  # open: it failed, nothing is sent; half_open: one request tries it
    paused_until: Time | None
    requests_per_minute: float  # the rate at present
    last_success_at: Time | None
    balance: str | None
    currency: str | None
    low_balance: str | None
    balance_at: Time | None
    orders_open: int
    orders_guarded: int
    orders_due: int
    orders_stalled: int
    lag: float | None  # seconds by which the latest order is late
    actions_pending: int
    actions_unresolved: int
    pauses: list[PauseView] = []  # what people have paused of it
    node: str | UnsetType | None = UNSET  # of a cluster: who leads it, null while nobody does
    led_since: Time | UnsetType | None = UNSET
    told_at: Time | UnsetType | None = UNSET  # null: now, as the node that answers leads it

    @property
    def is_shared(self) -> bool:
        """Whether it is of a cluster."""
        return self.node is not UNSET


class PanelAnswer(msgspec.Struct, frozen=True):
    """One panel, as it is at this moment."""

    panel: PanelView


class PanelList(msgspec.Struct, frozen=True):
    """Every panel."""

    panels: list[PanelView]
    next: str | None = None


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the cluster and the panels that it leads.

    `alive` is false once its lease has ended without a stop; the lease ended at `until` then, else
    it ends then unless it is renewed. No two starts of nodes have the same `epoch`.
    """

    node: str
    url: str
    alive: bool
    panels: list[str]
    epoch: int
    until: Time
    started_at: Time
    version: str


class NodeList(msgspec.Struct, frozen=True):
    """The nodes of the cluster; none if the daemon is of no cluster.

    `answered_by` is the node that answers, `unled` are the panels that no node leads.
    """

    nodes: list[NodeView]
    answered_by: str | None = None
    unled: list[str] = []
    next: str | None = None


class LessonView(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of a service's orders; recent days count most. Null: not known yet.

    `start_delay` is how many seconds an order usually waits, `duration` how many seconds it is then
    in progress, by quantity. `completed`, `partial` and `canceled` are shares of the `orders` that
    have ended.
    """

    start_delay: float | None
    duration: dict[str, float]
    orders: float
    completed: float | None
    partial: float | None
    canceled: float | None


class ServiceView(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a panel's price list; `rate` is the price of 1,000."""

    service: str
    name: str
    type: str
    category: str
    rate: str | None
    min: int | None
    max: int | None
    refill: bool | None
    cancel: bool | None
    refill_disabled: str | None
    gone_at: Time | None
    learnt: LessonView | None = None


class ServiceList(msgspec.Struct, frozen=True):
    """A panel's price list."""

    services: list[ServiceView]
    next: str | None = None


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A rule and what it did since the daemon started."""

    name: str
    action: str
    panels: list[str]
    when: str
    every: float  # seconds
    attempts: int | None
    per_hour: int
    dry_run: bool
    evaluations: int
    firings: int
    failures: int
    held: dict[str, Time]  # panel -> until when the brake holds the rule there
    paused: PauseView | None = None  # by somebody
    switched_off: str | None = None  # why its condition fails; a reload switches it on again


class RuleList(msgspec.Struct, frozen=True):
    """Every rule, in the configuration's order."""

    rules: list[RuleView]
    next: str | None = None


class DecisionView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a rule would fire for the order now, and why."""

    rule: str
    action: str
    fires: bool
    reason: str
    detail: str
    again_at: Time | None


class ReloadAnswer(msgspec.Struct, frozen=True):
    """What a reload changed, as "panel a: url, key"; `restart` are keys that wait for a restart."""

    changed: list[str]
    restart: list[str]


class Explanation(msgspec.Struct, frozen=True):
    """Every rule's decision on one order."""

    decisions: list[DecisionView]
    next: str | None = None

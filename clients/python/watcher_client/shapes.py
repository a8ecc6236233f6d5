"""What the API takes and gives. Made from its OpenAPI description: `make api`.

Times are ISO 8601 with their zone, money is text.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

BreakerState = Literal[
    "closed",
    "half_open",
    "open",
]

CheckOutcome = Literal[
    "changed",
    "not_watched",
    "refused",
    "unchanged",
    "waiting",
]

HealthState = Literal[
    "degraded",
    "down",
    "limited",
    "refusing",
    "up",
]

Issue = Literal[
    "action_unresolved",
    "backup_old",
    "balance_low",
    "balance_short",
    "balance_unread",
    "budget_short",
    "checks_late",
    "clocks_apart",
    "config_refused",
    "database_damaged",
    "database_failing",
    "database_lost",
    "events_dead",
    "events_undelivered",
    "messages_undelivered",
    "node_lost",
    "order_problem",
    "order_stalled",
    "panel_degraded",
    "panel_down",
    "panel_limited",
    "panel_refusing",
    "panel_stands_still",
    "panel_unled",
    "paused_by_hand",
    "rule_paused",
    "rule_switched_off",
]

Paused = Literal[
    "actions",
    "attention",
    "reads",
    "rule",
]

Right = Literal[
    "act",
    "admin",
    "check",
    "read",
    "submit",
]

Severity = Literal[
    "critical",
    "info",
    "warning",
]

WaitReason = Literal[
    "asked",
    "down",
    "limited",
    "paused",
    "queued",
    "refusing",
    "resting",
]


class ActionAnswer(TypedDict):
    """The action that was planned, settled or withdrawn; `order` once a submission was accepted.

    `message` says what happens to a submission that could not be sent yet.
    """

    action: ActionView
    order: NotRequired[OrderView | None]
    message: NotRequired[str | None]


class ActionView(TypedDict):
    """An action with its record; `outcome` says in words how it ended.

    In lists, long `params` are cut and `params_cut` is true: `GET /v1/actions/{id}` has them
    whole.
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
    planned_at: str
    sent_at: str | None
    settled_at: str | None
    params_cut: NotRequired[bool]
    outcome: NotRequired[str]


class AttentionList(TypedDict):
    """Everything that needs a person, the most urgent first."""

    attention: list[AttentionView]
    next: NotRequired[str | None]


class AttentionView(TypedDict):
    """Something that needs a person. `key` names it for as long as it lasts.

    `panel` is null where it concerns the daemon; `subject` is a rule, a target, or a kind of
    action. If `at` is set, the `sentence` ends with that time in UTC. `todo` says what to do,
    `command` and `link` where; `doc` is a page of the docs.
    """

    key: str
    kind: Issue
    severity: Severity
    since: str
    panel: str | None
    subject: str
    title: str
    sentence: str
    at: NotRequired[str | None]
    todo: str
    command: str | None
    link: str | None
    doc: str
    snoozed: NotRequired[PauseView | None]


class ChangeList(TypedDict):
    """Changes in the order of recording. `cursor` is `after` of the next request.

    `more`: there are further changes; with a filter this page may be empty all the same.
    """

    changes: list[OrderChangeView]
    cursor: str
    more: bool


class CheckAnswer(TypedDict):
    """One order's check."""

    check: CheckView


class CheckList(TypedDict):
    """The checks, in the order of the request, each order once."""

    checks: list[CheckView]


class CheckView(TypedDict):
    """The result of a check, or why there is none yet.

    `outcome` is `changed`; `unchanged`; `refused`: the panel does not report it; `waiting`:
    it is asked about as soon as that is possible; `not_watched`: it is unknown here, or
    closed. `why` is set while it waits: the panel is `paused` by somebody, `refusing`
    everything, `down`, or has `limited` its requests; the order is `resting` after a check
    some seconds ago, being `asked`, or `queued`. `until` is the next try, where it is known.
    `changes` has the old and the new value of each field.
    """

    panel: str
    order: str
    outcome: CheckOutcome
    sentence: str
    why: WaitReason | None
    until: str | None
    changes: dict[str, list[Any]]
    state: OrderView | None


class ChecksRequest(TypedDict):
    """Up to 1,000 orders to check now. The answer waits up to `wait` seconds for the panels."""

    orders: list[OrderName]
    wait: NotRequired[float]


class FiringView(TypedDict):
    """When a rule fired for the order."""

    rule: str
    action: str
    at: str
    dry_run: bool
    detail: str


class HistoryView(TypedDict):
    """A change: the old and the new value of each field that differs."""

    at: str
    changes: dict[str, list[Any]]


class LabelRequest(TypedDict):
    """Changes of an order's labels. Null or an empty text removes one.

    `tags` are all tags that the order has from then on. At least one field is required.
    """

    reference: NotRequired[str | int | None]
    customer: NotRequired[str | int | None]
    tags: NotRequired[list[str] | None]
    note: NotRequired[str | None]


class NextCheckView(TypedDict):
    """When an order is expected to be checked next, and why then.

    `stage` is pending, starting, moving, stopped, ending or guarded; null if the panel does
    not report the order. `every` is the present interval between two checks, in seconds;
    `change_within_hour` is a probability from 0 to 1; by `change_expected_at` the order has
    changed with a probability of one half.
    """

    at: str | None
    reason: str
    stage: str | None
    every: float | None
    hazard_per_hour: float | None
    change_within_hour: float | None
    change_expected_at: str | None


class OrderChangeView(TypedDict):
    """A change, and the order as it is now: `state` may be newer than the change."""

    panel: str
    order: str
    reference: str | None
    at: str
    changes: dict[str, list[Any]]
    state: OrderView


class OrderDetail(TypedDict):
    """One order with all that is known about it."""

    state: OrderView
    history: list[HistoryView]
    refills: list[RefillView]
    actions: list[ActionView]
    firings: list[FiringView]
    next_check: NotRequired[NextCheckView | None]


class OrderList(TypedDict):
    """A page of orders; `next` is the cursor of the next page, null on the last."""

    orders: list[OrderView]
    next: str | None


class OrderName(TypedDict):
    """An order at a panel."""

    panel: str
    order: str | int


class OrderView(TypedDict):
    """An order as it was last seen.

    `finished_at` is null while it is open, and if it was final at its first check: then it is
    not known when it finished. If `submitted_known` is false, `submitted_at` is when it was
    tracked.
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
    submitted_at: str
    progressed_at: str
    finished_at: str | None
    checked_at: str | None
    next_check_at: str | None
    submitted_known: NotRequired[bool]


class PanelFault(TypedDict):
    """What is wrong with one kind of call: the panel's words, or the unreadable value."""

    call: str
    text: str
    since: str


class PanelList(TypedDict):
    """Every panel."""

    panels: list[PanelView]
    next: NotRequired[str | None]


class PanelView(TypedDict):
    """A panel's health.

    `state` is `up`; `degraded`: it works, but one kind of call is refused or can't be read;
    `limited`: it refuses because it is asked too fast; `refusing`: it refuses everything;
    `down`: it does not answer. `state_detail` says what is wrong, `problem` the main thing.
    In a cluster, what is told of a panel that another node leads is as of `told_at`.
    """

    panel: str
    profile: str
    can: list[str]
    up: bool
    state: NotRequired[HealthState]
    state_detail: NotRequired[list[PanelFault]]
    problem: str | None
    breaker: BreakerState
    paused_until: str | None
    requests_per_minute: float
    last_success_at: str | None
    balance: str | None
    currency: str | None
    low_balance: str | None
    balance_at: str | None
    orders_open: int
    orders_guarded: int
    orders_due: int
    orders_stalled: int
    lag: float | None
    actions_pending: int
    actions_unresolved: int
    pauses: NotRequired[list[PauseView]]
    node: NotRequired[str | None]
    led_since: NotRequired[str | None]
    told_at: NotRequired[str | None]


class PauseView(TypedDict):
    """Something that is paused. `name` is a panel, a rule, or the key of an attention item."""

    what: Paused
    name: str
    since: str
    until: str | None
    reason: str
    by: str
    via: str
    sentence: str


class PrincipalView(TypedDict):
    """Who sends the request.

    `name` is that of a key in [[keys]]; `token` for who has the token, `local` if none is
    needed. `panels` null means every panel.
    """

    name: str
    rights: list[Right]
    panels: list[str] | None


class RefillView(TypedDict):
    """A refill task at the panel. `note` says why its status is unknown, if it is."""

    refill: str
    status: str
    status_text: str | None
    requested_at: str
    finished_at: str | None
    note: NotRequired[str | None]


class Rejected(TypedDict):
    """An item that was not accepted, by its place in the list (from 0)."""

    index: int
    error: str


class SubmitRequest(TypedDict):
    """An order to place. `params` are further parameters of its service's type."""

    panel: str
    service: str | int
    link: NotRequired[str | None]
    quantity: NotRequired[int | None]
    params: NotRequired[dict[str, str | int]]
    reference: NotRequired[str | int | None]
    customer: NotRequired[str | int | None]
    tags: NotRequired[list[str]]
    note: NotRequired[str | None]


class TrackAnswer(TypedDict):
    """How many are tracked from now on, how many were known already, and which were refused.

    Of those tracked, `undated` have no time of submission: their age is not known.
    `finish_unknown` have no time of completion: if they are final at their first check, it is
    not known when they finished, and rules that need it don't fire. `updated` counts the
    known orders that got a service, reference, customer, tags or note, where they had none.
    """

    tracked: int
    known: int
    rejected: list[Rejected]
    undated: NotRequired[int]
    finish_unknown: NotRequired[int]
    updated: NotRequired[int]


class TrackItem(TypedDict):
    """An order that was submitted elsewhere."""

    panel: str
    order: str | int
    service: NotRequired[str | int | None]
    link: NotRequired[str | None]
    quantity: NotRequired[int | None]
    submitted_at: NotRequired[str | None]
    finished_at: NotRequired[str | None]
    reference: NotRequired[str | int | None]
    customer: NotRequired[str | int | None]
    tags: NotRequired[list[str]]
    note: NotRequired[str | None]


class TrackRequest(TypedDict):
    """Up to 10,000 orders; each is checked by itself, so that a bad one rejects no other."""

    orders: list[TrackItem]


class ListOrdersQuery(TypedDict):
    """The query of `list_orders`.

    `panel`: Of this panel only.

    `status`: In this status only.

    `stalled`: Only open orders without progress for too long.

    `problem`: Only orders whose status their panel does not report.

    `tag`: With this tag only.

    `reference`: With this reference only.

    `customer`: Of this customer only.

    `since`: From this time on, with its time zone.

    `limit`: How many at the most.

    `cursor`: `next` of the last page.
    """

    panel: NotRequired[str]
    status: NotRequired[str]
    stalled: NotRequired[bool]
    problem: NotRequired[bool]
    tag: NotRequired[str]
    reference: NotRequired[str]
    customer: NotRequired[str]
    since: NotRequired[str]
    limit: NotRequired[int]
    cursor: NotRequired[str]


class ListChangesQuery(TypedDict):
    """The query of `list_changes`.

    `after`: `cursor` of the last answer; `now`: only what changes from now.

    `wait`: How many seconds to wait for a change if there is none yet.

    `panel`: Of this panel only.

    `tag`: With this tag only.

    `limit`: How many at the most.
    """

    after: NotRequired[str]
    wait: NotRequired[int]
    panel: NotRequired[str]
    tag: NotRequired[str]
    limit: NotRequired[int]

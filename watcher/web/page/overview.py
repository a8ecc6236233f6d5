"""The first page's content: what needs attention, and the state of everything."""

import heapq
from collections.abc import Iterable, Mapping
from operator import itemgetter

import msgspec

from watcher.common.wording import counted
from watcher.daemon.attention_items import Attention
from watcher.daemon.attention_kinds import Issue, Severity
from watcher.orders.schedule import Forecast
from watcher.store.recent import FiringCounts, Latest
from watcher.web.context import WebContext
from watcher.web.page import rendering
from watcher.web.panel_shapes import PanelView, RuleView
from watcher.web.panel_views import panel_view
from watcher.web.principal import LOCAL, Principal
from watcher.web.state import attention_of, rule_views

CHECKS, PANELS = 8, 24  # shown on the first page

PARTS = ("summary", "attention", "panels", "next", "rules", "actions", "prices")


class Account(msgspec.Struct, frozen=True):
    """A panel with its money, and what of it needs attention, by urgency.

    `spent` is of the last 24 hours; `lasts` is how many seconds the balance lasts at that rate.
    """

    view: PanelView
    spent: float | None
    lasts: float | None
    kinds: Mapping[Issue, Severity]
    watched: int  # orders

    @property
    def is_low(self) -> bool:
        return Issue.BALANCE_LOW in self.kinds

    @property
    def money_tone(self) -> str:
        """The colour of the balance and of how long it lasts: how urgent the money is."""
        severity = self.kinds.get(Issue.BALANCE_LOW, self.kinds.get(Issue.BALANCE_SHORT))
        return rendering.TONES[severity] if severity else ""

    @property
    def is_late(self) -> bool:
        return Issue.CHECKS_LATE in self.kinds


class Check(msgspec.Struct, frozen=True):
    """An order that is checked soon."""

    panel: str
    order: str
    forecast: Forecast


class Acted(msgspec.Struct, frozen=True):
    """A rule and its last 24 hours."""

    view: RuleView
    fired: FiringCounts


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The first page's content as of `now`, as far as the principal sees it.

    In `attention` the most urgent comes first.
    """

    now: float
    attention: list[Attention]
    accounts: list[Account]
    checks: list[Check]
    rules: list[Acted]
    last: Latest
    watched: int
    principal: Principal = LOCAL

    @property
    def needs(self) -> int:
        """How many things need a person; items of severity info, or snoozed, don't count."""
        return sum(
            item.severity is not Severity.INFO and item.snooze is None for item, _ in self.rows
        )

    @property
    def rows(self) -> list[tuple[Attention, str]]:
        """Each item with its place; a rule that pauses at several panels is one row."""
        rows: dict[str, list[Attention]] = {}
        for item in self.attention:
            key = item.subject if item.kind is Issue.RULE_PAUSED else item.key
            rows.setdefault(key, []).append(item)
        return [(some[0], _place(some)) for some in rows.values()]


async def gather(context: WebContext, principal: Principal) -> Overview:
    """Return the first page's content, of the panels that the principal reaches."""
    now = context.clock()
    last = await context.store.recent.latest(now, panels=principal.panels)
    items = attention_of(context, principal)
    found = accounts(context, principal, items)
    rules = [
        Acted(view, last.fired.get(view.name, FiringCounts()))
        for view in rule_views(context, principal)
    ]
    return Overview(
        now=now,
        attention=items,
        accounts=sorted(found, key=_urgency),
        checks=_checks(context, principal, now),
        rules=rules,
        last=last,
        watched=sum(account.watched for account in found),
        principal=principal,
    )


def parts(overview: Overview) -> dict[str, str]:
    """Return the page's parts as HTML, by name. Without changes the text stays the same."""
    variables = {"o": overview, "most": PANELS, "principal": overview.principal}
    return {name: rendering.render(f"parts/{name}.html", **variables) for name in PARTS}


def accounts(
    context: WebContext, principal: Principal, items: Iterable[Attention]
) -> list[Account]:
    """Return the panels that the principal reaches, in the configuration's order."""
    kinds: dict[str | None, dict[Issue, Severity]] = {}
    for item in items:
        kinds.setdefault(item.panel, {})[item.kind] = item.severity
    return [
        Account(
            panel_view(context, state),
            state.spent,
            state.lasts,
            kinds.get(state.name, {}),
            sum(state.statuses.values()),
        )
        for state in context.daemon_status.panels()
        if principal.reaches(state.name)
    ]


def _place(items: list[Attention]) -> str:
    if len(items) > 3:
        return counted(len(items), "panel")
    return ", ".join(item.panel or item.subject for item in items)


def _urgency(account: Account) -> tuple[bool, bool, bool, str]:
    view = account.view
    return (view.up, not (account.is_low or account.is_late), not view.orders_stalled, view.panel)


def _checks(context: WebContext, principal: Principal, now: float) -> list[Check]:
    """Return the orders that are checked first, over all panels that the principal reaches."""
    panels = principal.among(context.panel_workers)
    each = CHECKS if len(panels) < 20 else 2
    soon = (
        (at, panel, order)
        for panel in panels
        for at, order in context.watchlist.panel(panel).upcoming(each, now)
    )
    return [
        Check(panel, order, forecast)
        for _, panel, order in heapq.nsmallest(CHECKS, soon, key=itemgetter(0))
        if (forecast := context.forecast(panel, order)) is not None
    ]

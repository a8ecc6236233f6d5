"""The first page's content: what needs attention, and the state of everything."""

import heapq
from collections.abc import Iterable
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
from watcher.web.state import panel_view, rule_views

CHECKS, PANELS = 8, 24  # shown on the first page

PARTS = ("summary", "attention", "panels", "next", "rules", "actions", "prices")


class Account(msgspec.Struct, frozen=True):
    """A panel with its money, and the kinds of attention that it needs.

    `spent` is of the last 24 hours; `lasts` is how many seconds the balance lasts at that rate.
    """

    view: PanelView
    spent: float | None
    lasts: float | None
    kinds: frozenset[Issue]

    @property
    def is_low(self) -> bool:
        return Issue.BALANCE_LOW in self.kinds

    @property
    def is_short(self) -> bool:
        return Issue.BALANCE_SHORT in self.kinds

    @property
    def is_late(self) -> bool:
        return Issue.CHECKS_LATE in self.kinds


class Check(msgspec.Struct, frozen=True):
    """An order that is checked soon."""

    panel: str
    order: str
    prospect: Forecast


class Acted(msgspec.Struct, frozen=True):
    """A rule and its last 24 hours."""

    view: RuleView
    fired: FiringCounts


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The first page's content as of `now`. In `attention` the most urgent comes first."""

    now: float
    attention: list[Attention]
    accounts: list[Account]
    checks: list[Check]
    rules: list[Acted]
    last: Latest
    watched: int

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


def gather(context: WebContext, last: Latest) -> Overview:
    """Return the first page's content."""
    now = context.clock()
    items = context.daemon_status.attention()
    found = accounts(context, items)
    rules = [Acted(view, last.fired.get(view.name, FiringCounts())) for view in rule_views(context)]
    return Overview(
        now=now,
        attention=items,
        accounts=sorted(found, key=_urgency),
        checks=_checks(context, now),
        rules=rules,
        last=last,
        watched=context.daemon_status.orders(),
    )


def parts(overview: Overview) -> dict[str, str]:
    """Return the page's parts as HTML, by name. Without changes the text stays the same."""
    return {name: rendering.render(f"parts/{name}.html", o=overview, most=PANELS) for name in PARTS}


def accounts(context: WebContext, items: Iterable[Attention]) -> list[Account]:
    """Return every panel with its money, in the configuration's order."""
    kinds: dict[str | None, set[Issue]] = {}
    for item in items:
        kinds.setdefault(item.panel, set()).add(item.kind)
    return [
        Account(
            panel_view(context, state),
            state.spent,
            state.lasts,
            frozenset(kinds.get(state.name, ())),
        )
        for state in context.daemon_status.panels()
    ]


def _place(items: list[Attention]) -> str:
    if len(items) > 3:
        return counted(len(items), "panel")
    return ", ".join(item.panel or item.subject for item in items)


def _urgency(account: Account) -> tuple[bool, bool, bool, str]:
    view = account.view
    return (view.up, not (account.is_low or account.is_late), not view.orders_stalled, view.panel)


def _checks(context: WebContext, now: float) -> list[Check]:
    """Return the orders that are checked first, over all panels."""
    each = CHECKS if len(context.panel_workers) < 20 else 2
    soon = (
        (at, panel, order)
        for panel in list(context.panel_workers)
        for at, order in context.watchlist.panel(panel).upcoming(each, now)
    )
    return [
        Check(panel, order, prospect)
        for _, panel, order in heapq.nsmallest(CHECKS, soon, key=itemgetter(0))
        if (prospect := context.watchlist.panel(panel).prospect(order, now)) is not None
    ]

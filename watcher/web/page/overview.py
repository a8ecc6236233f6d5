"""What the first page tells: what needs people, and how everything is."""

import heapq
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from watcher.cadence import Prospect
from watcher.panels.health import HealthState
from watcher.store import Spent
from watcher.store.recent import FiringCounts, Latest
from watcher.web.backend import Backend
from watcher.web.page import look
from watcher.web.shapes import PanelView, RuleView
from watcher.web.state import panel_views, rule_views
from watcher.wording import counted

CHECKS, PANELS = 8, 24  # shown on the first page
_SHORT = 2 * 86400.0  # seconds: an account that lasts no longer is told of

PARTS = ("summary", "attention", "panels", "next", "rules", "actions", "prices")


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """Something that needs a person. `tone` is bad or warn; `href` leads to where it is mended."""

    tone: str
    what: str
    where: str
    detail: str
    href: str
    todo: str


class Account(msgspec.Struct, frozen=True):
    """A panel, and how many seconds its balance lasts at what was spent in the last 24 hours."""

    view: PanelView
    spent: float | None
    lasts: float | None
    is_low: bool
    is_short: bool
    is_late: bool


class Check(msgspec.Struct, frozen=True):
    """An order that is checked soon."""

    panel: str
    order: str
    prospect: Prospect


class Acted(msgspec.Struct, frozen=True):
    """A rule and its last 24 hours."""

    view: RuleView
    fired: FiringCounts


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, as of `now`."""

    now: float
    needs: list[Need]
    accounts: list[Account]
    checks: list[Check]
    rules: list[Acted]
    last: Latest
    watched: int


def gather(backend: Backend, last: Latest, spent: Mapping[str, Spent]) -> Overview:
    """What is known now; `spent` may be a minute old."""
    now = backend.clock()
    found = accounts(backend, spent)
    rules = [Acted(view, last.fired.get(view.name, FiringCounts())) for view in rule_views(backend)]
    return Overview(
        now=now,
        needs=list(needs(backend, found, [rule.view for rule in rules])),
        accounts=sorted(found, key=_urgency),
        checks=_checks(backend, now),
        rules=rules,
        last=last,
        watched=backend.survey.orders(),
    )


def parts(overview: Overview) -> dict[str, str]:
    """The page's parts as HTML, by name. What has not changed is the same text again."""
    return {name: look.render(f"parts/{name}.html", o=overview, most=PANELS) for name in PARTS}


def accounts(backend: Backend, spent: Mapping[str, Spent]) -> list[Account]:
    """Every panel with its money, in the configuration's order."""
    return [_account(backend, view, spent.get(view.panel)) for view in panel_views(backend)]


def needs(backend: Backend, found: list[Account], rules: list[RuleView]) -> Iterator[Need]:
    """What people have to look at, the worst first."""
    yield from _of_daemon(backend)
    for account in found:
        yield from _down(account.view)
    for account in found:
        yield from _unresolved(account.view)
    for account in found:
        yield from _money(account)
    for rule in rules:
        yield from _of_rule(rule)
    for account in found:
        yield from _orders(account)


def _account(backend: Backend, view: PanelView, spent: Spent | None) -> Account:
    balance = None if view.balance is None else float(view.balance)
    lasts = spent.lasts(balance) if spent and balance is not None else None
    low = None if view.low_balance is None else float(view.low_balance)
    within = backend.stations[view.panel].config.settings.check_within
    return Account(
        view=view,
        spent=spent.amount if spent else None,
        lasts=lasts,
        is_low=balance is not None and low is not None and balance < low,
        is_short=lasts is not None and lasts < _SHORT,
        is_late=view.up and view.lag is not None and view.lag > within,
    )


def _urgency(account: Account) -> tuple[bool, bool, bool, str]:
    view = account.view
    return (view.up, not (account.is_low or account.is_late), not view.orders_stalled, view.panel)


def _checks(backend: Backend, now: float) -> list[Check]:
    """Those that are checked first, whatever their panel."""
    each = CHECKS if len(backend.stations) < 20 else 2
    soon = (
        Check(panel, order, prospect)
        for panel in list(backend.stations)
        for order, prospect in backend.book.upcoming(panel, each, now)
    )
    return heapq.nsmallest(CHECKS, soon, key=lambda check: check.prospect.at or now)


def _of_daemon(backend: Backend) -> Iterator[Need]:
    survey = backend.survey
    if not survey.integrity_ok:
        yield Need(
            tone="bad",
            what="The database is damaged",
            where="",
            detail="a check of its integrity has failed: restore a backup",
            href="/healthz",
            todo="Health",
        )
    if survey.files_problem is not None:
        yield Need(
            tone="bad",
            what="A file of the database was removed or replaced",
            where="",
            detail=survey.files_problem,
            href="/readyz",
            todo="Readiness",
        )
    if not survey.reload_ok:
        yield Need(
            tone="bad",
            what="The new configuration was refused",
            where="",
            detail="the last one stays in force; the log says what is wrong",
            href="#rules",
            todo="Rules in force",
        )


def _down(view: PanelView) -> Iterator[Need]:
    if view.state == HealthState.DEGRADED and view.up:
        yield _degraded(view)
    if view.up or (view.problem is None and view.last_success_at is None):
        return
    refuses = view.state == HealthState.REFUSING
    until = f"; left alone until {_clock(view.paused_until)}" if view.paused_until else ""
    yield Need(
        tone="bad",
        what="Panel refuses everything" if refuses else "Panel down",
        where=view.panel,
        detail=f"{view.problem or 'it does not answer'}{until}",
        href=look.panel_url(view.panel),
        todo="Look at it",
    )


def _degraded(view: PanelView) -> Need:
    return Need(
        tone="warn",
        what="Panel degraded",
        where=view.panel,
        detail="; ".join(f"{fault.call}: {fault.text}" for fault in view.state_detail),
        href=look.panel_url(view.panel),
        todo="Look at it",
    )


def _unresolved(view: PanelView) -> Iterator[Need]:
    if view.actions_unresolved:
        many = _many(view.actions_unresolved, "action")
        yield Need(
            tone="bad",
            what=f"{many} unresolved",
            where=view.panel,
            detail="nobody knows whether the panel carried them out: look there, then say so",
            href=look.query("/actions", {"state": "unresolved", "panel": view.panel}),
            todo="Resolve",
        )


def _money(account: Account) -> Iterator[Need]:
    view, left = account.view, account.lasts
    if not (account.is_low or account.is_short):
        return
    lasts = "" if left is None else f", enough for {look.lasts(left)} at today's spend"
    yield Need(
        tone="bad" if account.is_low else "warn",
        what="Balance low" if account.is_low else "Balance runs out",
        where=view.panel,
        detail=f"{look.cash(view.balance, view.currency)} left{lasts}",
        href=look.panel_url(view.panel),
        todo="Balance",
    )


def _of_rule(rule: RuleView) -> Iterator[Need]:
    if rule.switched_off:
        yield Need(
            tone="bad",
            what="Rule switched off",
            where=rule.name,
            detail=rule.switched_off,
            href="#rules",
            todo="Rules",
        )
    if rule.held:
        many = ", ".join(rule.held) if len(rule.held) < 4 else f"{len(rule.held)} panels"
        yield Need(
            tone="warn",
            what="Rule paused",
            where=rule.name,
            detail=f"it wanted more than {counted(rule.per_hour, 'order')} an hour at {many};"
            f" it goes on at {_clock(max(rule.held.values()))}",
            href="#rules",
            todo="Rules",
        )


def _orders(account: Account) -> Iterator[Need]:
    view = account.view
    if account.is_late:
        yield Need(
            tone="warn",
            what="Checks are late",
            where=view.panel,
            detail=f"an order has waited {look.lasts(view.lag)} longer than it should",
            href=look.panel_url(view.panel),
            todo="Look at it",
        )
    if view.orders_stalled:
        yield Need(
            tone="warn",
            what=f"{_many(view.orders_stalled, 'order')} stalled",
            where=view.panel,
            detail="open, and without progress for too long",
            href=look.query("/orders", {"panel": view.panel, "stalled": "true"}),
            todo="Show",
        )


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M} UTC"

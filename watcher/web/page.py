"""The status page: plain HTML that tells at a glance what runs and what needs attention."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from typing import Any

import msgspec

from watcher import __version__
from watcher.cadence import Prospect
from watcher.model import Action, ActionState
from watcher.web.backend import Backend
from watcher.web.shapes import PanelView, RuleView
from watcher.web.state import panel_views, rule_views
from watcher.web.views import moment

STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 76rem; margin: 1.5rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .35rem .7rem; border-bottom: 1px solid #8884;
  vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.bad { color: #c0262d; font-weight: 600 } .good { color: #1a7f37 } .quiet { opacity: .7 }
@media (prefers-color-scheme: dark) {
  .bad { color: #ff7b72 } .good { color: #56d364 } }
"""


CHECKS_TOLD = 5  # a panel


class Cell(msgspec.Struct, frozen=True):
    """Text of a table's cell; it is escaped when it is drawn."""

    text: str
    css: str = ""


class Check(msgspec.Struct, frozen=True):
    """An order that is checked soon, as of `now`."""

    panel: str
    order: str
    prospect: Prospect
    now: float


async def render(backend: Backend) -> str:
    """The whole page, of what is known now."""
    unresolved, _ = await backend.store.actions(state=ActionState.UNRESOLVED, limit=50)
    latest, _ = await backend.store.actions(limit=25)
    now = backend.clock()
    checks = [
        Check(panel, order, prospect, now)
        for panel in backend.stations
        for order, prospect in backend.book.upcoming(panel, CHECKS_TOLD, now)
    ]
    return draw(panel_views(backend), rule_views(backend), unresolved, latest, checks)


def draw(
    panels: Sequence[PanelView],
    rules: Sequence[RuleView],
    unresolved: Sequence[Action],
    latest: Sequence[Action],
    checks: Sequence[Check],
) -> str:
    """The whole page. Its texts come from anywhere, so every one is escaped."""
    parts = [
        "<h2>Panels</h2>",
        _table(_PANEL_HEADS, (_panel_row(panel) for panel in panels)),
        "<h2>Needs you</h2>",
        _attention(panels, rules, unresolved),
        "<h2>Checked next</h2>",
        _table(_CHECK_HEADS, (_check_row(check) for check in checks)),
        "<h2>Rules</h2>",
        _table(_RULE_HEADS, (_rule_row(rule) for rule in rules)),
        "<h2>Latest actions</h2>",
        _table(_ACTION_HEADS, (_action_row(action) for action in latest)),
        f'<p class="quiet">watcher {escape(__version__)} · <a href="/metrics">metrics</a> · '
        '<a href="/v1/openapi.json">API</a> · this page renews itself every 5 s</p>',
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="refresh" content="5"><title>watcher</title>'
        f"<style>{STYLE}</style></head><body><h1>watcher</h1>{''.join(parts)}</body></html>"
    )


_PANEL_HEADS = ("Panel", "State", "#Balance", "#Open", "#Guarded", "#Stalled", "#Due", "#Lag")
_CHECK_HEADS = ("Panel", "Order", "#In", "Why then", "#Changes within the hour")
_RULE_HEADS = ("Rule", "Action", "Condition", "#Looked", "#Fired", "#Failed")
_ACTION_HEADS = ("#Id", "When", "What", "Order", "State", "Why", "Answer")


def _panel_row(panel: PanelView) -> list[Cell]:
    return [
        Cell(panel.panel),
        _panel_state(panel),
        _number(f"{panel.balance or '–'} {panel.currency or ''}", _is_low(panel)),
        _number(panel.orders_open),
        _number(panel.orders_guarded),
        _number(panel.orders_stalled, panel.orders_stalled > 0),
        _number(panel.orders_due),
        _number("–" if panel.lag is None else f"{panel.lag:.0f} s"),
    ]


def _panel_state(panel: PanelView) -> Cell:
    if panel.up:
        return Cell("up", "good")
    problem = panel.problem or "not asked yet"
    if panel.paused_until is None:
        return Cell(problem, "bad")
    return Cell(f"{problem} (left alone until {panel.paused_until:%H:%M:%S} UTC)", "bad")


def _check_row(check: Check) -> list[Cell]:
    prospect = check.prospect
    chance = prospect.within_hour
    return [
        Cell(check.panel),
        Cell(check.order),
        _number("–" if prospect.at is None else f"{max(0.0, prospect.at - check.now):.0f} s"),
        Cell(prospect.reason),
        _number("–" if chance is None else f"{chance:.1%}"),
    ]


def _rule_row(rule: RuleView) -> list[Cell]:
    name = f"{rule.name} (dry run)" if rule.dry_run else rule.name
    counts = (rule.evaluations, rule.firings, rule.failures)
    return [Cell(name), Cell(rule.action), Cell(rule.when), *(_number(count) for count in counts)]


def _action_row(action: Action) -> list[Cell]:
    css = "bad" if action.state is ActionState.UNRESOLVED else ""
    return [
        _number(action.id),
        Cell(_time(action.planned_at)),
        Cell(action.kind),
        Cell(f"{action.panel} {action.order or ''}"),
        Cell(action.state, css),
        Cell(f"rule: {action.rule}" if action.rule else action.reason),
        Cell(action.answer or ""),
    ]


def _attention(
    panels: Sequence[PanelView], rules: Sequence[RuleView], unresolved: Sequence[Action]
) -> str:
    lines = [f"{p.panel}: {p.problem}" for p in panels if p.problem]
    lines += [f"{p.panel}: balance {p.balance} {p.currency} is low" for p in panels if _is_low(p)]
    lines += [f"{p.panel}: {p.orders_stalled} orders stalled" for p in panels if p.orders_stalled]
    lines += [f"rule {r.name} is switched off: {r.switched_off}" for r in rules if r.switched_off]
    lines += [f"rule {rule.name} is held at {panel}" for rule in rules for panel in rule.held]
    lines += [
        f"{action.kind} {action.id} at {action.panel} is unresolved: look at the panel, then "
        f"`watcher resolve {action.id} accepted` or `rejected`"
        for action in unresolved
    ]
    items = "".join(f'<li class="bad">{escape(line)}</li>' for line in lines)
    return f"<ul>{items}</ul>" if items else '<p class="good">Nothing.</p>'


def _is_low(panel: PanelView) -> bool:
    if panel.balance is None or panel.low_balance is None:
        return False
    return Decimal(panel.balance) < Decimal(panel.low_balance)


def _number(value: Any, bad: bool = False) -> Cell:
    return Cell(str(value), "n bad" if bad else "n")


def _time(at: float) -> str:
    return moment(at).strftime("%d %b %H:%M:%S UTC")


def _table(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    head = "".join(
        f'<th class="n">{escape(name[1:])}</th>' if name[0] == "#" else f"<th>{escape(name)}</th>"
        for name in heads
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _cell(cell: Cell) -> str:
    css = f' class="{cell.css}"' if cell.css else ""
    return f"<td{css}>{escape(cell.text)}</td>"

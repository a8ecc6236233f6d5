"""`watcher rules`."""

from typing import Annotated

import typer

from watcher.cli.api_client import path_of
from watcher.cli.command import command
from watcher.cli.output import ago, say, span
from watcher.cli.requests import Request
from watcher.cli.tables import Column, show_facts, show_table
from watcher.common.wording import counted, times
from watcher.web.panel_shapes import Explanation, RuleList, RuleView

_NO_RULES = "no rules: the configuration has none"
_DECISIONS = (
    Column("rule", wraps=True),
    Column("action", drop=2),
    Column("fires"),
    Column("reason", drop=1),
    Column("detail", wraps=True),
    Column("again", "again_at", drop=3, right=True),
)


@command("Decisions", examples=("watcher rules", "watcher rules --explain mypanel 23501"))
def rules(
    explain: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="PANEL ID", help="Why each would fire for this order, or not."),
    ] = None,
) -> Request[RuleList] | Request[Explanation]:
    """List rules, or explain them for one order."""
    if explain is None:
        return Request(path_of("rules"), RuleList, _show_rules)
    query = {"panel": explain[0], "order": explain[1]}
    return Request(path_of("rules", "explain"), Explanation, _show_decisions, query)


def _show_rules(listed: RuleList) -> None:
    if not listed.rules:
        say(_NO_RULES)
    for place, rule in enumerate(listed.rules):
        if place:
            say("")
        _show_rule(rule)


def _show_rule(rule: RuleView) -> None:
    attempts = f", {times(rule.attempts)} at most" if rule.attempts else ""
    held = [f"{panel} (resumes {ago(until)})" for panel, until in rule.held.items()]
    failures = f", {counted(rule.failures, 'failure')}" if rule.failures else ""
    say(rule.name, style="bold")
    show_facts(
        [
            ("  action", f"{rule.action} (dry run)" if rule.dry_run else rule.action),
            ("  when", rule.when),
            ("  panels", rule.panels or "none"),
            ("  an order", f"once in {span(rule.every)}{attempts}"),
            ("  a panel", f"{rule.per_hour:,} an hour"),
            (
                "  so far",
                f"{counted(rule.evaluations, 'evaluation')}, fired {times(rule.firings)}{failures}",
            ),
            ("  held at", held),
            ("  switched off", rule.switched_off),
            ("  paused", rule.paused and rule.paused.sentence),
        ]
    )


def _show_decisions(explained: Explanation) -> None:
    show_table(_DECISIONS, explained.decisions, empty=_NO_RULES)

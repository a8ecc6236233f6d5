"""`watcher rules`: what each does, and why it would or would not fire for an order."""

from typing import Annotated

import typer

from watcher.cli.client import path_of
from watcher.cli.options import DEFAULT_URL, Json, TokenFile, Url, connect
from watcher.cli.output import ago, say, show_json, span
from watcher.cli.tables import Column, show_facts, show_table
from watcher.web.panel_shapes import DecisionView, Explanation, RuleList, RuleView
from watcher.wording import counted, times

_DECISIONS = (
    Column("rule", wraps=True),
    Column("action", drop=2),
    Column("fires"),
    Column("reason", drop=1),
    Column("detail", wraps=True),
    Column("again", drop=3, right=True),
)


def rules(
    explain: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="PANEL ID", help="Why each would fire for this order, or not."),
    ] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List rules, or explain them for one order."""
    client = connect(url, token_file)
    if explain is not None:
        query = {"panel": explain[0], "order": explain[1]}
        raw = client.get(path_of("rules", "explain"), query)
    else:
        raw = client.get(path_of("rules"))
    if json:
        show_json(raw)
    elif explain is not None:
        _show_decisions(client.shaped(raw, Explanation).decisions)
    else:
        _show_rules(client.shaped(raw, RuleList).rules)


def _show_rules(listed: list[RuleView]) -> None:
    if not listed:
        say("no rules: the configuration has none")
    for place, rule in enumerate(listed):
        if place:
            say("")
        _show_rule(rule)


def _show_rule(rule: RuleView) -> None:
    attempts = f", {times(rule.attempts)} at most" if rule.attempts else ""
    held = [f"{panel} (goes on {ago(until)})" for panel, until in rule.held.items()]
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
                f"{counted(rule.evaluations, 'look')}, fired {times(rule.firings)}{failures}",
            ),
            ("  held at", held),
            ("  switched off", rule.switched_off),
        ]
    )


def _show_decisions(decisions: list[DecisionView]) -> None:
    if not decisions:
        say("no rules: the configuration has none")
        return
    show_table(
        _DECISIONS,
        [
            (
                decision.rule,
                decision.action,
                decision.fires,
                decision.reason,
                decision.detail,
                ago(decision.again_at),
            )
            for decision in decisions
        ],
    )

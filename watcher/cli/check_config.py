"""`watcher check-config`: all problems of a configuration, or its summary."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from watcher.cli.check_online import CheckFinding, ask_panels
from watcher.cli.command import command
from watcher.cli.options import CONFIG_FILE, existing_config
from watcher.cli.output import say, show_json, span, warn
from watcher.cli.tables import Column, show_facts, show_table
from watcher.errors import ConfigError, StoreError

if TYPE_CHECKING:  # imported late: CEL takes a second that no other command should wait
    from watcher.config import AccessKey, Config, PanelConfig


@command(
    "Start",
    examples=(
        "watcher check-config",
        "watcher check-config --online",
        "watcher check-config /etc/watcher/watcher.toml",
    ),
)
def check_config(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The configuration.")] = CONFIG_FILE,
    online: Annotated[
        bool, typer.Option("--online", help="Ask each panel for its balance and services, too.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Check a configuration: print every problem, or a summary."""
    from watcher.config import load

    try:
        config = load(existing_config(file, "FILE"))
    except ConfigError as error:
        if not json:
            raise
        show_json({"good": False, "problems": error.problems})
        raise typer.Exit(1) from None
    database = _database_problem(config)
    if database is not None:
        if not json:
            raise database
        show_json({"good": False, "problems": [str(database)]})
        raise typer.Exit(1)
    if json:
        findings = ask_panels(config) if online else None
        show_json(_document(config, findings))
        raise typer.Exit(1 if any(found.problems for found in findings or ()) else 0)
    say(f"{file} is good")
    _show_config(config)
    _show_keys(config)
    _show_targets(config)
    if online and not _check_online(config):
        raise typer.Exit(1)


def _database_problem(config: "Config") -> StoreError | None:
    """Return why a server's database can't be used, None if it can; a file is not looked at."""
    from watcher.common.postgres_url import PostgresUrl
    from watcher.store import check_server

    if isinstance(config.database, PostgresUrl):
        try:
            check_server(config.database)
        except StoreError as error:
            return error
    return None


def _document(config: "Config", findings: list[CheckFinding] | None) -> dict[str, object]:
    """Return the summary of a configuration, without secrets."""
    from watcher.panels.dialect import shown_url

    return {
        "good": True,
        "database": str(config.database),
        "listen": f"{config.host}:{config.port}",
        "token": config.token is not None,
        "keys": [
            {
                "name": key.name,
                "rights": _rights(key),
                "panels": None if key.panels is None else sorted(key.panels),
                "requests_per_minute": key.requests_per_minute,
            }
            for key in config.keys
        ],
        "panels": [
            {
                "panel": panel.name,
                "profile": panel.profile.name,
                "batch": panel.profile.batch,
                "can": sorted(panel.profile.has),
                "url": shown_url(panel.url),
                "request": _request(panel),
            }
            for panel in config.panels.values()
        ],
        "rules": [rule.name for rule in config.rules],
        "notify": [{"name": one.name, "on": sorted(one.on)} for one in config.notify],
        "events": [{"name": one.name, "on": sorted(one.on)} for one in config.events],
        "shops": [{"name": shop.name, "panels": list(shop.panels)} for shop in config.shops],
        "online": findings,
    }


def _show_config(config: "Config") -> None:
    token = "with a token" if config.token else "with keys" if config.keys else "no token"
    say("")
    show_facts([("database", config.database), ("listen", f"{config.host}:{config.port}, {token}")])
    say("")
    _show_panels(list(config.panels.values()))
    if config.rules:
        say("")
        columns = (
            Column("rule", "name", wraps=True),
            Column("action", lambda r: f"{r.action} (dry run)" if r.dry_run else r.action),
            Column("an order", lambda rule: f"once in {span(rule.every)}", drop=2),
            Column("an hour", "per_hour", drop=3, right=True),
            Column(
                "panels",
                lambda r: "all" if r.panels is None else sorted(r.panels),
                drop=1,
                wraps=True,
            ),
        )
        show_table(columns, config.rules)
    if config.shops:
        say("")
        names = Column("shop", "name"), Column("panels", lambda shop: list(shop.panels), wraps=True)
        show_table(names, config.shops)


def _show_keys(config: "Config") -> None:
    if not config.keys:
        return
    columns = (
        Column("key", "name"),
        Column("rights", _rights, wraps=True),
        Column(
            "panels", lambda key: "all" if key.panels is None else sorted(key.panels), wraps=True
        ),
        Column("a minute", lambda key: f"{key.requests_per_minute:g}", drop=1, right=True),
    )
    say("")
    show_table(columns, config.keys)
    if config.token is None and not any("admin" in key.rights for key in config.keys):
        warn("warning: there is no token_file, and no key has 'admin': nobody can make a backup")


def _rights(key: "AccessKey") -> list[str]:
    from watcher.config import Right

    return [right.value for right in Right if right in key.rights]


def _show_targets(config: "Config") -> None:
    columns = (
        Column("target", "name"),
        Column("on", lambda target: sorted(target.on), wraps=True),
        Column("signed", lambda target: target.secret is not None, drop=1),
    )
    targets: list[object] = [*config.notify, *config.events]
    if targets:
        say("")
        show_table(columns, targets)
    if not config.notify:
        return
    heard = {event for target in config.notify for event in target.on}
    silent = [rule.name for rule in config.rules if rule.action == "notify"]
    if silent and "rule_fired" not in heard:
        names = ", ".join(silent)
        warn(f"warning: no [[notify]] has 'rule_fired': these rules notify nobody: {names}")


def _show_panels(panels: Sequence["PanelConfig"]) -> None:
    from watcher.panels.dialect import shown_url

    columns = (
        Column("panel", "name"),
        Column("profile", lambda panel: panel.profile.name, drop=2),
        Column("batch", lambda panel: panel.profile.batch, drop=3, right=True),
        Column("can", lambda panel: sorted(panel.profile.has), wraps=True),
        Column("url", lambda panel: shown_url(panel.url), drop=1, flexible=True),
    )
    show_table(columns, panels)
    for panel in panels:
        told = [f"{name} {_listed(value)}" for name, value in _request(panel).items()]
        if told:
            say(f"{panel.name} is asked with: {'; '.join(told)}")


def _request(panel: "PanelConfig") -> dict[str, object]:
    """Return the settings of a panel's requests: names only, as values may be secret."""
    dialect = panel.request
    proxy = urlsplit(dialect.proxy or "")
    told: dict[str, object] = {
        "body": dialect.body if dialect.body != "form" else None,
        "user_agent": dialect.user_agent,
        "headers": sorted(dialect.headers),
        "fields": sorted(dialect.fields),
        "ca_file": "of its own" if dialect.ca else None,
        "proxy": proxy.netloc.rpartition("@")[2],
    }
    return {name: value for name, value in told.items() if value}


def _listed(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _check_online(config: "Config") -> bool:
    """Show the panels' answers; return whether no panel has a problem."""
    findings = ask_panels(config)
    columns = (
        Column("panel"),
        Column("state"),
        Column("balance", right=True),
        Column("services", drop=1, right=True),
        Column("with refill", "refill", drop=2, right=True),
        Column("with cancel", "cancel", drop=3, right=True),
    )
    say("")
    show_table(columns, findings)
    for finding in findings:
        warn(*(f"{finding.panel}: {problem}" for problem in finding.problems))
        warn(*(f"warning: {finding.panel}: {remark}" for remark in finding.remarks))
    return not any(finding.problems for finding in findings)

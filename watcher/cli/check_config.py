"""`watcher check-config`: all problems of a configuration, or its summary."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import urlsplit

import msgspec
import typer

from watcher.cli.command import command
from watcher.cli.output import errors, say, show_json, span, warn
from watcher.cli.tables import Column, show_facts, show_table
from watcher.common.wording import counted
from watcher.errors import ConfigError, PanelError, StoreError

if TYPE_CHECKING:  # imported late: CEL takes a second that no other command should wait
    from watcher.config import Config, PanelConfig
    from watcher.model import Service
    from watcher.panels.health import PanelHealth

Answer = TypeVar("Answer")

_SHOWN_ROWS = 3


class CheckFinding(msgspec.Struct, kw_only=True):
    """What a panel answered, and what is wrong with its answers."""

    panel: str
    state: str = "up"
    state_detail: list[str] = []
    balance: str | None = None
    services: int | None = None
    refill: int | None = None
    cancel: int | None = None
    problems: list[str] = []
    remarks: list[str] = []


@command("Start")
def check_config(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The configuration.")],
    online: Annotated[
        bool, typer.Option("--online", help="Ask each panel for its balance and services, too.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Check a configuration: print every problem, or a summary."""
    from watcher.config import load

    try:
        config = load(file)
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
        findings = _findings(config) if online else None
        show_json(_document(config, findings))
        raise typer.Exit(1 if any(found.problems for found in findings or ()) else 0)
    say(f"{file} is good")
    _show_config(config)
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
        "online": findings,
    }


def _show_config(config: "Config") -> None:
    token = "with a token" if config.token else "no token"
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
    findings = _findings(config)
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


def _findings(config: "Config") -> list[CheckFinding]:
    """Ask every panel."""
    console = errors()
    waiting = f"asking {counted(len(config.panels), 'panel')} …"
    with console.status(waiting) if console.is_terminal else nullcontext():
        return asyncio.run(_ask_all(list(config.panels.values())))


async def _ask_all(panels: Sequence["PanelConfig"]) -> list[CheckFinding]:
    return await asyncio.gather(*(_ask(panel) for panel in panels))


async def _ask(panel: "PanelConfig") -> CheckFinding:
    from watcher.cli.detect import is_wall, panel_client
    from watcher.panels.health import BALANCE, READS, SERVICES, PanelHealth

    finding, health = CheckFinding(panel=panel.name), PanelHealth(filter(panel.profile.can, READS))

    def note(action: str, field: str, value: str) -> None:
        health.unread(action, field, value, time.time())

    async with panel_client(panel, panel.profile, note) as client:
        if panel.profile.can(BALANCE):
            balance = await _heard(BALANCE, client.balance(), health, finding)
            if balance is not None:
                finding.balance = f"{balance.amount:f} {balance.currency}"
        if panel.profile.can(SERVICES):
            listed = await _heard(SERVICES, client.services(), health, finding)
            if listed is not None:
                _note_services(*listed, finding)
    if any(map(is_wall, finding.problems)):
        cause = "a web firewall seems to answer in the panel's place: let the panel allow this"
        table = f"set user_agent in [panels.{panel.name}.request]"
        finding.remarks.append(f"{cause} machine's address, or {table}")
    finding.state = health.verdict()
    finding.state_detail = [f"{fault.call}: {fault.text}" for fault in health.faults]
    finding.remarks += [told for told in finding.state_detail if told not in finding.problems]
    return finding


async def _heard(
    call: str, request: Awaitable[Answer], health: "PanelHealth", finding: CheckFinding
) -> Answer | None:
    """Return the answer, None where there is none; record the outcome in `health`."""
    sent_at = time.time()
    try:
        answer = await request
    except PanelError as error:
        health.ended(call, error, time.time())
        finding.problems.append(f"{call}: {error}")
        return None
    health.ended(call, None, time.time(), sent_at=sent_at)
    return answer


def _note_services(services: list["Service"], unread: list[str], finding: CheckFinding) -> None:
    finding.services = len(services)
    finding.refill = sum(service.refill is True for service in services)
    finding.cancel = sum(service.cancel is True for service in services)
    finding.remarks += [f"price list: {line}" for line in unread[:_SHOWN_ROWS]]
    if rest := len(unread[_SHOWN_ROWS:]):
        finding.remarks.append(f"price list: {counted(rest, 'further row')} can't be read")
    if not services:
        finding.remarks.append("the price list is empty: some panels answer so to a wrong key")

"""What `watcher check-config --online` asks each panel, and what it finds."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeVar

import msgspec

from watcher.cli.output import errors
from watcher.common.wording import counted
from watcher.errors import PanelError

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


def ask_panels(config: "Config") -> list[CheckFinding]:
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

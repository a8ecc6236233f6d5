"""`watcher panels`, `watcher panels retry`, `watcher services`."""

import time
from collections.abc import Callable

import typer

from watcher.cli.api_client import ApiClient, path_of
from watcher.cli.command import command
from watcher.cli.options import Json, PanelArgument
from watcher.cli.output import ago, money, say, show_json, span
from watcher.cli.requests import Request
from watcher.cli.tables import Column, show_table
from watcher.panels.health import HealthState
from watcher.web.panel_shapes import LessonView, PanelList, PanelView, ServiceList, ServiceView

_PATIENCE, _POLL_EVERY = 10.0, 0.5  # seconds


@command("Surroundings", is_group=True)
def panels() -> Request[PanelList]:
    """List panels: health, balance, lag; `retry` asks one at once."""
    return Request(path_of("panels"), PanelList, _show_panels)


def _show_panels(listed: PanelList) -> None:
    columns = (
        Column("panel"),
        Column("state", state_word),
        Column("balance", lambda panel: money(panel.balance, panel.currency), drop=2, right=True),
        Column("open", "orders_open", drop=4, right=True),
        Column("stalled", "orders_stalled", drop=5, right=True),
        Column("lag", lambda panel: _span(panel.lag), drop=3, right=True),
        Column("guarded", "orders_guarded", drop=8, right=True),
        Column("unresolved", "actions_unresolved", drop=6, right=True),
        Column("answered", lambda p: p.last_success_at or "never", drop=7, right=True),
        Column("profile", drop=9),
        Column("problem", _remark, drop=1, flexible=True),
    )
    show_table(columns, listed.panels)


@command("Surroundings", under="panels")
def retry(client: ApiClient, panel: PanelArgument, json: Json = False) -> None:
    """Ask a panel at once, even during a backoff; exit 1 if it is still not up."""
    client.post(path_of("panels", panel, "retry"), {})
    view = _after_retry(client, panel)
    if json:
        show_json(view)
    else:
        say(f"{panel}: {' · '.join([state_word(view), *details(view)])}")
    if not view.up:
        raise typer.Exit(1)


def _after_retry(client: ApiClient, panel: str) -> PanelView:
    """Return the panel once it is up, or after `_PATIENCE`."""
    until = time.monotonic() + _PATIENCE
    while True:
        view = next(view for view in client.panels() if view.panel == panel)
        if view.state == HealthState.UP or time.monotonic() > until:
            return view
        time.sleep(_POLL_EVERY)


def state_word(panel: PanelView) -> str:
    """Return the panel's state in one word: down until it has answered once."""
    return "down" if panel.state == HealthState.UP and not panel.up else str(panel.state)


def details(panel: PanelView) -> list[str]:
    """Return what is wrong, in the panel's words."""
    if panel.state == HealthState.REFUSING and panel.problem:
        return [f"refuses everything: {panel.problem}"]
    if panel.state == HealthState.DEGRADED:
        return [f"{fault.call}: {fault.text}" for fault in panel.state_detail]
    return [panel.problem] if panel.problem else []


def _remark(panel: PanelView) -> str | None:
    if panel.pauses:
        return "; ".join(pause.sentence for pause in panel.pauses)
    resumes = ago(panel.paused_until)
    pause = f"paused, resumes {resumes}" if resumes.startswith("in ") else None
    return "; ".join(details(panel)) or pause


@command("Surroundings")
def services(panel: PanelArgument) -> Request[ServiceList]:
    """Show a panel's price list, and what the daemon learned from each service's orders."""
    return Request(path_of("panels", panel, "services"), ServiceList, _show_services)


def _show_services(listed: ServiceList) -> None:
    columns = (
        Column("service", right=True),
        Column("rate", drop=1, right=True),
        Column("min", drop=5, right=True),
        Column("max", drop=4, right=True),
        Column("refill", _refill_word, drop=2),
        Column("cancel", drop=3),
        Column("starts in", _learnt(lambda of: _span(of.start_delay)), drop=8, right=True),
        Column(
            "1,000 take", _learnt(lambda of: _span(of.duration.get("1000"))), drop=9, right=True
        ),
        Column("completed", _learnt(lambda of: _share(of.completed)), drop=10, right=True),
        Column("partial", _learnt(lambda of: _share(of.partial)), drop=11, right=True),
        Column("canceled", _learnt(lambda of: _share(of.canceled)), drop=12, right=True),
        Column("type", drop=7, flexible=True),
        Column("category", drop=6, flexible=True),
        Column("name", flexible=True),
    )
    show_table(columns, listed.services, empty="no services: the panel has not sent any yet")


def _refill_word(service: ServiceView) -> str | bool | None:
    if service.gone_at:
        return "gone"
    return "disabled" if service.refill_disabled else service.refill


def _learnt(show: Callable[[LessonView], str | None]) -> Callable[[ServiceView], str | None]:
    return lambda service: None if service.learnt is None else show(service.learnt)


def _span(seconds: float | None) -> str | None:
    return None if seconds is None else span(seconds)


def _share(share: float | None) -> str | None:
    return None if share is None else f"{share:.0%}"

"""`watcher panels`, `watcher panels retry`."""

import time

import typer

from watcher.cli.api_client import ApiClient, path_of
from watcher.cli.command import command
from watcher.cli.options import Json, PanelArgument
from watcher.cli.output import ago, money, optional_span, say, show_json
from watcher.cli.requests import Request
from watcher.cli.tables import Column, show_table
from watcher.panels.health import HealthState
from watcher.web.panel_shapes import PanelList, PanelView

_PATIENCE, _POLL_EVERY = 10.0, 0.5  # seconds


@command(
    "Panels and database",
    is_group=True,
    examples=("watcher panels", "watcher panels retry mypanel"),
)
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
        Column("lag", lambda panel: optional_span(panel.lag), drop=3, right=True),
        Column("guarded", "orders_guarded", drop=8, right=True),
        Column("unresolved", "actions_unresolved", drop=6, right=True),
        Column("answered", lambda p: p.last_success_at or "never", drop=7, right=True),
        Column("node", lambda panel: panel.node or None, drop=4),
        Column("profile", drop=9),
        Column("problem", _remark, drop=1, flexible=True),
    )
    show_table(columns, listed.panels)


@command("Panels and database", under="panels", examples=("watcher panels retry mypanel",))
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

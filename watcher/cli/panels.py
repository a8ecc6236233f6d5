"""Panels and their price lists."""

import time
from collections.abc import Callable

import typer

from watcher.cli.client import Client, path_of
from watcher.cli.options import DEFAULT_URL, Json, PanelArgument, TokenFile, Url, connect
from watcher.cli.output import ago, say, show_json, span
from watcher.cli.tables import Column, show_table
from watcher.panels.health import HealthState
from watcher.web.panel_shapes import LessonView, PanelList, PanelView, ServiceList, ServiceView

_PATIENCE, _LOOK_EVERY = 10.0, 0.5  # seconds that the panel has to answer

_PANELS = (
    Column("panel"),
    Column("state"),
    Column("balance", drop=2, right=True),
    Column("open", drop=4, right=True),
    Column("stalled", drop=5, right=True),
    Column("lag", drop=3, right=True),
    Column("guarded", drop=8, right=True),
    Column("unresolved", drop=6, right=True),
    Column("answered", drop=7, right=True),
    Column("profile", drop=9),
    Column("problem", drop=1, flexible=True),
)

_SERVICES = (
    Column("service", right=True),
    Column("rate", drop=1, right=True),
    Column("min", drop=5, right=True),
    Column("max", drop=4, right=True),
    Column("refill", drop=2),
    Column("cancel", drop=3),
    Column("starts in", drop=8, right=True),
    Column("1,000 take", drop=9, right=True),
    Column("completed", drop=10, right=True),
    Column("partial", drop=11, right=True),
    Column("canceled", drop=12, right=True),
    Column("type", drop=7, flexible=True),
    Column("category", drop=6, flexible=True),
    Column("name", flexible=True),
)


def panels(
    ctx: typer.Context,
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List panels: health, balance, lag; `retry` asks one at once."""
    if ctx.invoked_subcommand is not None:
        return
    client = connect(url, token_file)
    raw = client.get(path_of("panels"))
    if json:
        show_json(raw)
        return
    show_table(_PANELS, [_panel_row(panel) for panel in client.shaped(raw, PanelList).panels])


def retry(
    panel: PanelArgument,
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Ask a panel at once, whatever it has failed at; exit 1 if it is still not up."""
    client = connect(url, token_file)
    client.post(path_of("panels", panel, "retry"), {})
    view = _after_retry(client, panel)
    if json:
        show_json(view)
    else:
        say(f"{panel}: {' · '.join([state_word(view), *details(view)])}")
    if not view.up:
        raise typer.Exit(1)


def _after_retry(client: Client, panel: str) -> PanelView:
    """The panel once it is up, or has had time to answer."""
    until = time.monotonic() + _PATIENCE
    while True:
        view = next(view for view in client.panels() if view.panel == panel)
        if view.state == HealthState.UP or time.monotonic() > until:
            return view
        time.sleep(_LOOK_EVERY)


def state_word(panel: PanelView) -> str:
    """The panel's state in one word; one that was never answered is not up yet."""
    return "down" if panel.state == HealthState.UP and not panel.up else str(panel.state)


def details(panel: PanelView) -> list[str]:
    """What is wrong, in the panel's words."""
    if panel.state == HealthState.REFUSING and panel.problem:
        return [f"refuses everything: {panel.problem}"]
    if panel.state == HealthState.DEGRADED:
        return [f"{fault.call}: {fault.text}" for fault in panel.state_detail]
    return [panel.problem] if panel.problem else []


def _panel_row(panel: PanelView) -> tuple[object, ...]:
    return (
        panel.panel,
        state_word(panel),
        _balance(panel),
        panel.orders_open,
        panel.orders_stalled,
        None if panel.lag is None else span(panel.lag),
        panel.orders_guarded,
        panel.actions_unresolved,
        ago(panel.last_success_at) or "never",
        panel.profile,
        _remark(panel),
    )


def _remark(panel: PanelView) -> str | None:
    wrong = "; ".join(details(panel))
    return wrong or (f"pauses, goes on {ago(panel.paused_until)}" if _pauses(panel) else None)


def _pauses(panel: PanelView) -> bool:
    return panel.paused_until is not None and ago(panel.paused_until).startswith("in ")


def _balance(panel: PanelView) -> str | None:
    if panel.balance is None:
        return None
    return f"{panel.balance} {panel.currency or ''}".strip()


def services(
    panel: PanelArgument,
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Show a panel's price list, and what its services' orders have taught."""
    client = connect(url, token_file)
    raw = client.get(path_of("panels", panel, "services"))
    if json:
        show_json(raw)
        return
    listed = client.shaped(raw, ServiceList).services
    if listed:
        show_table(_SERVICES, [_service_row(service) for service in listed])
    else:
        say("no services: the panel has not told any yet")


def _service_row(service: ServiceView) -> tuple[object, ...]:
    refill = "disabled" if service.refill_disabled else service.refill
    return (
        service.service,
        service.rate,
        service.min,
        service.max,
        "gone" if service.gone_at else refill,
        service.cancel,
        *_learnt(service.learnt),
        service.type,
        service.category,
        service.name,
    )


def _learnt(lesson: LessonView | None) -> tuple[str | None, ...]:
    if lesson is None:
        return (None,) * 5
    lasts = lesson.duration.get("1000")
    times = [None if seconds is None else span(seconds) for seconds in (lesson.start_delay, lasts)]
    ends = (lesson.completed, lesson.partial, lesson.canceled)
    return (*times, *(None if share is None else f"{share:.0%}" for share in ends))


GROUPS: dict[str, tuple[Callable[..., None], dict[str, Callable[..., None]]]] = {
    "panels": (panels, {"retry": retry}),
}

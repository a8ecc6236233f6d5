"""What is wrong now, by the daemon's state: pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from watcher.common.wording import counted
from watcher.metrics.state import PanelState
from watcher.notify.alert_state import REFUSES, Alert, AlertKind
from watcher.panels.health import HealthState

# As the alert WatcherPanelStale: an idle panel is thought of once a minute.
_POLLS_MISSED, _IDLE_POLL = 3, 60.0


def found(
    panels: Iterable[PanelState],
    held: Iterable[tuple[str, str, str]],
    lasting: Mapping[str, float | None],
    now: float,
    *,
    since: float | None = None,
    down: Collection[str] = (),
) -> Iterator[Alert]:
    """Every trouble there is. `held` are (rule, panel, cause) of rules that pause; `lasting` is
    how many seconds a panel's balance lasts.

    A panel that was `down` is so until it is up; one that has not answered since the start,
    `since`, once that has lasted.
    """
    for panel in panels:
        answered = panel.last_success or (now if since is None else since)
        if panel.health is HealthState.REFUSING:
            text = f"it refuses everything: {panel.problem}"
            yield Alert(AlertKind.PANEL_DOWN, panel.name, text, REFUSES)
        else:
            yield from _silence(panel, answered, now, was_down=panel.name in down)
        yield from _degraded(panel)
        yield from _of_panel(panel, lasting.get(panel.name))
    for rule, name, cause in held:
        yield Alert(AlertKind.RULE_PAUSED, name, f"rule {rule!r} pauses: {cause}", rule)


def _silence(panel: PanelState, since: float, now: float, *, was_down: bool) -> Iterator[Alert]:
    limit = _POLLS_MISSED * max(_IDLE_POLL, panel.poll_interval)
    if now - since > limit or (was_down and not panel.up):
        text = f"no check has succeeded for {counted(round((now - since) / 60), 'minute')}"
        yield Alert(AlertKind.PANEL_DOWN, panel.name, text)


def _degraded(panel: PanelState) -> Iterator[Alert]:
    if panel.health is HealthState.DEGRADED:
        faults = "; ".join(f"{fault.call}: {fault.text}" for fault in panel.faults)
        yield Alert(AlertKind.PANEL_DEGRADED, panel.name, f"it works, but for {faults}")


def is_low(panel: PanelState) -> bool:
    """Whether the balance is below its threshold."""
    return panel.balance is not None and panel.balance < (panel.threshold or 0.0)


def _of_panel(panel: PanelState, lasts: float | None) -> Iterator[Alert]:
    name = panel.name
    if is_low(panel):
        left = f"{panel.balance:g} {panel.currency}".strip()
        enough = "" if lasts is None else f", enough for {counted(round(lasts / 3600), 'hour')}"
        yield Alert(AlertKind.BALANCE_LOW, name, f"{left} left{enough}")
    if panel.stalled:
        make = "makes" if panel.stalled == 1 else "make"
        text = f"{counted(panel.stalled, 'order')} {make} no progress"
        yield Alert(AlertKind.ORDER_STALLED, name, text)
    for kind, count in panel.unresolved.items():
        if count:
            text = f"{count} {kind} whose outcome nobody knows: watcher resolve"
            yield Alert(AlertKind.ACTION_UNRESOLVED, name, text, kind)

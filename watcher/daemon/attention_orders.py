"""What needs a person of one panel's orders and actions. Pure."""

import shlex
from collections.abc import Iterator
from urllib.parse import urlencode

from watcher.common.wording import counted, lasting
from watcher.config import Thresholds
from watcher.daemon.attention_items import Attention, item
from watcher.daemon.attention_kinds import Issue
from watcher.metrics.gauges import PanelState
from watcher.model import Kind

_STANDS_STILL = 3 * 3600.0  # seconds without any of the expected changes


def order_items(panel: PanelState, now: float, limits: Thresholds) -> Iterator[Attention]:
    """Yield what needs a person of a panel's orders and actions."""
    name = panel.name
    for kind, count in panel.unresolved.items():
        if count:
            yield _unresolved(name, kind, count)
    late = now - panel.oldest_due if panel.oldest_due else 0.0
    allowed = limits.checks_late_by or panel.check_within
    if panel.up and late > allowed:
        sentence = f"an order has waited {lasting(late)} longer than it should"
        yield item(Issue.CHECKS_LATE, sentence, panel=name, since=panel.oldest_due + allowed)
    if panel.stalled:
        make = "makes" if panel.stalled == 1 else "make"
        yield item(
            Issue.ORDER_STALLED,
            f"{counted(panel.stalled, 'order')} {make} no progress",
            panel=name,
            command=f"watcher orders --stalled --panel {name}",
            link=f"/orders?{urlencode({'panel': name, 'stalled': 'true'})}",
        )
    if panel.problems:
        yield _unreported(panel)
    if panel.still_since and now - panel.still_since > _STANDS_STILL:
        due = counted(round(panel.still_expected), "change")
        sentence = f"nothing has changed for {lasting(now - panel.still_since)}; {due} were due"
        yield item(Issue.PANEL_STANDS_STILL, sentence, panel=name, since=panel.still_since)
    if panel.longest_wait > panel.check_within:
        waits, wanted = lasting(panel.longest_wait), lasting(panel.check_within)
        sentence = f"orders wait up to {waits} between checks; check_within is {wanted}"
        sentence += f", which takes {counted(panel.needed_rate, 'request')} a minute"
        yield item(Issue.BUDGET_SHORT, sentence, panel=name)


def _unreported(panel: PanelState) -> Attention:
    """Return the item for orders that the panel doesn't know, or gives no usable status for."""
    order_id = panel.problem_id
    if panel.problems == 1:
        which = f"order {order_id}"
        end_of_options = ["--"] if order_id.startswith("-") else []
        command = shlex.join(["watcher", "untrack", panel.name, *end_of_options, order_id])
    else:
        which = f"{panel.problems:,} orders, such as {order_id}"
        command = f"watcher orders --problem --panel {panel.name}"
    return item(
        Issue.ORDER_PROBLEM,
        f"the panel reports no status of {which}",
        panel=panel.name,
        command=command,
        link=f"/orders?{urlencode({'panel': panel.name, 'problem': 'true'})}",
    )


def _unresolved(panel: str, kind: Kind, count: int) -> Attention:
    return item(
        Issue.ACTION_UNRESOLVED,
        f"{counted(count, kind.value)} with an unknown outcome",
        panel=panel,
        subject=kind.value,
        command=f"watcher actions --state unresolved --panel {panel}",
        link=f"/actions?{urlencode({'state': 'unresolved', 'panel': panel})}",
    )

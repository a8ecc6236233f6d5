"""`watcher show`: one order in detail."""

from datetime import UTC, datetime
from typing import Any

from watcher.cli.actions import show_actions
from watcher.cli.api_client import path_of
from watcher.cli.command import command
from watcher.cli.options import OrderArgument, PanelArgument, Utc
from watcher.cli.output import moment, money, say, span, stamp, use_utc, zone_words
from watcher.cli.requests import Request
from watcher.cli.tables import Column, show_facts, show_table
from watcher.common.wording import chance
from watcher.orders.fields import FIELDS, FieldKind, names_of
from watcher.web.shapes import (
    FiringView,
    HistoryView,
    NextCheckView,
    OrderDetail,
    OrderView,
    RefillView,
)


@command("Orders", examples=("watcher show mypanel 23501", "watcher show mypanel 23501 --utc"))
def show(panel: PanelArgument, order: OrderArgument, utc: Utc = False) -> Request[OrderDetail]:
    """Show one order: its state, history, refills and actions."""
    if utc:
        use_utc()
    return Request(path_of("orders", panel, order), OrderDetail, _show_detail)


def _show_detail(detail: OrderDetail) -> None:
    show_order(detail.state, detail.next_check)
    if detail.history:
        _show_history(detail.history)
    if detail.refills:
        _show_refills(detail.refills)
    if detail.actions:
        _title("actions")
        show_actions(detail.actions, wraps=True)
    if detail.firings:
        _show_firings(detail.firings)


def show_order(order: OrderView, next_check: NextCheckView | None = None) -> None:
    """Show the known values of an order's state."""
    values: dict[str, Any] = {name: getattr(order, name) for name in OrderView.__struct_fields__}
    values |= {name: moment(values[name]) for name in names_of(FieldKind.TIME)}
    values |= {
        "charge": money(order.charge, order.currency),
        "currency": None,
        "tags": ", ".join(order.tags) or None,
        "refills": order.refills or None,
        "submitted_at": _submitted(order),
        "finished_at": _finished(order),
        "checked_at": values["checked_at"] or "never",
    }
    show_facts(
        [
            ("order", f"{order.order} at {order.panel}"),
            *((field.label, values[field.name]) for field in FIELDS if field.in_api),
            ("stalled", order.stalled or None),
            ("next check", moment(order.next_check_at)),
            *_why(next_check),
            ("times", zone_words()),
        ]
    )


def _submitted(order: OrderView) -> str | None:
    at = moment(order.submitted_at)
    return at if order.submitted_known else f"before {at}, when it was tracked"


def _finished(order: OrderView) -> str | None:
    if order.finished_at is None and order.phase != "open":
        return "not known: it was final at its first check"
    return moment(order.finished_at)


def _why(check: NextCheckView | None) -> list[tuple[str, str]]:
    """Return the reasons for the time of the next check."""
    if check is None:
        return []
    facts = [("why then", check.reason)]
    if check.every is not None:
        facts.append(("usually every", span(check.every)))
    if check.change_within_hour is not None:
        facts.append(("change within 1h", f"chance {chance(check.change_within_hour)}"))
    return facts


def _show_history(history: list[HistoryView]) -> None:
    _title("history")
    columns = (
        Column("at", lambda entry: stamp(entry.at)),
        Column("ago", "at", drop=1, right=True),
        Column("change", lambda entry: changes_text(entry.changes), wraps=True),
    )
    show_table(columns, history)


def changes_text(changes: dict[str, list[Any]]) -> str:
    """Return a change in words: each field with its old and new value, if the history has them."""
    return ", ".join(
        f"{name} changed"
        if values == [None, None]
        else f"{name} {' → '.join(_value(name, value) for value in values)}"
        for name, values in changes.items()
    )


def _value(name: str, value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if name.endswith("_at") and isinstance(value, float):
        return stamp(datetime.fromtimestamp(value, UTC))
    return str(value)


def _show_refills(refills: list[RefillView]) -> None:
    _title("refills")
    columns = (
        Column("refill"),
        Column("status", lambda r: f"{r.status}: {r.note}" if r.note else r.status, wraps=True),
        Column("panel's word", "status_text", drop=1, wraps=True),
        Column("requested", lambda refill: stamp(refill.requested_at)),
        Column("ago", "requested_at", drop=2, right=True),
        Column("finished", lambda refill: stamp(refill.finished_at), drop=3),
    )
    show_table(columns, refills)


def _show_firings(firings: list[FiringView]) -> None:
    _title("rules that fired")
    columns = (
        Column("at", lambda firing: stamp(firing.at), drop=3),
        Column("ago", "at", drop=2, right=True),
        Column("rule", wraps=True),
        Column("action", lambda f: f"{f.action} (dry run)" if f.dry_run else f.action),
        Column("why", "detail", drop=1, wraps=True),
    )
    show_table(columns, firings)


def _title(text: str) -> None:
    say("", text, style="bold")

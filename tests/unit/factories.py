"""Short ways to make the values that tests need."""

from collections.abc import Sequence
from math import nan
from typing import Any

from watcher.model import Observation, Order, Phase, RuleAction, Service, Status
from watcher.orders.columns.table import OrderRows
from watcher.orders.fields import FIELDS, tags_text
from watcher.rules.condition import Condition
from watcher.rules.rule import Rule
from watcher.rules.variables import PanelVariables, RuleContext

HOUR = 3600.0
DAY = 86400.0


def an_order(**fields: Any) -> Order:
    """An order that was submitted and checked at 0."""
    usual: dict[str, Any] = {
        "panel": "p",
        "id": "1",
        "key": 1,
        "service": "7",
        "quantity": 1000,
        "submitted_at": 0.0,
        "progressed_at": 0.0,
        "checked_at": 0.0,
        "status": Status.PENDING,
    }
    return Order(**{**usual, **fields})


def rows_of(orders: Sequence[Order]) -> OrderRows:
    """Orders of one panel as the store hands them over."""
    fields: dict[str, Any] = {f.name: [getattr(o, f.name) for o in orders] for f in FIELDS}
    fields["charge"] = [None if o.charge is None else str(o.charge) for o in orders]
    fields["tags"] = [tags_text(o.tags) for o in orders]
    return OrderRows(
        panel=orders[0].panel,
        key=[o.key for o in orders],
        id=[o.id for o in orders],
        fields=fields,
        asked_at=[nan] * len(orders),
    )


def a_finished_order(at: float = 0.0, **fields: Any) -> Order:
    usual = {"status": Status.COMPLETED, "phase": Phase.GUARDED, "finished_at": at}
    return an_order(**{**usual, **fields})


def seen(status: Status = Status.IN_PROGRESS, **fields: Any) -> Observation:
    return Observation(status=status, **{"status_text": status.value.title(), **fields})


def a_rule(when: str = "true", **fields: Any) -> Rule:
    usual: dict[str, Any] = {
        "name": "rule",
        "action": RuleAction.REFILL,
        "condition": Condition(when),
        "every": DAY,
        "per_hour": 200,
    }
    return Rule(**{**usual, **fields})


def a_service(**fields: Any) -> Service:
    return Service(**{"id": "7", "name": "Followers", "refill": True, "cancel": True, **fields})


def a_situation(**fields: Any) -> RuleContext:
    return RuleContext(**{"panel": PanelVariables("p"), "service": a_service(), **fields})

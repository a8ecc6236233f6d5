"""What the rules decided for some orders. Pure."""

import msgspec

from watcher.model import ActionPlan, Firing, Order
from watcher.rules.firing_memory import Fired
from watcher.rules.rule import Decision
from watcher.rules.variables import FiringHistory


class RuleOutcome(msgspec.Struct):
    """What the rules decided: each firing, with the action that it plans, if any."""

    firings: list[Firing] = []
    plans: list[ActionPlan] = []
    before: dict[Fired, FiringHistory] = {}  # the firing's history, to take it back
    reviews: list[tuple[Order, float | None]] = []
    held: list[tuple[str, str]] = []  # (rule, panel) whose brake has just stopped it
    failures: list[tuple[Order, Decision]] = []
    switched_off: list[tuple[str, str]] = []  # (rule, why)

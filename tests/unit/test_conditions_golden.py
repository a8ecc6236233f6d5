"""What conditions give for known facts, held in a file: a new version of CEL must not differ."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.factories import DAY, a_finished_order, a_service, an_order
from watcher.model import Order, Status
from watcher.rules.condition import Condition, ConditionFailed, UnknownValue
from watcher.rules.variables import FiringHistory, PanelVariables, RuleContext

GOLDEN = Path(__file__).parent / "golden" / "conditions.json"
NOW = 10 * DAY
ORDERS: dict[str, Order] = {
    "pending": an_order(),
    "moving": an_order(
        status=Status.IN_PROGRESS,
        remains=400,
        start_count=7,
        charge=Decimal("0.90"),
        progressed_at=NOW - 60,
    ),
    "over-delivered": an_order(status=Status.IN_PROGRESS, remains=-5, start_count=2**40),
    "completed": a_finished_order(DAY, remains=0, start_count=10, count=500, refills=2),
    "partial": a_finished_order(9 * DAY, status=Status.PARTIAL, remains=100, link="https://x.y/z"),
    "unknown word": an_order(status=Status.UNKNOWN, status_text="На паузе", service=None),
}
SITUATIONS: dict[str, RuleContext] = {
    "all known": RuleContext(
        panel=PanelVariables("p", 12.5, "USD"), service=a_service(refill=True)
    ),
    "little known": RuleContext(panel=PanelVariables("p")),
}


def outcome(text: str, order: Order, rule_context: RuleContext) -> str:
    try:
        return str(
            Condition(text).holds(order, rule_context, FiringHistory(3, NOW - DAY), NOW)
        ).lower()
    except UnknownValue as unknown:
        return f"unknown: {unknown}"
    except ConditionFailed:
        return "failed"


GIVEN = json.loads(GOLDEN.read_text("utf-8"))


@pytest.mark.parametrize("text", GIVEN)
def test_a_condition_gives_what_it_gave(text: str):
    found = {
        f"{order}, {rule_context}": outcome(text, ORDERS[order], SITUATIONS[rule_context])
        for order in ORDERS
        for rule_context in SITUATIONS
    }
    assert found == GIVEN[text]


def test_the_file_covers_every_outcome():
    outcomes = {
        result.partition(":")[0] for results in GIVEN.values() for result in results.values()
    }
    assert {"true", "false", "unknown"} <= outcomes
    assert len(GIVEN) >= 30

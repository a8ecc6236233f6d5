"""Each rule of docs/rules.md, as it stands there: where it fires, and where it must not."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from watcher.config import Secrets, parse
from watcher.model import Order, Phase, Service, Status
from watcher.rules.rule import Reason, Rule, decide
from watcher.rules.variables import FiringHistory, PanelVariables, RuleContext

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rules.md").read_text()
NOW = 1_800_000_000.0
HOUR, DAY = 3600.0, 86400.0
PANEL = '[panels.mypanel]\nurl = "https://panel.example/api/v2"\nkey_env = "KEY"\n'

SERVICE = Service(
    id="1", name="Followers", category="c", rate=Decimal("0.90"), min=1, max=9,
    refill=True, cancel=True,
)  # fmt: skip
Facts = dict[str, Any]


def completed(ago: float, **more: Any) -> Facts:
    return {"status": Status.COMPLETED, "finished_at": NOW - ago, "phase": Phase.GUARDED, **more}


# rule -> facts where it fires, and where it does not. A key with a dot is of service or panel.
CASES: dict[str, tuple[list[Facts], list[Facts]]] = {
    "refill daily for a month": (
        [completed(25 * HOUR)],
        [completed(23 * HOUR), completed(25 * HOUR, **{"service.refill": False}), {}],
    ),
    "refill a real drop": (
        [completed(DAY, start_count=100, remains=0, count=1040)],
        [
            completed(DAY, start_count=100, remains=0, count=1060),
            completed(DAY, start_count=100, remains=0, count=None),
            {"start_count": 100, "remains": 0, "count": 500},
        ],
    ),
    "refill before the guarantee ends": (
        [completed(29 * DAY)],
        [completed(27 * DAY), completed(31 * DAY)],
    ),
    "refill what promises it": (
        [
            completed(8 * DAY, **{"service.name": "Likes | LIFETIME"}),
            completed(8 * DAY, **{"service.name": "Likes, Refill 30 days"}),
        ],
        [completed(8 * DAY), completed(6 * DAY, **{"service.name": "Likes, Refill"})],
    ),
    "cancel what has not started in a day": (
        [{"submitted_at": NOW - 25 * HOUR}],
        [
            {"submitted_at": NOW - 23 * HOUR},
            {"submitted_at": NOW - 25 * HOUR, "status": Status.IN_PROGRESS},
            {"submitted_at": NOW - 25 * HOUR, "service.cancel": False},
        ],
    ),
    "cancel what stands still": (
        [{"status": Status.IN_PROGRESS, "progressed_at": NOW - 49 * HOUR, "remains": 500}],
        [
            {"status": Status.IN_PROGRESS, "progressed_at": NOW - 47 * HOUR, "remains": 500},
            {"status": Status.IN_PROGRESS, "progressed_at": NOW - 49 * HOUR, "remains": 100},
            {"status": Status.IN_PROGRESS, "progressed_at": NOW - 49 * HOUR, "remains": None},
        ],
    ),
    "free the balance when it runs out": (
        [{"submitted_at": NOW - 7 * HOUR, "panel.balance": 4.99}],
        [
            {"submitted_at": NOW - 7 * HOUR, "panel.balance": 5.0},
            {"submitted_at": NOW - 7 * HOUR, "panel.balance": None},
            {"submitted_at": NOW - 5 * HOUR, "panel.balance": 4.99},
        ],
    ),
    "tell of partial orders": (
        [{"status": Status.PARTIAL, "remains": 101, "phase": Phase.GUARDED}],
        [
            {"status": Status.PARTIAL, "remains": 100, "phase": Phase.GUARDED},
            {"status": Status.IN_PROGRESS, "remains": 900},
        ],
    ),
    "tell of a price rise": (
        [{"charge": Decimal("0.90"), "service.rate": Decimal("1.00")}],
        [
            {"charge": Decimal("0.90"), "service.rate": Decimal("0.98")},
            {"charge": None, "service.rate": Decimal("9")},
            completed(DAY, charge=Decimal("0.90"), **{"service.rate": Decimal("9")}),
        ],
    ),
    "tell of large orders that stand still": (
        [{"status": Status.IN_PROGRESS, "quantity": 10_000, "progressed_at": NOW - 7 * HOUR}],
        [
            {"status": Status.IN_PROGRESS, "quantity": 9_999, "progressed_at": NOW - 7 * HOUR},
            {"status": Status.IN_PROGRESS, "quantity": 10_000, "progressed_at": NOW - 5 * HOUR},
        ],
    ),
    "tell of words that nobody knows": (
        [{"status": Status.UNKNOWN, "status_text": "Zut", "progressed_at": NOW - 2 * HOUR}],
        [
            {"status": Status.UNKNOWN, "status_text": None, "progressed_at": NOW - 2 * HOUR},
            {"status": Status.UNKNOWN, "status_text": "Zut", "progressed_at": NOW - 60.0},
        ],
    ),
    "tell of what keeps dropping": (
        [completed(DAY, refills=3, start_count=0, remains=0, count=900)],
        [
            completed(DAY, refills=2, start_count=0, remains=0, count=900),
            completed(DAY, refills=3, start_count=0, remains=0, count=1000),
        ],
    ),
}


def shown() -> dict[str, Rule]:
    text = PANEL + "".join(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
    return {rule.name: rule for rule in parse(text, Secrets({"KEY": "k"}, ROOT), ROOT).rules}


def decision(rule: Rule, facts: Facts, past: FiringHistory | None = None) -> tuple[bool, Reason]:
    past = past or FiringHistory()
    usual: Facts = {
        "panel": "mypanel", "id": "1", "service": "1", "quantity": 1000, "status": Status.PENDING,
        "submitted_at": NOW - HOUR, "progressed_at": NOW - HOUR, "checked_at": NOW - 60.0,
    }  # fmt: skip
    of = {
        thing: {k.partition(".")[2]: v for k, v in facts.items() if k.startswith(f"{thing}.")}
        for thing in ("service", "panel")
    }
    order = Order(**{**usual, **{k: v for k, v in facts.items() if "." not in k}})
    rule_context = RuleContext(
        panel=PanelVariables("mypanel", **{"balance": 100.0, "currency": "USD", **of["panel"]}),
        service=msgspec.structs.replace(SERVICE, **of["service"]),
    )
    made = decide(rule, order, rule_context, past, NOW, None)
    return made.fires, made.reason


def test_there_is_a_case_for_every_rule_and_twelve_of_them() -> None:
    assert shown().keys() == CASES.keys()
    assert len(CASES) == 12


@pytest.mark.parametrize("name", CASES)
def test_it_fires_where_it_must_and_nowhere_else(name: str) -> None:
    rule = shown()[name]
    fires, stays = CASES[name]
    for facts in fires:
        assert decision(rule, facts) == (True, Reason.FIRES), facts
    for facts in stays:
        fired, reason = decision(rule, facts)
        assert not fired, facts
        assert reason in (Reason.CONDITION_FALSE, Reason.VALUE_UNKNOWN, Reason.SERVICE_REFUSES)


@pytest.mark.parametrize("name", CASES)
def test_its_limits_hold(name: str) -> None:
    rule = shown()[name]
    facts = CASES[name][0][0]
    assert decision(rule, facts, FiringHistory(1, NOW - 1.0))[1] in (Reason.EVERY, Reason.ATTEMPTS)
    if rule.attempts is not None:
        assert decision(rule, facts, FiringHistory(rule.attempts, 0.0))[1] is Reason.ATTEMPTS

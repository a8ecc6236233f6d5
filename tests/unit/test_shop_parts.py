"""A shop's request about orders of several panels: the leaders' parts, joined."""

from typing import Any

import pytest

from watcher.errors import NotLed
from watcher.web.shop_parts import _joined


def part(action: str, orders: str) -> dict[str, str]:
    return {"action": action, "orders": orders}


def test_statuses_are_one_object() -> None:
    parts = [part("status", "1,2"), part("status", "3")]
    answers: list[Any] = [{"1": {"status": "Pending"}, "2": {"error": "no"}}, NotLed("q")]
    assert _joined(parts, answers) == {
        "1": {"status": "Pending"},
        "2": {"error": "no"},
        "3": {"error": "no node leads q now: try again in some seconds"},
    }


@pytest.mark.parametrize("failed", [{"error": "Incorrect request"}, NotLed("q", "why")])
def test_what_one_leader_did_is_told_though_another_failed(failed: Any) -> None:
    why = "why" if isinstance(failed, NotLed) else "Incorrect request"
    parts = [part("refill", "1"), part("refill", "3,4")]
    assert _joined(parts, [[{"order": 1, "refill": 7}], failed]) == [
        {"order": 1, "refill": 7},
        {"order": 3, "refill": {"error": why}},
        {"order": 4, "refill": {"error": why}},
    ]


def test_a_bug_is_not_told_to_shops() -> None:
    with pytest.raises(ZeroDivisionError):
        _joined([part("cancel", "1")], [ZeroDivisionError()])

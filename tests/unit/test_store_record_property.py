"""Any sequence of changes, grouped in any way, leaves the last states and all history."""

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.store_kit import (
    loaded,
    opened,
    tracked,
)
from watcher.model import Observation, Order, Status, Transition
from watcher.orders.lifecycle import count, observe, set_aside

pytestmark = pytest.mark.engines("sqlite", "postgresql")

step = st.tuples(
    st.integers(0, 3),
    st.sampled_from(["remains", "charge", "problem", "count", "status"]),
    st.integers(0, 50),
)


def next_change(order: Order, field: str, value: int, at: float) -> Transition | None:
    if field == "count":
        return count(order, value, at)
    if field == "problem":
        return set_aside(order, f"problem {value}", at)
    words = [Status.PENDING, Status.IN_PROGRESS, Status.PROCESSING, Status.UNKNOWN]
    seen: dict[str, dict[str, Any]] = {
        "remains": {"remains": value},
        "charge": {"charge": Decimal(value) / 7},
        "status": {"status": words[value % 4], "status_text": f"word {value}"},
    }
    return observe(order, Observation(**{"status": order.status, **seen[field]}), at)


@pytest.mark.long
@settings(max_examples=30)
@given(st.lists(st.lists(step, max_size=6), max_size=6))
def test_what_is_on_record_is_what_was_recorded(calls: list[list[tuple[int, str, int]]]) -> None:
    """Any sequence of changes, grouped in any way, leaves the last states and all history."""

    async def play(directory: Path) -> None:
        async with opened(directory) as store:
            orders = await tracked(store, 4)
            told: dict[str, list[float]] = {order.id: [] for order in orders}
            parts: list[list[Transition]] = []
            at = 10.0
            for call in calls:
                part = []
                for index, field, value in call:
                    at += 1
                    change = next_change(orders[index], field, value, at)
                    if change is not None:
                        part.append(change)
                        orders[index] = change.after
                        if change.changes:
                            told[change.after.id].append(at)
                parts.append(part)
            await asyncio.gather(*(store.changes.record(part, now=at) for part in parts))
            assert await loaded(store) == orders
            for order in orders:
                history = await store.orders.history("p", order.id)
                assert [when for when, _ in history] == told[order.id]

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(play(Path(directory)))

"""Every example answer of the five panels' documentations, as its readers understand it."""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.decoders import decode_refill, decode_refill_status, decode_status
from watcher.model import Balance, Observation, RefillStatus, RowError, Service, Status
from watcher.panels.protocol import (
    RefillObservation,
    decode_add,
    decode_balance,
    decode_cancels,
    decode_refill_statuses,
    decode_refills,
    decode_services,
    decode_statuses,
)

PANELS = {
    path.stem: tomllib.loads(path.read_text())
    for path in sorted(Path(__file__).with_name("seeds").glob("*.toml"))
}
EXAMPLES = [(panel, answer) for panel, answers in PANELS.items() for answer in answers]
COMPLETED = RefillObservation(RefillStatus.COMPLETED, "Completed")
FOLLOWERS = Service(
    id="1",
    name="Followers",
    type="Default",
    category="First Category",
    rate=Decimal("0.90"),
    min=50,
    max=10000,
    refill=True,
    cancel=True,
)
COMMENTS = Service(
    id="2",
    name="Comments",
    type="Custom Comments",
    category="Second Category",
    rate=Decimal("8"),
    min=10,
    max=1500,
    refill=False,
    cancel=True,
)
PARTIAL = Observation(
    status=Status.PARTIAL,
    status_text="Partial",
    charge=Decimal("0.27819"),
    currency="USD",
    start_count=3572,
    remains=157,
)
IN_PROGRESS = Observation(
    status=Status.IN_PROGRESS,
    status_text="In progress",
    charge=Decimal("1.44219"),
    currency="USD",
    start_count=234,
    remains=10,
)
# By the answer: its reader, the ids that were asked for, and what is read.
READINGS: dict[str, tuple[Any, tuple[Any, ...], Any]] = {
    "services": (decode_services, (), ([FOLLOWERS, COMMENTS], [])),
    "add": (decode_add, (), "23501"),
    "status": (decode_status, ("7",), PARTIAL),
    "statuses": (
        decode_statuses,
        (["1", "10", "100"],),
        {"1": PARTIAL, "10": RowError("Incorrect order ID"), "100": IN_PROGRESS},
    ),
    "refill": (decode_refill, ("7",), "1"),
    "refills": (
        decode_refills,
        (["1", "2", "3"],),
        {"1": "1", "2": "2", "3": RowError("Incorrect order ID")},
    ),
    "refill_status": (decode_refill_status, ("1",), COMPLETED),
    "refill_statuses": (
        decode_refill_statuses,
        (["1", "2", "3"],),
        {
            "1": COMPLETED,
            "2": RefillObservation(RefillStatus.REJECTED, "Rejected"),
            "3": RowError("Refill not found"),
        },
    ),
    "cancels": (
        decode_cancels,
        (["9", "2"],),
        {"9": RowError("Incorrect order ID"), "2": "1"},
    ),
    "balance": (decode_balance, (), Balance(Decimal("100.84292"), "USD")),
}


@pytest.mark.parametrize(("panel", "answer"), EXAMPLES)
def test_an_example_is_understood(panel: str, answer: str) -> None:
    decode, asked, expected = READINGS[answer]
    if (panel, answer) == ("smmgenie", "services"):  # it describes them, and tells of no cancels
        described = {"cancel": None, "desc": "Some Description"}
        expected = [msgspec.structs.replace(one, **described) for one in expected[0]], []
    assert decode(PANELS[panel][answer].encode(), *asked) == expected


def test_every_documented_panel_is_there() -> None:
    assert [len(answers) for answers in PANELS.values()] == [9, 9, 7, 10, 10]

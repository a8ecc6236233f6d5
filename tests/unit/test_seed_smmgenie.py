"""Every example answer of smmgenie's documentation, as its readers understand it."""

from tests.support.decoders import decode_refill, decode_refill_status, decode_status
from tests.unit.seed_readings import (
    BALANCE_SEEN,
    ORDER_SEEN,
    REFILL_SEEN,
    REFILL_STATUS_SEEN,
    STATUS_SEEN,
    STATUSES_SEEN,
    described,
)
from watcher.panels.protocol import (
    decode_add,
    decode_balance,
    decode_services,
    decode_statuses,
)

SERVICES = b"""[
    {
        "service": 1,
        "name": "Followers",
        "type": "Default",
        "category": "First Category",
        "rate": "0.90",
        "min": "50",
        "max": "10000",
        "desc" : "Some Description",
        "refill": true
    },
    {
        "service": 2,
        "name": "Comments",
        "type": "Custom Comments",
        "category": "Second Category",
        "rate": "8",
        "min": "10",
        "desc" : "Some Description",
        "max": "1500",
        "refill": false
    }
]"""
ADD = b"""{
    "order": 23501
}"""
STATUS = b"""{
    "charge": "0.27819",
    "start_count": "3572",
    "status": "Partial",
    "remains": "157",
    "currency": "USD"
}"""
STATUSES = b"""{
     "1": {
        "charge": "0.27819",
        "start_count": "3572",
        "status": "Partial",
        "remains": "157",
        "currency": "USD"
     },
     "10": {
        "error": "Incorrect order ID"
     },
     "100": {
        "charge": "1.44219",
        "start_count": "234",
        "status": "In progress",
        "remains": "10",
        "currency": "USD"
     }
}"""
REFILL = b"""{
    "refill": "1"
}"""
REFILL_STATUS = b"""{
    "status": "Completed"
}"""
BALANCE = b"""{
    "balance": "100.84292",
    "currency": "USD"
}"""


def test_services() -> None:
    assert decode_services(SERVICES) == described("Some Description")


def test_add() -> None:
    assert decode_add(ADD) == ORDER_SEEN


def test_status() -> None:
    assert decode_status(STATUS, "7") == STATUS_SEEN


def test_statuses() -> None:
    assert decode_statuses(STATUSES, ["1", "10", "100"]) == STATUSES_SEEN


def test_refill() -> None:
    assert decode_refill(REFILL, "7") == REFILL_SEEN


def test_refill_status() -> None:
    assert decode_refill_status(REFILL_STATUS, "1") == REFILL_STATUS_SEEN


def test_balance() -> None:
    assert decode_balance(BALANCE) == BALANCE_SEEN

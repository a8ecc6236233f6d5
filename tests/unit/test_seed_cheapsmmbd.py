"""Every example answer of cheapsmmbd's documentation, as its readers understand it."""

from tests.support.decoders import decode_refill, decode_refill_status, decode_status
from tests.unit.seed_readings import (
    BALANCE_SEEN,
    ORDER_SEEN,
    REFILL_SEEN,
    REFILL_STATUS_SEEN,
    REFILL_STATUSES_SEEN,
    REFILLS_SEEN,
    SERVICES_SEEN,
    STATUS_SEEN,
    STATUSES_SEEN,
)
from watcher.panels.protocol import (
    decode_add,
    decode_balance,
    decode_refill_statuses,
    decode_refills,
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
        "refill": true,
        "cancel": true
    },
    {
        "service": 2,
        "name": "Comments",
        "type": "Custom Comments",
        "category": "Second Category",
        "rate": "8",
        "min": "10",
        "max": "1500",
        "refill": false,
        "cancel": true
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
REFILLS = b"""[
    {
        "order": 1,
        "refill": 1
    },
    {
        "order": 2,
        "refill": 2
    },
    {
        "order": 3,
        "refill": {
            "error": "Incorrect order ID"
        }
    }
]"""
REFILL_STATUS = b"""{
    "status": "Completed"
}"""
REFILL_STATUSES = b"""[
    {
        "refill": 1,
        "status": "Completed"
    },
    {
        "refill": 2,
        "status": "Rejected"
    },
    {
        "refill": 3,
        "status": {
            "error": "Refill not found"
        }
    }
]"""
BALANCE = b"""{
    "balance": "100.84292",
    "currency": "USD"
}"""


def test_services() -> None:
    assert decode_services(SERVICES) == SERVICES_SEEN


def test_add() -> None:
    assert decode_add(ADD) == ORDER_SEEN


def test_status() -> None:
    assert decode_status(STATUS, "7") == STATUS_SEEN


def test_statuses() -> None:
    assert decode_statuses(STATUSES, ["1", "10", "100"]) == STATUSES_SEEN


def test_refill() -> None:
    assert decode_refill(REFILL, "7") == REFILL_SEEN


def test_refills() -> None:
    assert decode_refills(REFILLS, ["1", "2", "3"]) == REFILLS_SEEN


def test_refill_status() -> None:
    assert decode_refill_status(REFILL_STATUS, "1") == REFILL_STATUS_SEEN


def test_refill_statuses() -> None:
    assert decode_refill_statuses(REFILL_STATUSES, ["1", "2", "3"]) == REFILL_STATUSES_SEEN


def test_balance() -> None:
    assert decode_balance(BALANCE) == BALANCE_SEEN

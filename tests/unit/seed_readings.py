"""What a reader sees in the example answers that the documented panels share."""

from decimal import Decimal

import msgspec

from watcher.model import Balance, Observation, RefillStatus, RowError, Service, Status
from watcher.panels.protocol import RefillObservation

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
SERVICES_SEEN = ([FOLLOWERS, COMMENTS], [])
ORDER_SEEN = "23501"
STATUS_SEEN = Observation(
    status=Status.PARTIAL,
    status_text="Partial",
    charge=Decimal("0.27819"),
    currency="USD",
    start_count=3572,
    remains=157,
)
STATUSES_SEEN = {
    "1": STATUS_SEEN,
    "10": RowError("Incorrect order ID"),
    "100": Observation(
        status=Status.IN_PROGRESS,
        status_text="In progress",
        charge=Decimal("1.44219"),
        currency="USD",
        start_count=234,
        remains=10,
    ),
}
REFILL_SEEN = "1"
REFILLS_SEEN = {"1": "1", "2": "2", "3": RowError("Incorrect order ID")}
REFILL_STATUS_SEEN = RefillObservation(RefillStatus.COMPLETED, "Completed")
REFILL_STATUSES_SEEN = {
    "1": RefillObservation(RefillStatus.COMPLETED, "Completed"),
    "2": RefillObservation(RefillStatus.REJECTED, "Rejected"),
    "3": RowError("Refill not found"),
}
CANCELS_SEEN = {"9": RowError("Incorrect order ID"), "2": "1"}
BALANCE_SEEN = Balance(Decimal("100.84292"), "USD")


def described(text: str) -> tuple[list[Service], list[str]]:
    """The price list of a panel that has descriptions and does not speak of cancels."""
    services = [
        msgspec.structs.replace(service, cancel=None, desc=text) for service in SERVICES_SEEN[0]
    ]
    return services, []

"""Answers about an account: the balance and the price list."""

from typing import Any

from watcher.errors import RemoteFault
from watcher.model import Balance, Service
from watcher.panels.protocol.answers import (
    MOST_ROWS,
    as_error,
    failure,
    problem,
    refuse,
    wrapped,
)
from watcher.panels.protocol.bodies import load
from watcher.panels.protocol.values import Reading, clean, currency, flag, id_text, word

_MOST_FAULTS = 100
_ID_LIMIT, _NAME_LIMIT, _DESC_LIMIT = 64, 500, 2000


def decode_balance(body: bytes, reading: Reading | None = None) -> Balance:
    """Decode the account's balance; the currency is "" if the panel does not say."""
    reading = reading or Reading()
    answer = _whole(body)
    if isinstance(answer, dict) and "balance" not in answer:
        answer = wrapped(answer, frozenset()) or answer
    if not isinstance(answer, dict):
        raise RemoteFault("an answer without a balance")
    amount, code = reading.money(answer, "balance")
    if amount is not None:
        return Balance(amount, currency(answer.get("currency")) or code or "")
    if reading.unread:
        raise RemoteFault(f"a balance that can't be read: {reading.unread[-1].value}")
    raise RemoteFault("an answer without a balance")


def _whole(body: bytes) -> Any:
    """Load an answer that has no ids; raise if it is a refusal."""
    answer = as_error(load(body))
    if isinstance(answer, dict):
        text = problem(answer) or failure(answer)
        if text is not None:
            refuse(text, answer)
    return answer


def decode_services(body: bytes, reading: Reading | None = None) -> tuple[list[Service], list[str]]:
    """Decode the price list's good rows, and a line for each bad one."""
    reading = reading or Reading()
    listed = _service_rows(_whole(body))
    by = _id_field(listed)
    services: dict[str, Service] = {}
    faults: list[str] = []
    for number, row in enumerate(listed, 1):
        service = _service(row, by, reading)
        if isinstance(service, Service) and service.id in services:
            service = f"service {service.id} is listed twice"
        if isinstance(service, Service):
            services[service.id] = service
        else:
            faults.append(f"row {number}: {service}")
    if len(faults) > _MOST_FAULTS:
        faults[_MOST_FAULTS:] = [f"and {len(faults) - _MOST_FAULTS} more"]
    return list(services.values()), faults


def _service_rows(answer: Any) -> list[Any]:
    for _ in range(3):  # {"data": {"services": […]}} is the deepest
        if isinstance(answer, dict):
            keyed = list(answer.values())
            if keyed and all(map(_is_service, keyed)):
                return keyed
            answer = answer["services"] if "services" in answer else wrapped(answer, frozenset())
        if isinstance(answer, list):
            if len(answer) > MOST_ROWS:
                raise RemoteFault(f"a price list of {len(answer):,} rows")
            return answer
    raise RemoteFault("an answer without a list of services")


def _is_service(row: Any) -> bool:
    return isinstance(row, dict) and ("service" in row or {"id", "name", "rate"} <= row.keys())


def _id_field(listed: list[Any]) -> str:
    """Return the name of the column with the services' ids: "service", or "id"."""
    dicts = [row for row in listed if isinstance(row, dict)]
    has_ids = any("id" in row for row in dicts) and not any("service" in row for row in dicts)
    return "id" if has_ids else "service"


def _service(row: Any, by: str, reading: Reading) -> Service | str:
    """Return the row's service, or what is wrong with the row."""
    if not isinstance(row, dict):
        return "not a service"
    service_id, name = id_text(row.get(by)), word(row.get("name"), _NAME_LIMIT)
    if service_id is None or len(service_id) > _ID_LIMIT:
        return "a service without a usable id"
    if name is None:
        return f"service {clean(service_id)} has no name"
    return Service(
        id=clean(service_id),
        name=name,
        type=word(row.get("type")) or "Default",
        category=word(row.get("category")) or "",
        rate=reading.money(row, "rate")[0],
        min=reading.count(row, "min"),
        max=reading.count(row, "max"),
        refill=flag(row.get("refill")),
        cancel=flag(row.get("cancel")),
        dripfeed=flag(row.get("dripfeed")),
        desc=word(row.get("desc") or row.get("description"), _DESC_LIMIT),
        average_time=word(row.get("average_time")),
    )

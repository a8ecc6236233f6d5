"""Answers that tell nothing of what was asked."""

from collections.abc import Mapping
from typing import Any

from watcher.errors import BadKey, NotSent, RateLimited, Refused, ServerFault, TimedOut

ODD: dict[str, Any] = {
    "an empty list": [],
    "an empty object": {},
    "an empty body": b"",
    "null": None,
    "a number": 7,
    "a text": "ok",
    "rows for others": {"77777": {"status": "Completed"}},
    "a list for others": [{"refill": 77777, "order": 77777, "status": "Completed"}],
    "rows that name nothing": [{"status": "Completed"}, {"status": "Pending"}],
    "wrong types": {"status": [1], "refill": {}, "balance": [], "order": None},
    "a page": b"<html><title>Just a moment</title></html>",
    "an error": {"error": "Something went wrong"},
    "not found": {"error": "Refill not found"},
    "refused": Refused("Incorrect request"),
    "a wrong key": BadKey("Invalid API key"),
    "a limit": RateLimited("Too many requests"),
    "no connection": NotSent("Connection refused"),
    "too late": TimedOut("no whole answer within 20 s"),
    "a server error": ServerFault("HTTP 502"),
    "a bug": ZeroDivisionError("nobody foresaw this"),
}


def usual(action: str, params: Mapping[str, str]) -> Any:
    """What a panel in order answers: orders are completed but for 4, refills are pending."""
    orders = params.get("orders", params.get("order", "")).split(",")
    refills = params.get("refills", params.get("refill", "")).split(",")
    if action == "status":
        rows = {order: _row("In progress" if order == "4" else "Completed") for order in orders}
        return rows if "orders" in params else rows[orders[0]]
    if action == "refill":
        many = [{"order": int(order), "refill": 900 + int(order)} for order in orders]
        return many if "orders" in params else {"refill": str(many[0]["refill"])}
    if action == "refill_status":
        told = [{"refill": int(refill), "status": "Pending"} for refill in refills]
        return told if "refills" in params else {"status": "Pending"}
    if action == "balance":
        return {"balance": "100.00", "currency": "USD"}
    if action == "services":
        return [{"service": 7, "name": "Followers", "rate": "1", "refill": True}]
    return {"error": "Incorrect request"}


def _row(status: str) -> dict[str, str]:
    return {"status": status, "charge": "1.00", "start_count": "5", "remains": "0"}

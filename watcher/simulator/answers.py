"""Encodes the world's values as a panel with certain traits does."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from watcher.panels.protocol import serve
from watcher.panels.protocol.refusals import Refusal, RefusedAnswer
from watcher.simulator.catalog import SimService
from watcher.simulator.sim_orders import COMPLETED, FINAL, PARTIAL
from watcher.simulator.switches import Shown
from watcher.simulator.traits import Trait
from watcher.simulator.vocabulary import ORDER_WORDS, REFILL_WORDS, spoken

OTHER_CURRENCY = "INR"
HOSTILE_NAME = "Likes <script>alert('likes')</script> & \"HQ\" </td> 🔥 [50%] {{x}} ../;--"
HOSTILE_CATEGORY = "Likes & <b>more</b>"

Fields = dict[str, object]
Writers = Mapping[type, Callable[[Any], object]]
Results = Sequence[tuple[str, object | RefusedAnswer]]


def error(refused: RefusedAnswer, shown: Shown) -> Fields:
    return {"error": refused.refusal.code if Trait.ERROR_CODES in shown else refused.text}


def currency(documented: str, shown: Shown) -> str:
    return OTHER_CURRENCY if Trait.OTHER_CURRENCY in shown else documented


def identity(text: str, shown: Shown) -> object:
    """Return an id as it is written in a row."""
    return text if Trait.STRING_IDS in shown else serve.identity(text)


def added(order: int, shown: Shown) -> Fields:
    return {_order_column(shown): identity(str(order), shown)}


def _order_column(shown: Shown) -> str:
    return "order_id" if Trait.ORDER_ID in shown else "order"


def status_row(row: object, order: int, quantity: int, money: str, shown: Shown) -> object:
    """Encode an order's row; a value that a test set instead of it stays unchanged."""
    if not isinstance(row, dict):
        return row
    fields = {**row, "currency": money} if "charge" in row else dict(row)
    for trait in shown:
        if trait in _ROW_CHANGES:
            _ROW_CHANGES[trait](fields, quantity)
    if shown and "status" in fields:
        fields["status"] = spoken(fields["status"], order, shown, ORDER_WORDS)
    if "orders" in fields:
        fields["orders"] = [identity(str(part), shown) for part in fields["orders"]]
    return _written(fields, _writers(shown))


def _written(fields: Fields, writers: Writers) -> Fields:
    """Convert the fields' numbers to the panel's types."""
    return {
        name: writers[type(value)](value) if type(value) in writers else value
        for name, value in fields.items()
    }


def _writers(shown: Shown) -> Writers:
    if Trait.NUMBERS_AS_FLOATS in shown:
        return _FLOATS
    return _INTEGERS if Trait.COUNTS_AS_INTS in shown else _STRINGS


_INTEGERS: Writers = {Decimal: lambda amount: format(amount, "f")}
_STRINGS: Writers = {**_INTEGERS, int: str}
_FLOATS: Writers = {Decimal: float, int: float}


def _put(column: str, value: object) -> Callable[[Fields, int], None]:
    def change(fields: Fields, quantity: int) -> None:
        if column in fields:
            fields[column] = value

    return change


def _start_counter(fields: Fields, quantity: int) -> None:
    if "start_count" in fields:
        fields["start_counter"] = fields.pop("start_count")


def _negative_remains(fields: Fields, quantity: int) -> None:
    if fields.get("status") == COMPLETED and "remains" in fields:
        fields["remains"] = -1 - quantity // 50


def _remains_above(fields: Fields, quantity: int) -> None:
    if fields.get("status") not in FINAL and "remains" in fields:
        fields["remains"] = quantity + 1 + quantity // 50


def _partial_without(fields: Fields, quantity: int) -> None:
    if fields.get("status") == PARTIAL:
        fields["remains"] = 0


_ROW_CHANGES: Mapping[Trait, Callable[[Fields, int], None]] = {
    Trait.NULL_CHARGE: _put("charge", None),
    Trait.EMPTY_CHARGE: _put("charge", ""),
    Trait.NULL_START_COUNT: _put("start_count", None),
    Trait.EMPTY_START_COUNT: _put("start_count", ""),
    Trait.NULL_REMAINS: _put("remains", None),
    Trait.EMPTY_REMAINS: _put("remains", ""),
    Trait.START_COUNTER: _start_counter,
    Trait.NEGATIVE_REMAINS: _negative_remains,
    Trait.REMAINS_ABOVE_QUANTITY: _remains_above,
    Trait.PARTIAL_WITHOUT_REMAINS: _partial_without,
}


def status_batch(results: Results, shown: Shown) -> object:
    """Encode rows of several orders, keyed by the ids as they were asked for."""
    rows = {text: _told(result, shown) for text, result in _kept(results, shown)}
    if Trait.LIST_WITH_IDS in shown:
        return [_named(text, row, shown) for text, row in rows.items()]
    if Trait.LIST_WITHOUT_IDS in shown:
        return list(rows.values())
    return [] if Trait.EMPTY_LIST in shown and not rows else rows


def action_batch(results: Results, of: str, column: str, shown: Shown) -> list[object]:
    """Encode a list with a row for each id; its result is in `column`."""
    key = _order_column(shown) if of == "order" else of
    flat = column == "refill" and Trait.REFILL_FLAT_FAILURE in shown
    rows: list[object] = []
    for text, result in _kept(results, shown):
        told = error(result, shown) if flat and isinstance(result, RefusedAnswer) else None
        row = told or {column: _told(result, shown)}
        rows.append({key: identity(text, shown), **row})
    return rows


def _kept(results: Results, shown: Shown) -> Iterable[tuple[str, object | RefusedAnswer]]:
    if Trait.UNKNOWN_LEFT_OUT not in shown:
        return results
    return [(text, result) for text, result in results if not _is_unknown(result)]


def _is_unknown(result: object | RefusedAnswer) -> bool:
    unknown = (Refusal.ORDER, Refusal.REFILL_UNKNOWN)
    return isinstance(result, RefusedAnswer) and result.refusal in unknown


def _told(result: object | RefusedAnswer, shown: Shown) -> object:
    if not isinstance(result, RefusedAnswer):
        return result
    told = error(result, shown)
    bare = Trait.UNKNOWN_AS_STRING in shown and _is_unknown(result)
    return told["error"] if bare else told


def _named(text: str, row: object, shown: Shown) -> object:
    fields = row if isinstance(row, dict) else {"error": row}
    return {_order_column(shown): identity(text, shown), **fields}


def refill_id(refill: int, many: bool, shown: Shown) -> object:
    """Return a refill's id: documented as a string for one order, as a number in a list."""
    return identity(str(refill), shown) if many else str(refill)


def refill_word(status: str, refill: int, shown: Shown) -> object:
    return spoken(status, refill, shown, REFILL_WORDS)


def cancel_value(cancel: int, shown: Shown) -> object:
    """Return the value of an accepted cancel."""
    value: object = 1
    for trait in shown:
        value = _CANCELS.get(trait, value)
    return cancel if value is Trait.CANCEL_ID else value


_CANCELS: Mapping[Trait, object] = {
    Trait.CANCEL_STRING: "1",
    Trait.CANCEL_TRUE: True,
    Trait.CANCEL_ID: Trait.CANCEL_ID,
    Trait.CANCEL_STATUS: {"status": "success"},
    Trait.CANCEL_MESSAGE: {"message": "Cancel request accepted"},
}


def cancels(results: Results, shown: Shown) -> object:
    rows = action_batch(results, "order", "cancel", shown)
    if Trait.CANCEL_OBJECT not in shown or len(rows) != 1:
        return rows
    accepted = results[0][1]
    return accepted if isinstance(accepted, dict) else rows[0]


def price_list(services: Iterable[SimService], columns: frozenset[str], shown: Shown) -> object:
    """Encode the services, with the panel's extra columns."""
    rows = [_service_row(service, columns, shown) for service in services]
    if Trait.WRAPPED_IN_SERVICES in shown:
        return {"services": rows}
    return {"data": rows} if Trait.WRAPPED_IN_DATA in shown else rows


def _service_row(service: SimService, columns: frozenset[str], shown: Shown) -> Fields:
    numeric, hostile = Trait.NUMERIC_PRICES in shown, Trait.HOSTILE_TEXT in shown
    row: Fields = {
        "service": identity(str(service.service), shown),
        "name": HOSTILE_NAME if hostile else service.name,
        "type": service.type,
        "category": HOSTILE_CATEGORY if hostile else service.category,
        "rate": float(service.rate) if numeric else format(service.rate, "f"),
        "min": service.min if numeric else str(service.min),
        "max": service.max if numeric else str(service.max),
    }
    return row | _extras(service, columns, shown)


def _extras(service: SimService, columns: frozenset[str], shown: Shown) -> Fields:
    extras: Fields = {
        name: value
        for name, value in (("refill", service.refill), ("cancel", service.cancel))
        if name in columns
    }
    if Trait.DESCRIPTION in shown:
        extras["description"] = service.desc
    elif "desc" in columns:
        extras["desc"] = service.desc
    if Trait.DRIPFEED in shown:
        extras["dripfeed"] = service.dripfeed
    if Trait.AVERAGE_TIME in shown:
        extras["average_time"] = str(service.average_minutes)
    return extras

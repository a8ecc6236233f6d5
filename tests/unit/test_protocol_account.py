"""The balance and the price list."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from watcher.errors import BadKey, Refused, RemoteFault
from watcher.model import Balance, Service
from watcher.panels.protocol import Reading, Unread, decode_balance, decode_services

ROW = {"service": 1, "name": "Followers"}


def answer(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("body", "balance"),
    [
        (b'{"balance": "100.84292", "currency": "USD"}', Balance(Decimal("100.84292"), "USD")),
        (b'{"balance": 100.84292, "currency": "INR"}', Balance(Decimal("100.84292"), "INR")),
        (b'{"balance": -3, "currency": null}', Balance(Decimal(-3), "")),
        (b'{"balance": 0, "status": "success"}', Balance(Decimal(0), "")),
    ],
)
def test_balances(body: bytes, balance: Balance) -> None:
    assert decode_balance(body) == balance


@pytest.mark.parametrize(
    "body", [{}, [], None, {"balance": None}, {"balance": ""}, {"balance": "1,000"}, {"funds": 1}]
)
def test_no_balance(body: Any) -> None:
    with pytest.raises(RemoteFault):
        decode_balance(answer(body))


@pytest.mark.parametrize(
    ("text", "amount", "code"),
    [
        ("1,234.56", "1234.56", ""),
        ("$1234.56", "1234.56", ""),
        ("1234,56", "1234.56", ""),
        ("1 234.56", "1234.56", ""),
        ("1\u00a0234,56", "1234.56", ""),
        ("1.234,56", "1234.56", ""),
        ("1'234.56", "1234.56", ""),
        ("1,234,567", "1234567", ""),
        ("\u20b91,00,000.00", "100000", ""),
        ("0.90 USD", "0.90", "USD"),
        ("EUR 1.234,50", "1234.50", "EUR"),
        ("-$5", "-5", ""),
        ("1.234", "1.234", ""),
        ("0,123", "0.123", ""),
    ],
)
def test_balances_as_people_print_them(text: str, amount: str, code: str) -> None:
    assert decode_balance(answer({"balance": text})) == Balance(Decimal(amount), code)
    told = decode_balance(answer({"balance": text, "currency": " INR"}))
    assert told == Balance(Decimal(amount), "INR")


@pytest.mark.parametrize("text", ["1,234", "$1,234", "2.5 MIO", "1,23,4", "about 5", "5 / 3"])
def test_a_balance_that_is_ambiguous_is_told_and_not_guessed(text: str) -> None:
    reading = Reading()
    with pytest.raises(RemoteFault, match="can't be read: " + re.escape(text)):
        decode_balance(answer({"balance": text}), reading)
    assert reading.unread == [Unread("balance", text)]


def test_a_wrapped_balance() -> None:
    body = answer({"status": "success", "data": {"balance": "5", "currency": "EUR"}})
    assert decode_balance(body) == Balance(Decimal(5), "EUR")


def test_an_absurd_balance() -> None:
    with pytest.raises(RemoteFault):
        decode_balance(b'{"balance": 1e400, "currency": "USD"}')


def test_refused_balances() -> None:
    with pytest.raises(BadKey):
        decode_balance(b'{"error": "Invalid API key"}')
    with pytest.raises(Refused, match="closed"):
        decode_balance(b'{"status": "error", "message": "closed"}')


def one_service(**fields: Any) -> Service:
    services, faults = decode_services(answer([ROW | fields]))
    assert faults == []
    return services[0]


def test_a_bare_service() -> None:
    assert one_service() == Service(id="1", name="Followers")


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({"service": "1"}, {"id": "1"}),
        ({"rate": 0.9, "min": 50}, {"rate": Decimal("0.9"), "min": 50}),
        ({"rate": 3, "max": 10000.0}, {"rate": Decimal(3), "max": 10000}),
        ({"rate": "", "min": None, "max": "many"}, {"rate": None, "min": None, "max": None}),
        ({"type": None, "category": None}, {"type": "Default", "category": ""}),
        ({"desc": "text"}, {"desc": "text"}),
        ({"description": "text"}, {"desc": "text"}),
        ({"desc": "", "description": "text"}, {"desc": "text"}),
        ({"dripfeed": True, "refill": 1}, {"dripfeed": True, "refill": True}),
        ({"dripfeed": "false", "cancel": "0"}, {"dripfeed": False, "cancel": False}),
        ({"refill": "", "cancel": 7}, {"refill": None, "cancel": None}),
        ({"average_time": "2 hours"}, {"average_time": "2 hours"}),
        ({"average_time": 35}, {"average_time": "35"}),
    ],
)
def test_fields(fields: dict[str, Any], seen: dict[str, Any]) -> None:
    service = one_service(**fields)
    assert {name: getattr(service, name) for name in seen} == seen


def test_numbers_as_people_print_them() -> None:
    service = one_service(rate="$0.90", min="1,000", max="1.000.000")
    assert (service.rate, service.min, service.max) == (Decimal("0.90"), 1000, 1_000_000)
    service = one_service(rate="2,5", min="1.000", max="1 000")
    assert (service.rate, service.min, service.max) == (Decimal("2.5"), 1000, 1000)


def test_what_can_not_be_read_is_told_a_few_times() -> None:
    rows = [{"service": n, "name": "a", "rate": "1,234", "max": "N/A"} for n in range(100)]
    reading = Reading()
    services, faults = decode_services(answer(rows), reading)
    assert {service.rate for service in services} == {None}
    assert faults == []
    assert reading.unread == [Unread("rate", "1,234")] * 8


def test_ids_under_another_name() -> None:
    row = {"id": 1, "name": "Followers", "rate": "1"}
    seen = ([Service(id="1", name="Followers", rate=Decimal(1))], [])
    for body in ([row], {"data": [row]}, {"result": {"services": [row]}}, {"1": row}):
        assert decode_services(answer(body)) == seen
    services, _ = decode_services(answer([{"service": 5, "id": 1, "name": "a"}]))
    assert services[0].id == "5"


@pytest.mark.parametrize("wrap", ["services", "data"])
def test_wrapped_lists(wrap: str) -> None:
    seen = ([Service(id="1", name="Followers")], [])
    assert decode_services(answer({wrap: [ROW]})) == seen
    assert decode_services(answer({"status": "success", wrap: [ROW]})) == seen
    assert decode_services(answer({"data": {"services": [ROW]}})) == seen
    assert decode_services(answer({"1": ROW})) == seen
    assert decode_services(answer({wrap: {"1": ROW}})) == seen


def test_one_bad_row_spoils_nothing() -> None:
    rows = [5, ROW, {"name": "no id"}, {"service": 2}, ROW, {"service": 3, "name": "Likes"}]
    services, faults = decode_services(answer(rows))
    assert [service.id for service in services] == ["1", "3"]
    assert faults == [
        "row 1: not a service",
        "row 3: a service without a usable id",
        "row 4: service 2 has no name",
        "row 5: service 1 is listed twice",
    ]


def test_faults_are_not_told_for_ever() -> None:
    services, faults = decode_services(answer([None] * 5000 + [ROW]))
    assert len(services) == 1
    assert len(faults) == 101
    assert faults[-1] == "and 4900 more"


def test_an_empty_list() -> None:
    assert decode_services(b"[]") == ([], [])
    assert decode_services(b'{"services": []}') == ([], [])


def test_bytes_that_are_no_text_and_half_pairs_spoil_no_list() -> None:
    body = answer([ROW, ROW | {"service": 2, "name": "@"}]).replace(b"@", b"caf\xe9 \\ud83d")
    services, _ = decode_services(body)
    assert [service.name for service in services] == ["Followers", "caf\ufffd"]


def test_texts_are_clipped_and_printable() -> None:
    service = one_service(name="a\x00b" + "n" * 999, desc="d\n" * 9999, type="t" * 999)
    assert service.name.startswith("a b")
    assert (len(service.name), len(service.type)) == (500, 200)
    assert service.desc is not None
    assert len(service.desc) <= 2000
    assert service.desc.isprintable()


@pytest.mark.parametrize("body", [{}, None, "x", {"message": "hello"}, {"data": {"data": {}}}])
def test_no_list(body: Any) -> None:
    with pytest.raises(RemoteFault):
        decode_services(answer(body))


@pytest.mark.parametrize(
    "body", [{"error": "Invalid API key"}, [{"error": "Invalid API key"}], "Invalid API key"]
)
def test_a_bad_key(body: Any) -> None:
    with pytest.raises(BadKey):
        decode_services(answer(body))

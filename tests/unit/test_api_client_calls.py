"""The Python client is what the OpenAPI description says, call by call."""

import inspect
import re
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import jsonschema
import pytest

import watcher
import watcher_client
from docs.source import client as generated
from watcher.web.server import description
from watcher_client import Client, aio, calls
from watcher_client.calls import Call

DOCUMENT = description()
FOUND = generated.operations(DOCUMENT)
PLACE = ("p", "23501")
LABELS: Any = {"reference": "1042", "customer": "ann", "tags": ["vip"], "note": "call first"}
ORDER: Any = {"panel": "p", "service": 1, "link": "https://example.com/a", "quantity": 100}
FILTERS: Any = {
    "panel": "p",
    "status": "completed",
    "stalled": True,
    "problem": False,
    "tag": "vip",
    "reference": "1042",
    "customer": "ann",
    "since": "2026-07-01T12:00:00Z",
    "limit": 1000,
    "cursor": "12",
}
# Each with everything that it takes.
FULL: dict[str, Call[Any]] = {
    "track": calls.track([{"panel": "p", "order": 23501, **LABELS}]),
    "submit": calls.submit("k1", **ORDER, params={"comments": "a\nb"}, **LABELS),
    "list_orders": calls.list_orders(**FILTERS),
    "show": calls.show(*PLACE),
    "label": calls.label(*PLACE, **LABELS),
    "untrack": calls.untrack(*PLACE),
    "check": calls.check(*PLACE, wait=2.5),
    "check_all": calls.check_all([{"panel": "p", "order": 23501}], wait=2.5),
    "list_changes": calls.list_changes(after="c1", wait=25, panel="p", tag="vip", limit=1000),
    "refill": calls.refill(*PLACE),
    "cancel": calls.cancel(*PLACE),
    "show_action": calls.show_action(7),
    "list_panels": calls.list_panels(),
    "list_attention": calls.list_attention(),
    "whoami": calls.whoami(),
}
NAMES = sorted(FULL)


def builder(name: str) -> Callable[..., Any]:
    return getattr(calls, name)  # type: ignore[no-any-return]


def test_the_shapes_are_those_of_the_description() -> None:
    assert generated.PATH.read_text() == generated.text(), "make api"


def test_the_client_has_the_version_of_the_daemon() -> None:
    assert watcher_client.__version__ == watcher.__version__


def test_each_operation_is_a_function_and_a_method_of_both_clients() -> None:
    built = {
        name
        for name, function in inspect.getmembers(calls, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == calls.__name__
    }
    assert built == set(generated.OPERATIONS) == set(FULL) == set(FOUND)
    for kind in (Client, aio.AsyncClient):
        methods = {n for n, _ in inspect.getmembers(kind, inspect.isfunction) if n[0] != "_"}
        assert methods == built | {"orders", "follow", "send"}
    assert all(getattr(Client, n).__doc__ for n in built)


def test_both_clients_take_the_same() -> None:
    for name in ("__init__", "orders", "follow"):
        blocking, other = (inspect.signature(getattr(k, name)) for k in (Client, aio.AsyncClient))
        assert blocking.parameters == other.parameters


@pytest.mark.parametrize("name", NAMES)
def test_a_call_is_the_operation_of_its_name(name: str) -> None:
    method, path, operation = FOUND[name]
    call = FULL[name]
    assert (call.method, call.path) == (method, path)
    sent = {"path": call.names, "query": call.query, "header": call.headers}
    for place, given in sent.items():
        described = {p["name"]: p for p in operation["parameters"] if p["in"] == place}
        assert given.keys() == described.keys(), place
        for parameter, value in given.items():
            if place != "path":
                jsonschema.validate(value, described[parameter]["schema"])


@pytest.mark.parametrize("name", NAMES)
def test_a_call_has_the_body_of_the_operation(name: str) -> None:
    call, operation = FULL[name], FOUND[name][2]
    body = operation.get("requestBody")
    assert (call.body is None) == (body is None)
    if body is not None:
        reference = body["content"]["application/json"]["schema"]["$ref"]
        shape = DOCUMENT["components"]["schemas"][reference.rsplit("/", 1)[1]]
        assert call.body is not None
        assert call.body.keys() == shape["properties"].keys()
        jsonschema.validate(call.body, {"$ref": reference, "components": DOCUMENT["components"]})


@pytest.mark.parametrize("name", NAMES)
def test_a_call_promises_the_answer_of_the_operation(name: str) -> None:
    (promised,) = get_args(get_type_hints(builder(name))["return"])
    answers = {
        answer["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        for status, answer in FOUND[name][2]["responses"].items()
        if status < "400"
    }
    assert answers == {promised.__name__}


def test_what_may_be_repeated() -> None:
    """Reads, and writes that the API takes twice without doing more."""
    once = {name for name, call in FULL.items() if not call.is_repeatable}
    assert once == {"refill", "cancel", "untrack"}
    assert FULL["submit"].headers == {"Idempotency-Key": "k1"}


def test_names_are_quoted_in_paths_and_queries() -> None:
    assert calls.show("a/b", "1?x#ü").target == "/v1/orders/a%2Fb/1%3Fx%23%C3%BC"
    target = calls.list_orders(tag="a&b=ü", stalled=True, limit=5).target
    assert target == "/v1/orders?tag=a%26b%3D%C3%BC&stalled=true&limit=5"
    assert calls.list_changes().target == "/v1/changes"


@pytest.mark.parametrize("order", ["", " ", ".", ".."])
def test_a_name_that_leads_elsewhere_is_refused(order: str) -> None:
    with pytest.raises(ValueError, match="order: "):
        _ = calls.refill("p", order).target


@pytest.mark.parametrize("key", ["", "a\r\nb", "ü"])
def test_a_key_that_no_header_can_have_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        calls.submit(key, panel="p", service=1)


@pytest.mark.parametrize("name", ["submit", "list_orders", "label", "list_changes"])
def test_a_word_that_is_not_the_apis_is_an_error(name: str) -> None:
    """The daemon would place the order without it."""
    arguments = {"submit": ("k",), "label": PLACE}.get(name, ())
    with pytest.raises(
        TypeError, match=rf"{name}\(\) got an unexpected keyword argument 'quantty'"
    ):
        builder(name)(*arguments, quantty=100)


def test_each_method_is_told_in_the_docs() -> None:
    page = (generated.PATH.parents[3] / "docs" / "clients.md").read_text()
    told = set(re.findall(r"`(\w+)\(", page))
    assert set(FULL) | {"orders", "follow", "verify"} <= told

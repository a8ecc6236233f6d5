"""Requests: the form, and what is checked of an order before it is sent."""

import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.panels.protocol import ADD_PARAMETERS, check_add, encode_form, encode_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def test_form() -> None:
    body = encode_form("a key", "status", {"orders": "1,2,3"})
    assert body == b"key=a+key&action=status&orders=1,2,3"


@given(key=TEXTS, values=st.dictionaries(TEXTS.filter(bool), TEXTS))
def test_a_form_reads_back(key: str, values: dict[str, str]) -> None:
    body = encode_form(key, "add", values)
    pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True)
    assert pairs == [("key", key), ("action", "add"), *values.items()]


def test_an_ordinary_order_has_no_problem() -> None:
    assert (
        check_add("Default", {"service": "1", "link": "https://x.example/p", "quantity": "50"})
        == []
    )


@pytest.mark.parametrize("service_type", ADD_PARAMETERS)
def test_each_type_needs_its_parameters(service_type: str) -> None:
    values = {"min": "1", "max": "2", "quantity": "10", "answer_number": "1"}
    required = ADD_PARAMETERS[service_type].required
    params = {"service": "1"} | {name: values.get(name, "text") for name in required}
    assert check_add(service_type, params) == []
    for name in required:
        left = {key: value for key, value in params.items() if key != name}
        problems = check_add(service_type, left)
        assert len(problems) == 1
        assert problems[0].startswith(f"{name} is missing")


def test_every_problem_is_told_at_once() -> None:
    params = {"link": " ", "quantity": "many", "interval": "0", "comments": "nice", "key": "mine"}
    problems = check_add("Default", params)
    starts = ["service", "key", "link", "comments", "quantity", "interval", "interval"]
    assert [problem.split()[0] for problem in problems] == starts


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quantity", "0"),
        ("quantity", "1.5"),
        ("quantity", "-5"),
        ("quantity", "١٠"),
        ("quantity", "9" * 5000),
        ("runs", "0"),
    ],
)
def test_numbers_are_whole_and_positive(name: str, value: str) -> None:
    params = {"service": "1", "link": "l", "quantity": "10"} | {name: value}
    [problem] = check_add("Default", params)
    assert problem.startswith(f"{name} must be a whole number of at least 1")
    assert len(problem) < 120


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"min": "9", "max": "5"}, "min (9) is above max (5)"),
        ({"expiry": "31/02/2026"}, "expiry must be a day as 31/12/2026, not '31/02/2026'"),
        ({"expiry": "2026-01-01"}, "expiry must be a day as 31/12/2026, not '2026-01-01'"),
        ({"expiry": "1/2/2026"}, None),
        ({"delay": "0", "posts": "0", "old_posts": "5"}, None),
    ],
)
def test_subscriptions(changes: dict[str, str], problem: str | None) -> None:
    params = {"service": "1", "username": "u", "min": "1", "max": "2"} | changes
    assert check_add("subscriptions", params) == ([problem] if problem else [])


def test_an_unknown_type_may_take_anything_but_not_the_watchers_own_parameters() -> None:
    assert check_add("Telepathy", {"service": "1", "thought": "x", "quantity": "?"}) == []
    assert check_add("Telepathy", {"thought": "x"}) == ["service is missing"]
    assert check_add("Telepathy", {"service": "1", "action": "cancel"}) == [
        "action can't be given: the watcher sets it"
    ]


def test_text_that_can_not_be_sent_is_told() -> None:
    params = {"service": "1", "link": "l", "comments": "half a pair: \ud83d"}
    assert check_add("Custom Comments", params) == ["comments is not valid text"]


NAMES = st.from_regex(r"x_[a-z0-9_]{0,20}", fullmatch=True)
LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=50)


@given(st.dictionaries(NAMES, LINES, max_size=5), st.dictionaries(NAMES, LINES, max_size=3))
def test_a_form_and_json_say_the_same(params: dict[str, str], fields: dict[str, str]) -> None:
    """Fixed fields go before an order's own."""
    params |= {"service": "1"}
    told = {"key": "k", "action": "add", **params, **fields}
    assert json.loads(encode_json("k", "add", params, fields)) == told
    form = encode_form("k", "add", params, fields).decode("ascii")
    assert dict(parse_qsl(form, keep_blank_values=True, errors="strict")) == told


def test_no_field_replaces_the_key_or_the_action_in_json() -> None:
    assert json.loads(encode_json("k", "balance", {}, {"key": "x", "action": "y"})) == {
        "key": "k",
        "action": "balance",
    }

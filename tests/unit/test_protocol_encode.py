"""Requests: the form, and what is checked of an order before it is sent."""

import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import forms
from watcher.errors import Unsendable
from watcher.panels.protocol import (
    ADD_PARAMETERS,
    check_add,
    check_parameters,
    encode_form,
    encode_json,
)
from watcher.panels.protocol.encode import LARGEST_ADD

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\r\n"))
GOOD_NAMES = st.sampled_from(
    sorted({name for table in ADD_PARAMETERS.values() for name in table.required + table.optional})
) | st.from_regex(r"x[a-z0-9_]{0,31}", fullmatch=True)


def test_form() -> None:
    body = encode_form("a key", "status", {"orders": "1,2,3"})
    assert body == b"key=a+key&action=status&orders=1,2,3"


@given(key=TEXTS, service=PLAIN.filter(str.strip), values=st.dictionaries(GOOD_NAMES, PLAIN))
def test_a_form_reads_back(key: str, service: str, values: dict[str, str]) -> None:
    body = encode_form(key, "add", {"service": service, **values})
    pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True)
    assert pairs == [("key", key), ("action", "add"), ("service", service), *values.items()]


@given(values=st.dictionaries(forms.NAMES, forms.VALUES, max_size=4))
def test_no_form_reads_as_another_request(values: dict[str, str]) -> None:
    """Not to a server that ignores case, look-alikes, blanks or what follows a NUL."""
    params = {**values, "service": "77"}
    try:
        body = encode_form("right", "add", params)
    except Unsendable:
        return
    read = forms.as_others_read(parse_qsl(body.decode("ascii"), keep_blank_values=True))
    assert read["key"] == ["right"]
    assert read["action"] == ["add"]
    assert read["service"] == ["77"]
    assert not read.keys() & {"order", "orders", "refill", "refills"}


WRONG_NAMES = """
|key|action|order|orders|refill|refills|Service|SERVICE| service|service |service[]|service[0]|
ser.vice|service.|ser vice|_service|service_|s_ervice|api_key|apikey|token|access_token|order_id|
service_id|key[|action[|action\x00|\x00action|service%00|ｓervice|serviсe|ſervice|ķey|a-b|1st|link;x|
a&service=2|a=b|länk|
""".replace("\n", "").split("|")


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_a_name_outside_the_alphabet_is_never_sent(name: str) -> None:
    params = {"service": "1", "link": "l", name: "9"}
    assert len(check_parameters(params)) == 1
    assert len(check_add("Default", params)) >= 1
    with pytest.raises(Unsendable, match=r"^not sent: "):
        encode_form("k", "add", params)


@pytest.mark.parametrize("value", ["1\x00", "\x1b[2J", "half \ud83d", "\x7f"])
@pytest.mark.parametrize(("action", "name"), [("add", "link"), ("cancel", "orders")])
def test_a_value_with_control_characters_is_never_acted_on(
    action: str, name: str, value: str
) -> None:
    params = {"service": "1"} if action == "add" else {}
    with pytest.raises(Unsendable, match=name):
        encode_form("k", action, params | {name: value})


@pytest.mark.parametrize("action", ["status", "refill", "cancel", "refill_status", "balance"])
@pytest.mark.parametrize("name", ["service", "link", "key", "orders[]", " order"])
def test_other_actions_have_their_own_parameters_alone(action: str, name: str) -> None:
    with pytest.raises(Unsendable):
        encode_form("k", action, {name: "1"})


def test_comments_have_lines_and_any_script() -> None:
    params = {"service": "1", "link": "l", "comments": "good pic\r\nグッド 🔥\tüber, 100%"}
    assert check_add("Custom Comments", params) == []
    assert b"%0D%0A" in encode_form("k", "add", params)


def test_an_order_has_a_size() -> None:
    params = {"service": "1", "comments": "x" * LARGEST_ADD}
    [problem] = check_parameters(params)
    assert "65,536 are the most" in problem
    params["comments"] = "ü" * (LARGEST_ADD // 2 - 20)
    assert check_parameters(params) == []


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
        "action can't be given: watcher sets it"
    ]
    [problem] = check_add("Telepathy", {"service": "1", "Thought": "x"})
    assert problem.startswith("'Thought' can't be the name of a parameter")


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

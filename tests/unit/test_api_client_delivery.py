"""What the Python client repeats, where, and what it never sends twice."""

import json
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher_client import Client, calls
from watcher_client.calls import Call
from watcher_client.delivery import Delivery, Failure, Reply
from watcher_client.errors import (
    ApiError,
    Conflict,
    Forbidden,
    Limited,
    NotFound,
    StaleCursor,
    Unauthorized,
    Unclear,
    Unreachable,
    WatcherError,
)
from watcher_client.following import Following
from watcher_client.settings import Settings

URLS = ("https://a.example", "https://b.example")
READ = calls.whoami()
KEYED = calls.submit("1042", panel="p", service=1)
ONCE = calls.refill("p", 23501)
REFUSED = Failure(sent=False, cause="connection refused")
CUT = Failure(sent=True, cause="timed out")
GOOD = Reply(200, {}, b'{"a": 1}')
KEY = "key-that-nobody-may-see"


def fault(status: int, code: str = "c", **headers: str) -> Reply:
    body = {"error": {"code": code, "message": f"because of {code}"}}
    return Reply(status, headers, json.dumps(body).encode())


def deliver(
    call: Call[Any], *outcomes: Reply | Failure, urls: tuple[str, ...] = URLS[:1], most: int = 3
) -> tuple[object, list[str], list[float]]:
    """What comes of it (an answer or an error), the URLs that were tried, and the pauses."""
    delivery = Delivery(call, urls, most)
    tried, pauses = [], []
    for outcome in outcomes:
        tried.append(delivery.url[8])
        try:
            pause = delivery.pause_after(outcome)
        except WatcherError as error:
            return error, tried, pauses
        if pause is None:
            return delivery.answer, tried, pauses
        pauses.append(pause)
    raise AssertionError(f"it would be tried once more, after {pauses}")


@pytest.mark.parametrize("call", [READ, KEYED, ONCE])
def test_what_has_not_left_is_sent_again(call: Call[Any]) -> None:
    assert deliver(call, REFUSED, REFUSED, GOOD) == ({"a": 1}, ["a", "a", "a"], [0.5, 1.0])
    assert deliver(call, REFUSED, GOOD, urls=URLS) == ({"a": 1}, ["a", "b"], [0.0])
    error, tried, _ = deliver(call, REFUSED, REFUSED, REFUSED, urls=URLS)
    assert isinstance(error, Unreachable)
    assert "connection refused" in str(error)
    assert tried == ["a", "b", "a"]
    assert len(deliver(call, REFUSED, REFUSED, urls=URLS, most=1)[1]) == 2, "each URL once"


@pytest.mark.parametrize("lost", [CUT, Reply(502, {}, b"<html>"), Reply(504, {}, b"")])
def test_after_a_lost_answer_a_read_goes_elsewhere_and_a_write_stays(lost: Reply | Failure) -> None:
    assert deliver(READ, lost, GOOD, urls=URLS)[:2] == ({"a": 1}, ["a", "b"])
    assert deliver(KEYED, lost, GOOD, urls=URLS) == ({"a": 1}, ["a", "a"], [0.5])
    assert isinstance(deliver(READ, lost, lost, lost)[0], Unreachable)
    assert isinstance(deliver(KEYED, lost, lost, lost)[0], Unclear)
    error, tried, _ = deliver(ONCE, lost, urls=URLS)
    assert isinstance(error, Unclear)
    assert "not known whether POST /v1/orders/{panel}/{order}/refill" in str(error)
    assert tried == ["a"]


@given(
    outcomes=st.lists(
        st.sampled_from([REFUSED, CUT, GOOD, Reply(200, {}, b"no"), Reply(503, {}, b"")])
        | st.sampled_from([200, 302, 400, 404, 409, 429, 500, 502, 503]).map(fault),
        min_size=8,
        max_size=8,
    ),
    urls=st.sampled_from([URLS, URLS[:1]]),
    call=st.sampled_from([ONCE, calls.cancel("p", 1), calls.untrack("p", 1)]),
)
def test_an_action_is_never_sent_again_once_it_may_have_arrived(
    outcomes: list[Reply | Failure], urls: tuple[str, ...], call: Call[Any]
) -> None:
    tried = deliver(call, *outcomes, urls=urls)[1]
    for outcome in outcomes[: len(tried) - 1]:
        is_429 = isinstance(outcome, Reply) and outcome.status == 429
        assert outcome == REFUSED or is_429


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ApiError),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, StaleCursor),
        (422, ApiError),
    ],
)
def test_a_refusal_is_an_error_with_the_apis_words(status: int, kind: type[ApiError]) -> None:
    for call in (READ, KEYED, ONCE):
        error, tried, _ = deliver(call, fault(status, "not_so"))
        assert type(error) is kind
        assert str(error) == f"because of not_so (HTTP {status}, not_so)"
        assert len(tried) == 1


def test_too_many_requests_are_sent_later() -> None:
    later = fault(429, **{"retry-after": "7"})
    assert deliver(ONCE, later, GOOD) == ({"a": 1}, ["a", "a"], [7.0])
    error = deliver(READ, fault(429, **{"retry-after": "61"}))[0]
    assert isinstance(error, Limited)
    assert error.retry_after == 61.0
    assert deliver(READ, fault(429, **{"retry-after": "soon"}), GOOD)[2] == [1.0]


def test_a_daemon_that_is_not_ready_is_asked_again_but_not_for_an_action() -> None:
    assert deliver(READ, fault(503), GOOD)[0] == {"a": 1}
    assert deliver(KEYED, fault(503), GOOD)[0] == {"a": 1}
    error = deliver(ONCE, fault(503))[0]
    assert isinstance(error, ApiError)
    assert error.status == 503


@pytest.mark.parametrize("code", ["not_led", "no_lease"])
def test_what_a_node_of_a_cluster_has_not_done_is_asked_of_the_next(code: str) -> None:
    for call in (READ, KEYED, ONCE):
        told = deliver(call, fault(503, code), GOOD, urls=URLS)
        assert told == ({"a": 1}, ["a", "b"], [0.0]), "it says itself that nothing was done"
        assert deliver(call, fault(503, code), GOOD) == ({"a": 1}, ["a", "a"], [0.5])


def test_an_error_of_the_daemons_own_leaves_a_write_unclear() -> None:
    assert isinstance(deliver(READ, fault(500))[0], ApiError)
    assert isinstance(deliver(KEYED, fault(500))[0], Unclear)
    assert isinstance(deliver(ONCE, fault(500))[0], Unclear)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff", b"[" * 100_000, b'{"error": 1}'])
def test_what_is_not_watcher_is_said_to_be_none(body: bytes) -> None:
    for status in (302, 404) if body[:1] == b"{" else (200, 302, 404):
        error = deliver(READ, Reply(status, {}, body))[0]
        assert isinstance(error, Unreachable)
        assert f"HTTP {status}, and not by watcher" in str(error)
    assert isinstance(deliver(ONCE, Reply(302, {}, body))[0], Unreachable)
    if body[:1] != b"{":
        assert isinstance(deliver(ONCE, Reply(200, {}, body))[0], Unclear)


def test_following_goes_on_from_page_to_page() -> None:
    following = Following(tag="vip")
    assert following.call().query == {"wait": 25, "tag": "vip"}
    page: Any = {"changes": [], "cursor": "c1", "more": False}
    assert following.is_new(page), "a cursor to keep"
    assert not following.is_new(page)
    assert following.call().query == {"wait": 25, "tag": "vip", "after": "c1"}
    assert following.is_new({**page, "changes": [1]})


def test_following_waits_for_a_daemon_that_is_away_and_gives_up_on_what_stays() -> None:
    following = Following()
    away = Unreachable("no")
    assert [following.pause_after(away) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    following.is_new({"changes": [], "cursor": "c1", "more": False})
    assert following.pause_after(ApiError(503, "not_yet", "no")) == 1
    limited = Limited(429, "too_many", "no")
    limited.retry_after = 9.0
    assert following.pause_after(limited) == 9
    for error in (Unauthorized(401, "c", "m"), StaleCursor(410, "c", "m"), ApiError(400, "c", "m")):
        with pytest.raises(type(error)):
            following.pause_after(error)


def settings(url: Any = "https://w.example", key: str | None = KEY, **more: Any) -> Settings:
    return Settings(url, key, **{"timeout": 30.0, "attempts": 3, "allow_http": False, **more})


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("w.example", "is not a URL"),
        ("ftp://w.example", "is not a URL"),
        ("https://", "is not a URL"),
        ("https://u:secret@w.example", "no user, password"),
        ("https://w.example?key=secret", "no user, password"),
        ("http://w.example", "would show the key to the network"),
        ([], "at least one"),
        (["https://w.example", "http://w.example"], "would show the key"),
    ],
)
def test_a_url_that_can_not_be_used(url: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        settings(url)
    assert "secret" not in str(caught.value)


def test_urls_that_can_be_used() -> None:
    many = ["http://127.0.0.1:9466/", "http://[::1]:1", "http://localhost", "https://w.example/x/"]
    assert settings(many).urls == (many[0][:-1], many[1], many[2], "https://w.example/x")
    assert settings("http://w.example", allow_http=True).urls == ("http://w.example",)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://[::1]", "::1", 80),
        ("https://w.example", "w.example", 443),
        ("http://127.0.0.1:9466", "127.0.0.1", 9466),
    ],
)
def test_where_a_connection_leads(url: str, host: str, port: int) -> None:
    connection = Client(url)._connection(url)
    assert (connection.host, connection.port) == (host, port)


@pytest.mark.parametrize("key", [f"{KEY}\r\nX: y", f"{KEY}ü", "", f"{KEY}\0"])
def test_the_key_is_in_no_message(key: str) -> None:
    try:
        settings(key=key)
    except ValueError:
        assert KEY not in traceback.format_exc()
    else:
        raise AssertionError(key)
    assert KEY not in repr(settings())
    assert settings(key=f" {KEY}\n").request(READ)[0]["Authorization"] == f"Bearer {KEY}"

"""URLs as people type them, and where else a panel's API may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.cli.addresses import other_paths, other_scheme, problem, safe, typed


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (" https://x.example/api/v2 ", "https://x.example/api/v2"),
        ('"https://x.example/api/v2"', "https://x.example/api/v2"),
        ("<https://x.example/>", "https://x.example/"),
        ("x.example/api/v2", "https://x.example/api/v2"),
        ("x.example:8443", "https://x.example:8443"),
        ("127.0.0.1:8080/api/v2", "http://127.0.0.1:8080/api/v2"),
        ("localhost", "http://localhost"),
        ("[::1]:80", "http://[::1]:80"),
    ],
)
def test_what_was_meant(text: str, url: str) -> None:
    assert typed(text) == url
    assert problem(url) is None


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://", "https://x:99999", "http://[x", "http://a b", "mailto://x"]
)
def test_what_is_no_url(url: str) -> None:
    assert problem(url) is not None


def test_a_password_is_not_repeated() -> None:
    assert "secret" in str(problem("https://u:pw@x.example/"))
    assert "pw" not in str(problem("https://u:pw@x.example/"))


@pytest.mark.parametrize(
    ("url", "others"),
    [
        ("https://x.example", ["https://x.example/api/v2", "https://x.example/api/v2/"]),
        ("https://x.example/api/", ["https://x.example/api/v2", "https://x.example/api/v2/"]),
        ("https://x.example/api/v2", ["https://x.example/api/v2/"]),
        ("https://x.example/api/v2/", ["https://x.example/api/v2"]),
        ("https://x.example/a.php?mod=v2", ["https://x.example/a.php/?mod=v2"]),
    ],
)
def test_where_else_it_may_be(url: str, others: list[str]) -> None:
    assert list(other_paths(url)) == others


def test_schemes() -> None:
    assert other_scheme("http://x.example/a") == "https://x.example/a"
    assert other_scheme("https://x.example/a") is None  # the key would be shown to the network
    assert other_scheme("https://127.0.0.1:1/a") == "http://127.0.0.1:1/a"
    assert safe("http://x.example/a") == "https://x.example/a"
    assert safe("http://127.0.0.1/a") == "http://127.0.0.1/a"


@given(st.text(max_size=60) | st.from_regex(r"[a-z:/@.\[\]?0-9]{0,40}", fullmatch=True))
def test_any_text_is_a_url_or_has_a_problem(text: str) -> None:
    url = typed(text)
    if problem(url) is None:
        for other in (*other_paths(url), other_scheme(url) or url, safe(url)):
            assert problem(other) is None

"""The pure pieces of the command line: URLs, tokens, paths, a copy's header."""

import sqlite3
from pathlib import Path

import pytest

from watcher.cli.api_client import ApiClient, path_of
from watcher.cli.backup import database_problem


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:9466",
        "ftp://127.0.0.1",
        "http://",
        "http://user:secret@host",
        "http://host/?token=secret",
        "http://host:port",
        "http://[::1",
        "http://127.0.0.1:9466,ftp://127.0.0.1",
    ],
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- any words
        ApiClient(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("token", ["a\nb", "ключ", "a\x00"])
def test_a_token_that_is_none_is_not_shown(token: str) -> None:
    with pytest.raises(ValueError, match="the token has characters") as caught:
        ApiClient("http://127.0.0.1:1", token)
    assert token not in str(caught.value)


def test_a_url_may_have_a_path() -> None:
    assert ApiClient("https://example.com/watcher/").url == "https://example.com/watcher"


def test_names_are_quoted() -> None:
    assert path_of("orders", "genie", "a/b?c #") == "/v1/orders/genie/a%2Fb%3Fc%20%23"


@pytest.mark.parametrize("page", [512, 4096, 65536])
def test_a_copy_is_told_from_what_is_none(page: int, tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA page_size={page}")
    connection.execute("CREATE TABLE t (a)")
    connection.executemany("INSERT INTO t VALUES (?)", [("x" * 100,)] * 50)
    connection.commit()
    connection.close()
    raw = file.read_bytes()
    assert database_problem(raw[:100], len(raw)) is None
    assert database_problem(raw[:100], len(raw) - page) is not None
    assert database_problem(raw[:50], 50) is not None
    assert database_problem(b"", 0) is not None
    assert database_problem(b"<html>" + raw[6:100], len(raw)) is not None

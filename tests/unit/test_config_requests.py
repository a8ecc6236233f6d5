"""[panels.<name>.request]: how a panel is asked, whole or refused, and no secret in the open."""

from pathlib import Path

import pytest

from tests.support.tls import SERVER
from watcher.config import Config, Secrets, parse
from watcher.config.requests import merged, read_request
from watcher.config.toml_tables import TomlTables
from watcher.errors import ConfigError
from watcher.panels.dialect import PLAIN, Dialect
from watcher.panels.profiles import Profile, shipped

ENV = {
    "A_KEY": "key-of-a",
    "B_KEY": "key-of-b",
    "TOKEN": "tk-5e1f9c",
    "PROXY": "http://u:pw@p:3128",
}
PANELS = '[panels.a]\nprofile = "smmxz"\n[panels.b]\nurl = "https://example.com/api/v2"\n'
OF_B = PANELS + "[panels.b.request]\n"


def read(text: str, base: Path, env: dict[str, str] = ENV) -> Config:
    return parse(text, Secrets(env, base), base)


def problems(text: str, base: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, base)
    return caught.value.problems


def test_without_it_requests_are_plain(tmp_path: Path) -> None:
    assert [panel.request for panel in read(PANELS, tmp_path).panels.values()] == [PLAIN, PLAIN]


def test_every_key(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(SERVER.read_text())
    (tmp_path / "field").write_text("from-file\n")
    (tmp_path / "field").chmod(0o600)
    text = OF_B + (
        'body = "json"\nuser_agent = "Mozilla/5.0"\nca_file = "ca.pem"\n'
        'headers = { X-Token = { env = "TOKEN" }, Accept = "*/*" }\n'
        'fields = { source = "api", secret = { file = "field" } }\nproxy = { env = "PROXY" }\n'
    )
    assert read(text, tmp_path).panels["b"].request == Dialect(
        body="json",
        user_agent="Mozilla/5.0",
        headers={"X-Token": "tk-5e1f9c", "Accept": "*/*"},
        fields={"source": "api", "secret": "from-file"},
        ca=SERVER.read_text(),
        proxy="http://u:pw@p:3128",
    )


def test_defaults_are_for_all_and_headers_add_up(tmp_path: Path) -> None:
    text = (
        '[defaults.request]\nbody = "json"\nheaders = { X-A = "1", X-B = "2" }\n'
        + OF_B
        + 'body = "form"\nheaders = { x-b = "3" }\n'
    )
    panels = read(text, tmp_path).panels
    assert panels["a"].request == Dialect(body="json", headers={"X-A": "1", "X-B": "2"})
    assert panels["b"].request == Dialect(headers={"X-A": "1", "x-b": "3"})


def test_a_profile_says_it_too_and_goes_last(tmp_path: Path) -> None:
    tables = TomlTables(Secrets(ENV, tmp_path))
    profile = {"body": "json", "user_agent": "a", "fields": {"source": "api"}}
    base = merged(profile, {"user_agent": "b"})
    request = read_request(tables, {"fields": {"more": "1"}}, "x", base)
    assert request == Dialect(body="json", user_agent="b", fields={"source": "api", "more": "1"})
    assert tables.problems == []


@pytest.mark.parametrize("profile", shipped().values(), ids=lambda profile: profile.name)
def test_what_shipped_profiles_say_can_be_read(profile: Profile, tmp_path: Path) -> None:
    tables = TomlTables(Secrets({}, tmp_path))
    read_request(tables, profile.request, profile.name)
    assert tables.problems == []


def test_a_credential_goes_before_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-credentials")
    text = OF_B + 'headers = { X-Token = { file = "token" } }\n'
    panels = read(text, Path("/nowhere"), ENV | {"CREDENTIALS_DIRECTORY": str(tmp_path)}).panels
    assert panels["b"].request.headers == {"X-Token": "from-credentials"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('body = "xml"', "panels.b.request.body: "),
        ('heders = { X = "1" }', "panels.b.request.heders: there is no such key; did you mean"),
        ("headers = 1", "panels.b.request.headers: "),
        ("headers = { X = 1 }", "panels.b.request.headers.X: write a text in quotes"),
        ('headers = { "a b" = "1" }', "this is not a header's name"),
        ('headers = { "a:" = "1" }', "this is not a header's name"),
        ('headers = { X = "s3cret\\r\\nY: 1" }', "one line of visible ASCII"),
        ('headers = { X = "s3cret\\u0000" }', "one line of visible ASCII"),
        ('headers = { X = "s3crét" }', "one line of visible ASCII"),
        ('headers = { X = "s3cret", x = "s3cret" }', "headers.x: is given twice"),
        ("headers = { X = {} }", 'headers.X: write { env = "VARIABLE" }'),
        ('headers = { X = { env = "TOKEN", file = "x" } }', "headers.X: write { env"),
        ('headers = { X = { env = "NONE" } }', "headers.X: $NONE is not set"),
        ('headers = { X = { evn = "TOKEN" } }', "headers.X.evn: there is no such key; did you"),
        ("headers = { X = { env = 1 } }", "headers.X.env: write a text in quotes, not a whole"),
        ('headers = { X = { file = "none" } }', "none: No such file"),
        ('user_agent = ""', "panels.b.request.user_agent: a User-Agent is one line"),
        ('user_agent = "a\\nb"', "panels.b.request.user_agent: a User-Agent is one line"),
        ('fields = { "a b" = "s3cret" }', "a field's name is letters"),
        ('fields = { "order[]" = "s3cret" }', "a field's name is letters"),
        ('fields = { "a\\u0000" = "s3cret" }', "a field's name is letters"),
        ('ca_file = "none.pem"', "panels.b.request.ca_file: "),
        ('ca_file = "empty.pem"', "panels.b.request.ca_file: it holds no certificate"),
        ('proxy = "socks5://127.0.0.1:1"', 'a proxy is written "http://host:port"'),
        ('proxy = "127.0.0.1:3128"', 'a proxy is written "http://host:port"'),
        ('proxy = "http://p:99999"', 'a proxy is written "http://host:port"'),
        ('proxy = "http://p:1/path"', "nothing comes after the port"),
        ('proxy = "http://user:s3cret@p:1"', 'write proxy = { env = "VARIABLE" }'),
        ("proxy = 3128", "panels.b.request.proxy: write a text in quotes"),
    ],
)
def test_each_fault_is_told_with_its_place(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    found = problems(OF_B + text, tmp_path)
    assert any(problem in line for line in found), found
    assert all(line.startswith("panels.b.request") for line in found)
    assert "s3cr" not in str(found)


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "Content-Type", "User-Agent",
     "Proxy-Authorization", "Accept-Encoding", "Expect", "Upgrade", "TE", "Trailer"],
)  # fmt: skip
def test_headers_that_would_break_requests(name: str, tmp_path: Path) -> None:
    [found] = problems(OF_B + f'headers = {{ {name} = "1" }}', tmp_path)
    assert found.startswith(f"panels.b.request.headers.{name}: this header can't be set: ")


@pytest.mark.parametrize(
    "name",
    ["key", "action", "order", "orders", "refill", "refills", "service", "link", "quantity", "runs",
     "comments", "expiry", "KEY", "Action", "answer-number", "old_Posts", "oldposts"],
)  # fmt: skip
def test_fields_that_the_protocol_has(name: str, tmp_path: Path) -> None:
    [found] = problems(OF_B + f'fields = {{ {name} = "1" }}', tmp_path)
    assert (
        found == f"panels.b.request.fields.{name}: this field can't be set: watcher sends it itself"
    )


def test_all_faults_are_found_at_once_and_a_bad_default_once(tmp_path: Path) -> None:
    text = '[defaults.request]\nproxy = "x"\n' + OF_B + 'body = "xml"\nheaders = { Host = "x" }\n'
    found = problems(text, tmp_path)
    assert [line.partition(": ")[0] for line in found] == [
        "defaults.request.proxy",
        "panels.b.request.body",
        "panels.b.request.headers.Host",
    ]


def test_the_table_itself(tmp_path: Path) -> None:
    assert problems(PANELS + "request = 1", tmp_path) == [
        "panels.b.request: a table is expected here"
    ]
    [found] = problems(PANELS + "[panels.b.reqest]", tmp_path)
    assert "did you mean 'request'" in found


def test_a_query_in_the_url_is_kept(tmp_path: Path) -> None:
    url = "https://x.example/api.php?mod=v2&lang=en"
    config = read(f'[panels.a]\nurl = "{url}"\n', tmp_path)
    assert config.panels["a"].url == url


@pytest.mark.parametrize("query", ["key=s3cret", "api=1&Action=s3cret", "order=1"])
def test_but_none_with_what_every_request_has(query: str, tmp_path: Path) -> None:
    [found] = problems(f'[panels.a]\nurl = "https://x.example/api?{query}"\n', tmp_path)
    assert "can't be in the URL: watcher sends it itself" in found
    assert "s3cret" not in found


@pytest.mark.parametrize("url", ["https://x:99999/", "https://[x/", "https:///api", "x.example"])
def test_what_is_no_url(url: str, tmp_path: Path) -> None:
    [found] = problems(f'[panels.a]\nurl = "{url}"\n', tmp_path)
    assert "is not an http(s) URL" in found


def test_what_changed_is_seen_at_a_reload(tmp_path: Path) -> None:
    """Panels are compared as a whole: also a certificate or a token of another file."""
    ca = tmp_path / "ca.pem"
    ca.write_text(SERVER.read_text())
    text = OF_B + 'ca_file = "ca.pem"\nheaders = { X = { env = "TOKEN" } }\n'
    before = read(text, tmp_path).panels["b"]
    assert read(text, tmp_path).panels["b"] == before
    assert read(text, tmp_path, ENV | {"TOKEN": "tk-other"}).panels["b"] != before
    ca.write_text(SERVER.read_text() + "\n# renewed\n")
    assert read(text, tmp_path).panels["b"] != before


def test_nothing_of_it_is_shown(tmp_path: Path) -> None:
    text = OF_B + 'headers = { X = { env = "TOKEN" } }\nproxy = { env = "PROXY" }\n'
    panel = read(text, tmp_path).panels["b"]
    assert ENV["TOKEN"] not in repr(panel)
    assert "pw" not in repr(panel)

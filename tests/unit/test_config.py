"""The configuration: whole or refused, with every problem at once and no secret shown."""

import re
import tomllib
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.alerts import ON_REQUEST, AlertKind
from watcher.common import apprise_urls
from watcher.config import Config, Secrets, load, parse
from watcher.config.cluster import ClusterSection
from watcher.config.sections import (
    DaemonSection,
    EventsSection,
    NotifySection,
    PanelSection,
    RequestSection,
    RuleSection,
    ShopSection,
    Thresholds,
)
from watcher.config.values import Secret, duration
from watcher.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
ENV = {"A_KEY": "key-of-a", "B_KEY": "key-of-b"}
GOOD = """
[panels.a]
profile = "smmxz"
[panels.b]
url = "https://example.com/api/v2"
"""


def read(text: str, tmp_path: Path, env: dict[str, str] = ENV) -> Config:
    return parse(text, Secrets(env, tmp_path), tmp_path)


def problems(text: str, tmp_path: Path, env: dict[str, str] = ENV) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, tmp_path, env)
    return caught.value.problems


def test_defaults_reach_every_panel_and_a_panel_overrides_them(tmp_path: Path):
    text = '[defaults]\ncheck_within = "5m"\ntimeout = "3s"\n' + GOOD + 'timeout = "7s"\n'
    config = read(text, tmp_path)
    assert config.panels["a"].settings.check_within == 300
    assert config.panels["a"].settings.timeout == 3
    assert config.panels["b"].settings.timeout == 7
    assert config.panels["a"].url == "https://my.smmxz.com/api/v2"
    assert config.database == tmp_path / "watcher.db"
    assert (config.host, config.port) == ("127.0.0.1", 9466)


def test_ten_faults_give_ten_messages(tmp_path: Path):
    text = """
[daemon]
listen = "0.0.0.0:99999"
databse = "x"
[defaults]
check_within = "3 weeks"
requests_per_minute = -1
[panels.a]
profile = "genzsmm"
[panels.b]
profile = "nope"
[panels.c]
url = "http://example.com/api"
key_env = "A_KEY"
[[rules]]
name = "x"
action = "cancel"
panels = ["a"]
when = "order.staus == 'x'"
[[rules]]
action = "frob"
when = "true"
"""
    found = problems(text, tmp_path)
    assert len(found) == 10, "\n".join(found)
    for start in (
        "daemon.databse: there is no such key; did you mean 'database'?",
        "daemon.listen: '0.0.0.0:99999'",
        "defaults.check_within: '3 weeks'",
        "defaults.requests_per_minute",
        "panels.b.profile: there is no 'nope'",
        "panels.c.url: http://",
        "rules[1].panels: rule 'x': panel 'a' can't cancel",
        "rules[1].when: rule 'x': there is no order.staus",
        "rules[2].action",
        "rules[2].name: is missing",
    ):
        assert any(line.startswith(start) for line in found), start


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[panels", "Expected ']'"),
        ("", "panels: there is none"),
        ("panels = 1", "write [panels]"),
        ("[panels]\na = 1", "write [panels.a]"),
        (GOOD + "lacks = ['frob']", "panels.b.lacks: there is no 'frob'"),
        (GOOD + "lacks = ['status']", "can't be watched"),
        (GOOD + "low_balance = 25.0", "panels.b.low_balance: 25.0 needs quotes"),
        (GOOD + "low_balance = '-1'", "'-1' is not an amount"),
        (GOOD + "timeout = 20", "20 needs quotes"),
        (GOOD + "batch = 0", "panels.b.batch"),
        ("[panels.a]\n", "panels.a.url: profile 'standard' has no URL"),
        ("[panels.c]\nprofile='smmxz'", "panels.c.key_env: no key: set $C_KEY"),
        ("[panels.'a b']\nprofile='smmxz'\nkey_env='A_KEY'", "a panel's name is letters"),
        ("[daemon]\nlisten='0.0.0.0:1'\n" + GOOD, "that needs a token_file"),
        ("[daemon]\ntoken_file='none'\n" + GOOD, "none: No such file"),
        ("[daemon]\nallowed_hosts=['https://x.example']\n" + GOOD, "'https://x.example' is not"),
        ("[daemon]\nallowed_hosts=['*.x.example', 'x:99999']\n" + GOOD, "'x:99999' is not"),
        (GOOD + "url2 = 'x'", "did you mean 'url'"),
        (GOOD.replace("https://ex", "https://user:pw@ex"), "may hold a secret"),
        (GOOD.replace("https://ex", "ftp://ex"), "is not an http(s) URL"),
        ("[[panels]]\n", "write [panels]"),
        (GOOD + "[rules]\n", "write [[rules]]"),
        (GOOD + "[[notify]]\nurl_env = 'X'\non = ['fire']", "there is no 'fire'"),
        (GOOD + "[[rules]]\nname='r'\naction='refill'\nwhen='true'\n" * 2, "used twice"),
        (
            GOOD + "[[rules]]\nname='r'\naction='refil'\nwhen='true'\n",
            "there is no 'refil'; did you mean 'refill'? there are: refill, cancel, notify",
        ),
        (GOOD + "[[shops]]\nrights=['read', 'all']\n", "there is no 'all'; there are: read, order"),
        (
            GOOD + "[[rules]]\nname='r'\naction='refill'\nwhen='true'\ndry_run='true'\n",
            "write true or false, not a text in quotes",
        ),
        (
            "[panels.a]\nprofile='genzsmm'\n"
            "[[rules]]\nname='r'\naction='cancel'\nwhen='order.age > duration(\"1h\")'",
            "no panel's API can cancel",
        ),
    ],
)
def test_each_fault_is_told_with_its_place(text: str, problem: str, tmp_path: Path):
    found = problems(text, tmp_path)
    assert any(problem in line for line in found), found


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_is_refused(text: str):
    with pytest.raises(ConfigError):
        parse(text, Secrets({}, Path()), Path())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("name = secret-word", '(at line 1, column 8): a text needs quotes, as name = "…"'),
        ("name =", "name has no value"),
        ('name = "secret-word', "the text has no quote at its end"),
        ("name", "at line 1"),
        ("[a]\n[a]", "twice"),
    ],
)
def test_what_is_no_toml_is_told_without_the_value(line: str, told: str, tmp_path: Path):
    (problem,) = problems(f"{line}\n", tmp_path)
    assert told in problem
    assert "secret" not in problem


def test_a_rule_is_for_every_panel_that_can_unless_told_otherwise(tmp_path: Path):
    rule = "[[rules]]\nname='r'\naction='cancel'\nwhen='order.age > duration(\"1h\")'\n"
    text = GOOD + "[panels.g]\nprofile='genzsmm'\nkey_env='A_KEY'\n" + rule
    assert read(text, tmp_path).rules[0].panels == {"a", "b"}


def test_has_lacks_and_batch_alter_the_profile(tmp_path: Path):
    text = "[panels.a]\nprofile='smmgenie'\nhas=['cancel']\nlacks=['multi_status']\nbatch=50\n"
    profile = read(text, tmp_path).panels["a"].profile
    assert profile.can("cancel")
    assert not profile.can("multi_status")
    assert profile.batch == 50


def test_secrets_come_from_credentials_then_files_then_the_environment(tmp_path: Path):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "a.key").write_text("from-credentials\n")
    (tmp_path / "b.key").write_text("from-file\n")
    (tmp_path / "b.key").chmod(0o600)
    env = {**ENV, "CREDENTIALS_DIRECTORY": str(credentials)}
    config = read(GOOD + "key_file = 'b.key'\n", tmp_path, env)
    assert config.panels["a"].key.reveal() == "from-credentials"
    assert config.panels["b"].key.reveal() == "from-file"
    assert read(GOOD, tmp_path).panels["b"].key.reveal() == "key-of-b"


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path):
    (tmp_path / "b.key").write_text("secret-in-file")
    (tmp_path / "b.key").chmod(0o644)
    (found,) = problems(GOOD + "key_file = 'b.key'\n", tmp_path)
    assert "chmod 600" in found
    assert "secret-in-file" not in found


@pytest.mark.parametrize("listen", ["0.0.0.0:9466", "[::]:9466", "192.0.2.1:9466", "host:9466"])
def test_off_loopback_a_token_has_16_characters_or_more(tmp_path: Path, listen: str):
    token = tmp_path / "api.token"
    token.touch(0o600)
    text = f"[daemon]\nlisten = '{listen}'\ntoken_file = 'api.token'\n" + GOOD
    token.write_text("x" * 15)
    (found,) = problems(text, tmp_path)
    assert found.startswith("daemon.token_file: the token is shorter than the 16 characters")
    assert "xxx" not in found
    token.write_text("x" * 16)
    assert read(text, tmp_path).token == Secret("x" * 16)
    token.write_text("short")
    assert read(text.replace(listen, "127.0.0.1:9466"), tmp_path).token == Secret("short")


def test_a_token_that_no_header_can_carry_is_refused(tmp_path: Path):
    token = tmp_path / "api.token"
    token.touch(0o600)
    for odd in ("two words of a token", "line\nbreak-in-the-token", "umläute-im-token-drin"):
        token.write_text(odd)
        (found,) = problems("[daemon]\ntoken_file = 'api.token'\n" + GOOD, tmp_path)
        assert "visible ASCII characters" in found
        assert odd not in found


def test_no_secret_is_shown(tmp_path: Path):
    config = read(GOOD, tmp_path)
    assert "key-of-a" not in repr(config)
    assert "key-of-a" not in f"{config.panels['a'].key}"
    assert Secret("x") == Secret("x") != Secret("y")


def test_a_file_that_is_not_there_or_no_text_is_one_line(tmp_path: Path):
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml", {})
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bytes\.toml"):
        load(tmp_path / "bytes.toml", {})


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("30d", 30 * 86400)]
)
def test_durations(text: str, seconds: int):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "1.5h", "-1h", "0s", "1m1h", "9999999d", "1 h"])
def test_what_is_no_duration(text: str):
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        duration(text)


# --- [[notify]] and [[events]] ------------------------------------------------------------------

SIGNED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOLD = {
    **ENV,
    "ALERT_URL": "https://push.example/s3cret-topic",
    "SHOP_SECRET": SIGNED,
    "BAD_SECRET": "whsec_s3cret",
    "LAN_URL": "http://192.0.2.1/s3cret",
    "NO_URL": "s3cret:token",
    "NO_HOST": "https:///s3cret",
    "CHAT_URL": "json://127.0.0.1:9/s3cret",
    "ODD_URL": "nosuchservice://s3cret",
}


def test_targets_have_names_events_and_secrets(tmp_path: Path):
    text = (
        GOOD + "[[notify]]\nurl_env='ALERT_URL'\non=['panel_down']\nrepeat_every='1h'\n"
        "[[notify]]\nname='alert'\n[[events]]\nname='shop'\nurl_env='ALERT_URL'\n"
        "secret_env='SHOP_SECRET'\npanels=['a']\n[[events]]\nurl_env='ALERT_URL'\n"
    )
    config = read(text, tmp_path, TOLD)
    one, other = config.notify
    assert (one.name, other.name) == ("notify1", "alert")
    assert one.url == other.url == Secret(TOLD["ALERT_URL"])
    assert (one.on, one.repeat_every, one.secret) == ({"panel_down"}, 3600.0, None)
    assert (other.on, other.repeat_every) == (set(AlertKind) - ON_REQUEST, 86400.0)
    shop, events2 = config.events
    assert (shop.name, shop.secret, shop.panels) == ("shop", Secret(SIGNED), {"a"})
    assert (events2.name, events2.on, events2.panels) == ("events2", {"status", "progress"}, None)
    assert "s3cret" not in repr(config)


def test_a_targets_credentials_go_before_the_environment(tmp_path: Path):
    (tmp_path / "phone.url").write_text("https://push.example/from-credentials\n")
    (tmp_path / "phone.secret").write_text(SIGNED)
    env = {**TOLD, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    text = GOOD + "[[notify]]\nname='phone'\nurl_env='ALERT_URL'\n"
    (target,) = read(text, tmp_path, env).notify
    assert target.url == Secret("https://push.example/from-credentials")
    assert target.secret == Secret(SIGNED)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[[notify]]\nurl_env='X'\n",
            "notify[1].url_env: no URL: set $X, or credential",
        ),
        ("[[notify]]\nname='a b'\nurl_env='ALERT_URL'\n", "notify[1].name: a name is letters"),
        ("[[notify]]\nurl_env='ALERT_URL'\nname='x'\n" * 2, "notify[2].name: 'x' is used twice"),
        ("[[notify]]\nurl_env='LAN_URL'\n", "notify[1].url_env: http:// shows all"),
        ("[[notify]]\nurl_env='NO_URL'\n", "notify[1].url_env: its value is not a URL"),
        ("[[notify]]\nurl_env='NO_HOST'\n", "notify[1].url_env: its value is not an http"),
        ("[[notify]]\nurl_env='ODD_URL'\n", "notify[1].url_env: Apprise does not understand"),
        (
            "[[notify]]\nurl_env='CHAT_URL'\nsecret_env='SHOP_SECRET'\n",
            "notify[1].secret_env: only messages to an http(s) URL are signed",
        ),
        (
            "[[notify]]\nurl_env='ALERT_URL'\nsecret_env='BAD_SECRET'\n",
            "notify[1].secret_env: it is not whsec_ and Base64",
        ),
        (
            "[[notify]]\nurl_env='ALERT_URL'\nsecret_env='NONE'\n",
            "notify[1].secret_env: no secret: set $NONE",
        ),
        ("[[events]]\nurl_env='CHAT_URL'\n", "events[1].url_env: events go to an http(s) URL only"),
        ("[[events]]\nurl_env='ALERT_URL'\non=['moved']\n", "events[1].on: there is no 'moved'"),
        ("[[events]]\nurl_env='ALERT_URL'\npanels=['c']\n", "events[1].panels: there is no panel"),
        (
            "[[notify]]\nname='x'\nurl_env='ALERT_URL'\n"
            "[[events]]\nname='x'\nurl_env='ALERT_URL'\n",
            "events[1].name: 'x' is used twice",
        ),
    ],
)
def test_what_is_wrong_with_a_target(text: str, problem: str, tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        read(GOOD + text, tmp_path, TOLD)
    assert any(problem in line for line in caught.value.problems), caught.value.problems
    assert "s3cret" not in str(caught.value)


HEADERS = "[[events]]\nname='shop'\nurl_env='LAN_URL'\nallow_http=true\nheaders={ %s }\n"


def test_events_have_headers_from_the_environment_or_a_file(tmp_path: Path):
    (tmp_path / "auth").write_text("Bearer s3cret-of-a-file\n")
    (tmp_path / "auth").chmod(0o600)
    given = "X-A = { env = 'AUTH' }, Authorization = { file = 'auth' }, X-Source = 'watcher'"
    config = read(GOOD + HEADERS % given, tmp_path, {**TOLD, "AUTH": "s3cret-of-a-variable"})
    (target,) = config.events
    assert {name: value.reveal() for name, value in target.headers.items()} == {
        "X-A": "s3cret-of-a-variable",
        "Authorization": "Bearer s3cret-of-a-file",
        "X-Source": "watcher",
    }
    assert "s3cret" not in repr(target)
    known = config.secrets()
    assert {"s3cret-of-a-variable", "s3cret-of-a-file", "Bearer s3cret-of-a-file"} <= set(known)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("'X A' = 'a'", "this is not a header's name"),
        ("Content-Type = 'a'", "this header can't be set: watcher sets it"),
        ("Webhook-Id = 'a'", "this header can't be set: watcher sets it"),
        ("Host = 'a'", "this header can't be set: watcher sets it"),
        ("X-A = { env = 'NOT_SET' }", "$NOT_SET is not set"),
        ("X-A = { env = 'LINES' }", "one line of visible ASCII characters"),
        ("X-A = 'a', x-a = 'b'", "is given twice"),
        ("X-A = 5", "write a text in quotes"),
    ],
)
def test_what_is_wrong_with_a_header_of_events(given: str, problem: str, tmp_path: Path):
    env = {**TOLD, "LINES": "s3cret\r\nX-B: 1"}
    with pytest.raises(ConfigError) as caught:
        read(GOOD + HEADERS % given, tmp_path, env)
    (line,) = caught.value.problems
    assert line.startswith("events[1].headers")
    assert problem in line
    assert "s3cret" not in line


def test_http_to_another_machine_can_be_allowed(tmp_path: Path):
    text = GOOD + "[[notify]]\nurl_env='LAN_URL'\nallow_http=true\n"
    assert read(text, tmp_path, TOLD).notify[0].url == Secret(TOLD["LAN_URL"])


def test_without_apprise_its_urls_are_an_error_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(apprise_urls, "is_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"Apprise: pip install 'watcher\[notify\]'"):
        read(GOOD + "[[notify]]\nurl_env='CHAT_URL'\n", tmp_path, TOLD)


# --- config.example.toml ------------------------------------------------------------------------


def test_the_example_is_accepted_as_it_stands():
    config = load(EXAMPLE, {"SMMGENIE_KEY": "k", "MYXZ_KEY": "k"})
    assert config.panels["smmgenie"].settings.low_balance == Decimal("25.00")


def test_the_example_names_every_key():
    text = EXAMPLE.read_text()
    for section in (
        DaemonSection,
        Thresholds,
        PanelSection,
        RequestSection,
        RuleSection,
        NotifySection,
        EventsSection,
        ShopSection,
        ClusterSection,
    ):
        for field in msgspec.structs.fields(section):
            assert re.search(rf"(?m)^(# )?{field.name} = ", text), (
                f"{section.__name__}.{field.name}"
            )


def test_the_example_shows_the_true_defaults():
    """What is commented out in [daemon], [defaults] and [[rules]] is what holds without it."""
    text = EXAMPLE.read_text()
    sections = re.split(r"(?m)^(?:# )?(\[+[\w.]+\]+)", text)
    shown = {}
    for head, body in zip(sections[1::2], sections[2::2], strict=True):
        for key, value in re.findall(r"(?m)^# (\w+) = (.*?)\s*(?:#.*)?$", body):
            shown.setdefault((head.strip("[]").split(".")[0], key), value)
    kinds = {
        "daemon": DaemonSection,
        "attention": Thresholds,
        "defaults": PanelSection,
        "rules": RuleSection,
        "notify": NotifySection,
        "events": EventsSection,
    }
    checked = 0
    for (head, key), value in shown.items():
        fields = {f.name: f for f in msgspec.structs.fields(kinds[head])} if head in kinds else {}
        if key not in fields or key in ("token_file", "panels") or fields[key].default is None:
            continue  # there is no default to show
        if (head, key) == ("notify", "on"):
            continue  # it goes on over lines
        field = fields[key]
        default = field.default
        written = msgspec.convert(
            tomllib.loads(f"v = {value}")["v"],
            field.type,
            dec_hook=lambda kind, text: duration(text),
        )
        assert written == default, f"{head}.{key}"
        checked += 1
    assert checked >= 24


def test_a_rule_whose_condition_takes_too_long_is_named(tmp_path: Path):
    when = "[1].all(a, [1].all(b, [1].all(c, true)))"
    rule = f'[[rules]]\nname = "slow"\naction = "notify"\nwhen = "{when}"\n'
    (problem,) = problems(GOOD + rule, tmp_path)
    assert problem.startswith("rules[1].when: rule 'slow': takes too long to evaluate")
    assert "simplify" in problem


def test_of_refills_that_rules_ask_for_a_target_is_told_only_where_it_says_so(tmp_path: Path):
    env = {**ENV, "A_URL": "https://example.com/a", "B_URL": "https://example.com/b"}
    text = GOOD + '[[notify]]\nname = "a"\n[[notify]]\nname = "b"\non = ["refill_rejected"]\n'
    quiet, loud = read(text, tmp_path, env).notify
    assert quiet.on > loud.on
    assert (quiet.on_rules_refusals, loud.on_rules_refusals) == (False, True)

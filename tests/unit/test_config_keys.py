"""[[keys]]: every fault is told, no secret is shown, and the example is accepted."""

import re
from pathlib import Path

import pytest

from watcher.config import Config, Right, Secrets, parse
from watcher.errors import ConfigError

SECRET = "0123456789abcdef"
ENV = {
    "A_KEY": "key-of-a",
    "API_BOT_KEY": SECRET,
    "API_OTHER_KEY": "fedcba9876543210",
    "SHORT": "short",
    "BLANK": "a key with blanks in",
    "SHOP_MAIN_KEY": "the-key-of-a-shop",
}
PANELS = '[panels.a]\nprofile = "smmxz"\n'
BOT = '[[keys]]\nname = "bot"\n'


def read(text: str, tmp_path: Path, **env: str) -> Config:
    return parse(PANELS + text, Secrets({**ENV, **env}, tmp_path), tmp_path)


def problems(text: str, tmp_path: Path, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, tmp_path, **env)
    assert SECRET not in str(caught.value)
    return caught.value.problems


def test_a_key_with_the_least_that_it_needs(tmp_path: Path) -> None:
    config = read(f'{BOT}rights = ["read", "check"]\n', tmp_path)
    (key,) = config.keys
    assert (key.name, key.rights, key.panels) == ("bot", {Right.READ, Right.CHECK}, None)
    assert key.requests_per_minute == 300
    assert SECRET not in repr(key)
    assert SECRET in config.secrets(), "logs redact it"


def test_the_secret_comes_from_a_credential_or_a_file_first(tmp_path: Path) -> None:
    for name, text in (("api-bot.key", "of-the-credential"), ("bot.key", "of-the-secret-file")):
        (tmp_path / name).write_text(f"{text}\n")
        (tmp_path / name).chmod(0o600)
    text = f'{BOT}rights = ["read"]\nkey_file = "bot.key"\n'
    assert read(text, tmp_path).keys[0].secret.reveal() == "of-the-secret-file"
    (key,) = read(text, tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path)).keys
    assert key.secret.reveal() == "of-the-credential"
    (tmp_path / "bot.key").chmod(0o644)
    assert "can be read by others" in problems(text, tmp_path)[0]


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ('rights = ["read"]', "keys[1].name: is missing"),
        ('name = ""\nrights = ["read"]', "keys[1].name: a key's name is letters"),
        ('name = "a b"\nrights = ["read"]', "keys[1].name: a key's name is letters"),
        ('name = "token"\nrights = ["read"]', "keys[1].name: 'token' is watcher's own word"),
        ('name = "bot"', "keys[1].rights: is missing"),
        ('name = "bot"\nrights = []', "keys[1].rights: is empty"),
        (
            'name = "bot"\nrights = ["reed"]',
            "keys[1].rights: there is no 'reed'; did you mean 'read'? there are: read, check, act,",
        ),
        ('name = "bot"\nrights = "read"', "keys[1].rights: write a list in [ ], not a text"),
        ('name = "bot"\nrights = ["read"]\npanels = ["b"]', "keys[1].panels: there is no panel"),
        ('name = "bot"\nrights = ["read"]\npanels = []', "keys[1].panels: is empty"),
        ('name = "bot"\nrights = ["read"]\nkey = "x"', "keys[1].key: there is no such key"),
        ('name = "bot"\nrights = ["read"]\nrate = 5', "keys[1].rate: there is no such key"),
        ('name = "no"\nrights = ["read"]', "keys[1].key_env: no key: set $API_NO_KEY"),
        ('name = "bot"\nrights = ["read"]\nkey_env = "SHORT"', "keys[1]: the secret is shorter"),
        ('name = "bot"\nrights = ["read"]\nkey_env = "BLANK"', "keys[1]: the secret is to be"),
        (
            'name = "bot"\nrights = ["read"]\nrequests_per_minute = 0',
            "keys[1].requests_per_minute: Expected",
        ),
    ],
)
def test_every_fault_is_told(tmp_path: Path, key: str, problem: str) -> None:
    found = problems(f"[[keys]]\n{key}\n", tmp_path)
    assert any(told.startswith(problem) for told in found), found


def test_what_is_there_twice_is_told(tmp_path: Path) -> None:
    two = f'{BOT}rights = ["read"]\n'
    assert problems(two + two, tmp_path)[0] == "keys[2].name: 'bot' is used twice"
    other = '[[keys]]\nname = "other"\nrights = ["act"]\nkey_env = "API_BOT_KEY"\n'
    assert problems(two + other, tmp_path) == [
        "keys[2]: has the secret of key 'bot': each needs its own"
    ]
    of_panel = '[[keys]]\nname = "x"\nrights = ["act"]\nkey_env = "LONG"\n'
    assert problems(of_panel, tmp_path, A_KEY="k" * 16, LONG="k" * 16) == [
        "keys[1]: has the secret of panel 'a': each needs its own"
    ]
    shop = '[[shops]]\nname = "main"\nkey_env = "API_BOT_KEY"\n'
    assert problems(shop + two, tmp_path) == [
        "keys[1]: has the secret of shop 'main': each needs its own"
    ]
    (tmp_path / "api.token").write_text(SECRET)
    (tmp_path / "api.token").chmod(0o600)
    assert problems('[daemon]\ntoken_file = "api.token"\n' + two, tmp_path) == [
        "keys[1]: has the secret of the token_file: each needs its own"
    ]


def test_the_example_is_accepted(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "config.example.toml").read_text()
    found = re.search(r"(?m)^# \[\[keys\]\]\n(?:# .*\n)+", text)
    assert found is not None
    shown = re.sub(r"(?m)^# (key_file.*)?", "", found[0]).replace('"smmgenie"', '"a"')
    (key,) = read(shown, tmp_path, API_REPORTS_KEY="another-long-secret").keys
    assert key.panels == {"a"}

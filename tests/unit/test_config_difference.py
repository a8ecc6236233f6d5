"""What a reload says that it changed."""

from pathlib import Path

from watcher.config import Config, Secrets, parse, reloaded

PANELS = """
[panels.a]
url = "https://a.example/api/v2"
[panels.b]
url = "https://b.example/api/v2"
"""
RULE = """
[[rules]]
name = "refill daily"
action = "refill"
when = "order.status == 'completed'"
panels = ["a"]
"""
NOTIFY = '[[notify]]\nname = "phone"\n'


def config(text: str, **env: str) -> Config:
    given = {"A_KEY": "key-of-a", "B_KEY": "key-of-b", "C_KEY": "key-of-c", **env}
    given["PHONE_URL"] = "https://ntfy.example/topic"
    return parse(text, Secrets(given, Path()), Path())


def changed(before: str, after: str, **env: str) -> list[str]:
    return reloaded(config(before), config(after, **env)).changed


def test_nothing() -> None:
    outcome = reloaded(config(PANELS + RULE + NOTIFY), config(PANELS + RULE + NOTIFY))
    assert (outcome.problems, outcome.changed, outcome.restart) == ([], [], [])


def test_what_came_and_went() -> None:
    other = PANELS.replace("panels.b", "panels.c") + NOTIFY
    assert changed(PANELS + RULE, other) == [
        "panel b: removed",
        "rule 'refill daily': removed",
        "panel c: added",
        "notify phone: added",
    ]


def test_settings_are_named() -> None:
    after = PANELS.replace("b.example", "c.example") + RULE.replace("completed", "partial")
    assert changed(PANELS + RULE, after + "dry_run = true\n") == [
        "panel b: url",
        "rule 'refill daily': when, dry_run",
    ]
    assert changed(PANELS, '[defaults]\ncheck_within = "5m"\n' + PANELS) == [
        "panel a: check_within",
        "panel b: check_within",
    ]
    assert changed(PANELS, '[attention]\nbackup_age = "7d"\n' + PANELS) == ["attention: backup_age"]


def test_a_new_key_is_named_and_not_shown() -> None:
    assert changed(PANELS, PANELS, A_KEY="another-key") == ["panel a: key"]


def test_what_waits_for_a_restart() -> None:
    after = '[daemon]\nlog_level = "debug"\nstop_timeout = "5s"\n' + PANELS
    outcome = reloaded(config(PANELS), config(after))
    assert outcome.changed == ["daemon: stop_timeout, log_level"]
    assert outcome.restart == ["daemon.log_level"]

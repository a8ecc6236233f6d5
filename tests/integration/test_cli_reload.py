"""`watcher reload`, and the call of the API behind it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli_daemon import CannedDaemon
from tests.support.house import a_house, config_text
from watcher.config import load
from watcher.errors import ConfigError
from watcher.web.panel_shapes import ReloadAnswer

RULE = '[[rules]]\nname = "r"\naction = "refill"\nwhen = "order.status == \'completed\'"\n'


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        yield canned


async def test_it_takes_over_and_says_what_changed(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        assert await house.call("POST", "/v1/reload") == {"changed": [], "restart": []}
        house.path.write_text(
            config_text(house.panels, rules=RULE).replace(
                "[daemon]\n", '[daemon]\nlog_level = "debug"\n'
            )
        )
        answer = await house.call("POST", "/v1/reload")
        assert answer["changed"] == ["daemon: log_level", "rule 'r': added"]
        assert answer["restart"] == ["daemon.log_level"]
        assert [rule.name for rule in house.daemon.rule_engine.rules] == ["r"]


async def test_a_refusal_has_every_problem_that_check_config_prints(tmp_path: Path) -> None:
    async with a_house(tmp_path, rules=RULE) as house:
        rules = house.daemon.rule_engine.rules
        house.path.write_text(house.path.read_text().replace("order.status", "ordr") + "x = 1\n")
        with pytest.raises(ConfigError) as wrong:
            load(house.path, house.env)
        assert len(wrong.value.problems) == 2
        answer = await house.call("POST", "/v1/reload", status=422)
        assert answer["error"]["code"] == "config_refused"
        assert answer["error"]["message"].splitlines() == wrong.value.problems
        assert house.daemon.rule_engine.rules == rules
        assert house.daemon.config.problems == wrong.value.problems


async def test_what_needs_a_restart_is_refused_whole(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        text = re.sub("database = .*", 'database = "b.db"', house.path.read_text())
        house.path.write_text(text + RULE)
        answer = await house.call("POST", "/v1/reload", status=422)
        assert answer["error"]["message"] == "daemon.database: a change needs a restart"
        assert house.daemon.rule_engine.rules == ()


async def test_it_needs_the_token(tmp_path: Path) -> None:
    token = tmp_path / "api.token"
    token.write_text("token-of-the-tests")
    token.chmod(0o600)
    async with a_house(tmp_path) as house:
        text = house.path.read_text().replace("[daemon]", f'[daemon]\ntoken_file = "{token}"')
        house.path.write_text(text)
        await house.call("POST", "/v1/reload")
        await house.call("POST", "/v1/reload", status=401)


def test_what_changed_is_printed(daemon: CannedDaemon) -> None:
    daemon.put("POST /v1/reload", ReloadAnswer(["panel a: url"], ["daemon.log_level"]))
    result = daemon.watcher("reload")
    assert (result.exit_code, result.stdout) == (0, "reloaded\npanel a: url\n")
    assert result.stderr == "a restart is needed for daemon.log_level\n"
    raw = json.loads(daemon.watcher("reload", "--json").stdout)
    assert raw == {"changed": ["panel a: url"], "restart": ["daemon.log_level"]}
    daemon.put("POST /v1/reload", ReloadAnswer([], []))
    assert "nothing in the configuration has changed" in daemon.watcher("reload").stdout


def test_every_problem_is_a_line(daemon: CannedDaemon) -> None:
    daemon.refuse("POST /v1/reload", 422, "config_refused", "a.toml: x: no\na.toml: y: no")
    result = daemon.watcher("reload")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "a.toml: x: no",
        "a.toml: y: no",
        "nothing was changed: the daemon keeps its old configuration",
    ]
    as_json = daemon.watcher("reload", "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout) == {"problems": ["a.toml: x: no", "a.toml: y: no"]}


def test_a_daemon_that_refuses_the_request(daemon: CannedDaemon) -> None:
    daemon.refuse("POST /v1/reload", 401, "unauthorized", "a token is required")
    assert daemon.watcher("reload").exit_code == 1
    assert daemon.watcher("reload", "--url", "http://127.0.0.1:1").exit_code == 3

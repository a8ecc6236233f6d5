"""`watcher check-config`, offline and against simulated panels; `run` and `demo` as wired."""

import gc
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.integration.cli_daemon import CannedDaemon, in_thread
from watcher.cli import app
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel, Trait

GOOD = """
[panels.smmgenie]
profile = "smmgenie"
low_balance = "25.00"

[[rules]]
name = "refill daily"
action = "refill"
when = "order.status == 'completed' && service.refill"
every = "24h"
dry_run = true
"""


def watcher(*args: object, **env: str) -> Result:
    given = {"COLUMNS": None, "STATE_DIRECTORY": None, "SMMGENIE_KEY": "k", "OTHER_KEY": "k", **env}
    return CliRunner().invoke(app, tuple(map(str, args)), env=given)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "watcher.toml"
    file.write_text(text)
    return file


KEYS = """
[[keys]]
name = "reports"
rights = ["check", "read"]
panels = ["smmgenie"]
[[keys]]
name = "bot"
rights = ["submit"]
requests_per_minute = 30
"""


def test_keys_are_listed_with_their_rights_and_without_their_secrets(tmp_path: Path) -> None:
    secrets = {"API_REPORTS_KEY": "a-secret-of-reports", "API_BOT_KEY": "a-secret-of-the-bot"}
    file = written(tmp_path, GOOD + KEYS)
    result = watcher("check-config", file, **secrets)
    assert result.exit_code == 0, result.output
    assert re.search(r"reports +read, check +smmgenie +300", result.stdout)
    assert re.search(r"bot +submit +all +30", result.stdout)
    assert "no key has 'admin'" in result.stderr
    assert "a-secret" not in result.output
    document = json.loads(watcher("check-config", file, "--json", **secrets).stdout)
    assert document["keys"][0] == {
        "name": "reports",
        "rights": ["read", "check"],
        "panels": ["smmgenie"],
        "requests_per_minute": 300,
    }


def test_a_good_one_is_summed_up(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD)
    result = watcher("check-config", file)
    assert (result.exit_code, result.stderr) == (0, "")
    for text in (
        f"{file} is good",
        str(tmp_path / "watcher.db"),
        "127.0.0.1:9466, no token",
        "smmgenie",
        "https://smmgenie.com/api/v2",
        "refill_status",
        "refill daily  refill (dry run)  once in 1d",
    ):
        assert text in result.stdout


def test_how_a_panel_is_asked_is_summed_up_without_its_secrets(tmp_path: Path) -> None:
    text = GOOD.replace('profile = "smmgenie"', 'url = "https://x.example/api?t=s3cret-query"')
    text += """
[panels.smmgenie.request]
body = "json"
user_agent = "Mozilla/5.0"
headers = { X-Token = "s3cret-header", X-Other = { env = "TOKEN" } }
fields = { source = "s3cret-field" }
proxy = { env = "PROXY" }
"""
    env = {"TOKEN": "s3cret-token", "PROXY": "http://somebody:s3cret-pw@p.example:3128"}
    file = written(tmp_path, text)
    result = watcher("check-config", file, **env)
    assert (result.exit_code, result.stderr) == (0, "")
    assert (
        "smmgenie is asked with: body json; user_agent Mozilla/5.0; headers X-Other, X-Token;"
        " fields source; proxy p.example:3128" in result.stdout
    )
    assert "https://x.example/api?…" in result.stdout
    as_json = watcher("check-config", file, "--json", **env)
    [panel] = json.loads(as_json.stdout)["panels"]
    assert panel["request"] == {
        "body": "json",
        "user_agent": "Mozilla/5.0",
        "headers": ["X-Other", "X-Token"],
        "fields": ["source"],
        "proxy": "p.example:3128",
    }
    assert "s3cret" not in result.stdout + as_json.stdout


def test_a_redirection_says_which_url_to_use(tmp_path: Path) -> None:
    panel = SimulatedPanel(shipped()["smmgenie"], key="k", traits=[Trait.REDIRECTS_SLASH])
    with in_thread(panel):
        text = GOOD.replace('profile = "smmgenie"', f'profile = "smmgenie"\nurl = "{panel.url}"')
        result = watcher("check-config", written(tmp_path, text), "--online")
        assert result.exit_code == 1
        assert f"it redirects to {panel.url}/: use that as url" in result.stderr
        file = written(tmp_path, text.replace(panel.url, f"{panel.url}/"))
        assert watcher("check-config", file, "--online").exit_code == 0


def test_a_web_firewall_is_named_with_what_helps(tmp_path: Path) -> None:
    panel = SimulatedPanel(shipped()["smmgenie"], key="k", traits=[Trait.WANTS_USER_AGENT])
    with in_thread(panel):
        text = GOOD.replace('profile = "smmgenie"', f'profile = "smmgenie"\nurl = "{panel.url}"')
        result = watcher("check-config", written(tmp_path, text), "--online")
        assert result.exit_code == 1
        assert "set user_agent in [panels.smmgenie.request]" in result.stderr
        text += '[panels.smmgenie.request]\nuser_agent = "Mozilla/5.0"\n'
        assert watcher("check-config", written(tmp_path, text), "--online").exit_code == 0


def test_the_file_of_this_directory_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (("check-config",), ("run",), ("restore", "a.db"), ("disown",)):
        result = watcher(*command)
        assert (result.exit_code, result.stdout) == (1, "")
        (line,) = result.stderr.splitlines()
        assert line.startswith("there is no watcher.toml in this directory: give ")
    written(tmp_path, GOOD)
    assert "watcher.toml is good" in watcher("check-config").stdout
    assert "watcher.toml" not in watcher("restore", "a.db").stderr


def test_shops_are_summed_up(tmp_path: Path) -> None:
    text = GOOD + '[[shops]]\nname = "main"\nkey_env = "SHOP_KEY"\n'
    file, key = written(tmp_path, text), "key-of-a-shop-of-16"
    result = watcher("check-config", file, SHOP_KEY=key)
    assert any(line.split() == ["main", "smmgenie"] for line in result.stdout.splitlines())
    told = json.loads(watcher("check-config", file, "--json", SHOP_KEY=key).stdout)
    assert told["shops"] == [{"name": "main", "panels": ["smmgenie"]}]
    assert key not in result.stdout


def test_every_problem_is_a_line(tmp_path: Path) -> None:
    text = GOOD.replace('low_balance = "25.00"', "low_balnce = 5").replace("order.status", "ordr")
    file = written(tmp_path, text + "[daemon]\nlisten = 5\n")
    result = watcher("check-config", file, SMMGENIE_KEY="")
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines)
    for path in ("daemon.listen", "panels.smmgenie.low_balnce", "panels.smmgenie", "rules[1].when"):
        assert any(path in line for line in lines)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = watcher("check-config", tmp_path / "no.toml")
    assert result.exit_code == 1
    assert result.stderr == f"{tmp_path / 'no.toml'}: No such file or directory\n"


def test_targets_are_shown_without_their_urls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_URL", "https://push.example/s3cret")
    text = GOOD + '[[notify]]\nurl_env = "ALERT_URL"\non = ["panel_down"]\n'
    text += '[[rules]]\nname = "tell"\naction = "notify"\nwhen = "order.refills > 3"\n'
    result = watcher("check-config", written(tmp_path, text))
    assert result.exit_code == 0
    assert "notify1" in result.stdout
    assert "panel_down" in result.stdout
    assert "s3cret" not in result.output
    assert result.stderr == (
        "warning: no [[notify]] has 'rule_fired': these rules notify nobody: tell\n"
    )


def online(tmp_path: Path, one: SimulatedPanel, other: SimulatedPanel) -> Result:
    text = GOOD.replace('low_balance = "25.00"', f'url = "{one.url}"\ntimeout = "5s"')
    text += f'[panels.other]\nprofile = "standard"\nurl = "{other.url}"\ntimeout = "5s"\n'
    return watcher("check-config", written(tmp_path, text), "--online")


def test_panels_are_asked(tmp_path: Path) -> None:
    one = SimulatedPanel(shipped()["smmgenie"], key="k")
    other = SimulatedPanel(shipped()["standard"], key="k")
    with in_thread(one), in_thread(other):
        result = online(tmp_path, one, other)
    assert (result.exit_code, result.stderr) == (0, "")
    services = len(one.world.services)
    refill = sum(service.refill for service in one.world.services.values())
    row = next(line for line in result.stdout.splitlines() if "1000.00000 USD" in line)
    assert row.split() == ["smmgenie", "up", "1000.00000", "USD", str(services), str(refill), "0"]
    assert {entry.action for entry in one.journal.requests()} == {"balance", "services"}


def test_all_of_it_as_json(tmp_path: Path) -> None:
    told = json.loads(watcher("check-config", written(tmp_path, GOOD), "--json").stdout)
    assert (told["good"], told["rules"], told["online"]) == (True, ["refill daily"], None)
    assert told["panels"][0]["panel"] == "smmgenie"
    wrong = watcher("check-config", written(tmp_path, "[panels.a]\n"), "--json", A_KEY="k")
    assert wrong.exit_code == 1
    assert json.loads(wrong.stdout)["good"] is False
    file = written(tmp_path, '[panels.a]\nurl = "http://127.0.0.1:1"\n')
    down = watcher("check-config", file, "--json", "--online", A_KEY="k")
    assert down.exit_code == 1
    assert len(json.loads(down.stdout)["online"][0]["problems"]) == 2


def test_a_panel_that_fails_is_named_and_the_others_are_asked(tmp_path: Path) -> None:
    one = SimulatedPanel(shipped()["smmgenie"], key="another")
    other = SimulatedPanel(shipped()["standard"], key="k")
    with in_thread(one), in_thread(other):
        result = online(tmp_path, one, other)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0].startswith("smmgenie: balance: ")
    assert "another" not in result.stderr
    *_, row = (line for line in result.stdout.splitlines() if line.startswith("smmgenie "))
    assert row.split()[1] == "refusing"
    assert any(line.startswith("other ") for line in result.stdout.splitlines())


def test_an_empty_price_list_is_warned_of(tmp_path: Path) -> None:
    one = SimulatedPanel(
        shipped()["smmgenie"], key="another", traits=[Trait.EMPTY_FOR_BAD_KEY, Trait.ERRORS_401]
    )
    other = SimulatedPanel(shipped()["standard"], key="k")
    with in_thread(one), in_thread(other):
        result = online(tmp_path, one, other)
    assert result.exit_code == 1
    assert "warning: smmgenie: the price list is empty" in result.stderr


def test_a_panel_that_is_not_there(tmp_path: Path) -> None:
    gone = SimulatedPanel(shipped()["standard"], key="k", port=1)
    result = online(tmp_path, gone, gone)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 4


@pytest.mark.parametrize(
    "args", [("run", "--nonsense"), ("run", "--config"), ("demo", "--port", "70000")]
)
def test_used_wrongly(args: tuple[str, ...]) -> None:
    assert watcher(*args).exit_code == 2


def test_run_prints_a_line_for_each_problem(tmp_path: Path) -> None:
    file = written(tmp_path, "[panels.smmgenie]\nprofil = 5\n[daemon]\nlisten = 5\n")
    result = watcher("run", "--config", file)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) >= 2
    assert all(line.startswith(f"{file}: ") for line in result.stderr.splitlines())


def test_run_where_the_port_is_taken(tmp_path: Path) -> None:
    with CannedDaemon() as other:
        port = other.url.rpartition(":")[2]
        text = f'[daemon]\nlisten = "127.0.0.1:{port}"\n{GOOD}'
        result = watcher("run", "--config", written(tmp_path, text))
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert f"127.0.0.1:{port}" in line
    assert gc.isenabled()

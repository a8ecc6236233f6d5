"""`watcher init` against simulated panels: what it finds, what it writes, what it never does."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.integration.cli_daemon import in_thread
from tests.support.shell import Terminal
from watcher.cli import app
from watcher.config import load
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel, Trait

KEY = "key-of-the-tests"
SEEDS = [name for name in shipped() if name != "standard"]
READING = {"balance", "services", "status", "refill_status"}


def init(*args: object) -> Result:
    env = {"PANEL_KEY": KEY, "EMPTY_KEY": "", "COLUMNS": None, "STATE_DIRECTORY": None}
    return CliRunner().invoke(app, ("init", *map(str, args)), env=env)


def carried_out(panel: SimulatedPanel) -> list[object]:
    return [entry for entry in panel.journal.requests() if entry.carried_out]


@pytest.mark.parametrize("profile", SEEDS)
def test_what_it_finds_is_what_the_panel_can(profile: str, tmp_path: Path) -> None:
    file = tmp_path / "watcher.toml"
    panel = SimulatedPanel(shipped()[profile], key=KEY)
    with in_thread(panel):
        result = init(file, "--url", panel.url, "--key-env", "PANEL_KEY", "--try-cancel")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "balance 1000.00000 USD" in result.stdout
    [configured] = load(file, {"PANEL_KEY": KEY}).panels.values()
    assert configured.profile.has == shipped()[profile].has
    assert carried_out(panel) == []
    asked = {entry.action for entry in panel.journal.requests()}
    assert asked == READING | {"cancel"}
    assert KEY not in file.read_text() + result.stdout


@pytest.mark.parametrize("profile", SEEDS)
def test_only_reading_calls_unless_it_may_try(profile: str, tmp_path: Path) -> None:
    file = tmp_path / "watcher.toml"
    panel = SimulatedPanel(shipped()[profile], key=KEY)
    with in_thread(panel):
        result = init(file, "--url", panel.url, "--key-env", "PANEL_KEY")
    assert result.exit_code == 0
    assert {entry.action for entry in panel.journal.requests()} == READING
    [configured] = load(file, {"PANEL_KEY": KEY}).panels.values()
    assert configured.profile.has == shipped()[profile].has - {"cancel"}
    assert "was not tried" in result.stdout
    assert 'take "cancel" out' in file.read_text()


@pytest.mark.parametrize("profile", SEEDS)
def test_a_profile_that_is_named_is_kept(profile: str, tmp_path: Path) -> None:
    file = tmp_path / "watcher.toml"
    panel = SimulatedPanel(shipped()[profile], key=KEY)
    with in_thread(panel):
        args = ("--profile", profile, "--url", panel.url, "--key-env", "PANEL_KEY")
        assert init(file, *args).exit_code == 0
    config = load(file, {"PANEL_KEY": KEY})
    assert config.panels[profile].profile == shipped()[profile]
    assert not any(line.startswith(("has", "lacks")) for line in file.read_text().splitlines())
    env = {"PANEL_KEY": KEY, "STATE_DIRECTORY": None}
    checked = CliRunner().invoke(app, ("check-config", str(file)), env=env)
    assert checked.exit_code == 0


@pytest.mark.parametrize(
    "trait",
    [
        Trait.ERRORS_400,
        Trait.ERROR_CODES,
        Trait.UNKNOWN_AS_STRING,
        Trait.UNKNOWN_LEFT_OUT,
        Trait.ALL_UNKNOWN_400,
        Trait.BAD_ID_FAILS_BATCH,
        Trait.LIST_WITHOUT_IDS,
        Trait.EMPTY_LIST,
        Trait.JSON_AS_HTML,
        Trait.WRAPPED_IN_DATA,
    ],
)
@pytest.mark.parametrize("profile", ["smmgenie", "smmxz"])
def test_panels_that_deviate(profile: str, trait: Trait, tmp_path: Path) -> None:
    file = tmp_path / "watcher.toml"
    panel = SimulatedPanel(shipped()[profile], key=KEY, traits=[trait])
    with in_thread(panel):
        assert init(file, "--url", panel.url, "--key-env", "PANEL_KEY").exit_code == 0
    [configured] = load(file, {"PANEL_KEY": KEY}).panels.values()
    assert configured.profile.has == shipped()[profile].has - {"cancel"}


@pytest.mark.parametrize(
    ("trait", "cause"),
    [
        (Trait.HTML_200, "does not answer as a panel does"),
        (Trait.RATE_LIMITED, "429"),
        (Trait.CLOSE_BEFORE, "does not answer as a panel does"),
    ],
)
def test_where_nothing_can_be_learnt_nothing_is_written(
    trait: Trait, cause: str, tmp_path: Path
) -> None:
    panel = SimulatedPanel(shipped()["standard"], key=KEY, traits=[trait])
    with in_thread(panel):
        result = init(tmp_path / "a.toml", "--url", panel.url, "--key-env", "PANEL_KEY")
    assert result.exit_code == 1
    assert cause in result.stderr
    assert "nothing was written" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_key(tmp_path: Path) -> None:
    panel = SimulatedPanel(shipped()["standard"], key="another")
    with in_thread(panel):
        result = init(tmp_path / "a.toml", "--url", panel.url, "--key-env", "PANEL_KEY")
    assert result.exit_code == 1
    assert result.stderr.startswith("the panel does not take this key: ")
    assert KEY not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "cause"),
    [
        (("--key-env", "PANEL_KEY"), "nobody is there to ask"),
        (("--url", "http://127.0.0.1:1"), "nobody is there to ask"),
        (("--url", "http://127.0.0.1:1", "--key-env", "EMPTY_KEY"), "$EMPTY_KEY is not set"),
        (("--profile", "nonsense"), "there is no 'nonsense'"),
    ],
)
def test_used_wrongly_where_nobody_can_be_asked(
    args: tuple[str, ...], cause: str, tmp_path: Path
) -> None:
    result = init(tmp_path / "a.toml", *args)
    assert result.exit_code == 2
    assert cause.replace("\n", " ") in " ".join(result.stderr.split())


@pytest.mark.parametrize("url", ["ftp://panel.example", "http://panel.example/api/v2"])
def test_a_url_that_the_daemon_would_refuse(url: str, tmp_path: Path) -> None:
    result = init(tmp_path / "a.toml", "--url", url, "--key-env", "PANEL_KEY")
    assert result.exit_code == 1
    assert "panels.panel.url" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "watcher.toml"
    file.write_text("mine")
    panel = SimulatedPanel(shipped()["standard"], key=KEY)
    with in_thread(panel):
        args = ("--url", panel.url, "--key-env", "PANEL_KEY")
        assert init(file, *args).exit_code == 1
        assert (file.read_text(), panel.journal.requests()) == ("mine", [])
        assert init(file, *args, "--force").exit_code == 0
    assert "[panels." in file.read_text()


def test_a_known_url_tells_the_profile_and_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watcher.cli import init as module

    monkeypatch.setenv("PANEL_KEY", KEY)
    choice = module._choose("https://my.smmxz.com/api/v2", None, None, "PANEL_KEY")
    assert (choice.name, choice.profile.name, choice.is_guess) == ("smmxz", "smmxz", False)
    other = module._choose("https://www.best-panel.example/api/v2", None, None, "PANEL_KEY")
    assert (other.name, other.profile.name, other.is_guess) == ("best-panel", "standard", True)


def test_somebody_answers_the_questions(tmp_path: Path) -> None:
    panel = SimulatedPanel(shipped()["smmxz"], key=KEY)
    with in_thread(panel):
        terminal = Terminal(tmp_path)
        terminal.answer("API URL", panel.url)
        terminal.answer("API key", KEY, hidden=True)
        terminal.answer("can cancel", "y")
        assert terminal.end() == 0, terminal.told
    assert KEY not in terminal.told
    key_file = tmp_path / "panel.key"
    assert key_file.read_text() == f"{KEY}\n"
    assert key_file.stat().st_mode & 0o777 == 0o600
    file = tmp_path / "watcher.toml"
    assert KEY not in file.read_text()
    [configured] = load(file, {}).panels.values()
    assert configured.key.reveal() == KEY
    assert configured.profile.has == shipped()["smmxz"].has
    assert carried_out(panel) == []

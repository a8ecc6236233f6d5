"""The documentation says what is there: commands, keys, fields, dependencies, rooms."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import typer.main

from docs.source import __main__ as reference
from tests.support.shell import commands
from watcher.alerts import AlertKind
from watcher.cli import app
from watcher.config import Secrets, parse
from watcher.panels.profiles import shipped
from watcher.panels.protocol import ADD_PARAMETERS
from watcher.rules.variables import FIELDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
NOTIFICATIONS, EVENTS, RULES, PANELS = (
    (DOCS / f"{name}.md").read_text() for name in ("notifications", "events", "rules", "panels")
)
TERMINAL = (DOCS / "terminal.md").read_text()
DEPENDENCIES = (DOCS / "dependencies.md").read_text()


def test_every_command_is_in_the_table_of_commands_and_no_other():
    there = set(typer.main.get_command(app).commands)
    table = "".join(line for line in TERMINAL.splitlines() if line.startswith("| `watcher "))
    assert set(re.findall(r"`watcher ([a-z][a-z-]*)", table)) == there


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_in_the_examples_exist(page: Path):
    root = typer.main.get_command(app)
    for line in commands(page.read_text()):
        words = line.split()
        if words[:1] != ["watcher"]:
            continue
        command = root.commands[words[1]]
        if words[2:3] and words[2] in getattr(command, "commands", ()):
            command = command.commands[words[2]]
        known = {option for param in command.params for option in param.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    for requirement in wanted:
        if isinstance(requirement, str):
            name = re.split(r"[\[<>=]", requirement)[0]
            assert re.search(rf"\b{re.escape(name)}\b", DEPENDENCIES), name


def test_the_reference_of_the_api_is_up_to_date():
    assert reference.PATH.read_text() == reference.text(), "make api"


def test_every_variable_of_a_condition_is_told():
    for variable, fields in FIELDS.items():
        row = next(line for line in RULES.splitlines() if line.startswith(f"| `{variable}` |"))
        assert set(re.findall(r"`(\w+)`", row)) == fields | {variable}


def test_every_profile_is_told():
    for name in shipped():
        assert f"`{name}`" in PANELS


@pytest.mark.parametrize("page", [NOTIFICATIONS, EVENTS], ids=["notify", "events"])
def test_the_configuration_for_being_told_is_accepted(page: str, tmp_path: Path):
    texts = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    env = {
        "P_KEY": "k",
        "PHONE_URL": "https://ntfy.example/topic",
        "SHOP_URL": "https://shop.example/hook",
        "SHOP_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "SHOP_AUTHORIZATION": "Bearer of-the-tests",
    }
    panel = '[panels.p]\nurl = "https://panel.example/api/v2"\n'
    for text in texts:
        config = parse(panel + text, Secrets(env, tmp_path), tmp_path)
        assert len(config.notify) + len(config.events) == 1


def test_every_kind_of_trouble_is_told_of_in_the_docs():
    assert set(re.findall(r"(?m)^\| `(\w+)` \|", NOTIFICATIONS)) == set(AlertKind)


def test_the_configurations_of_panels_are_accepted(tmp_path: Path):
    for name in ("mypanel.token", "mypanel.proxy"):
        (tmp_path / name).write_text("http://127.0.0.1:3128")
        (tmp_path / name).chmod(0o600)
    mine = '[panels.mypanel]\nurl = "https://panel.example/api/v2"\n'
    blocks = re.findall(r"```toml\n(.*?)```", PANELS, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        text = mine + block if block.startswith("[panels.mypanel.request]") else block
        env = {f"{name.upper()}_KEY": "k" for name in re.findall(r"\[panels\.(\w+)\]", text)}
        assert parse(text, Secrets(env, tmp_path), tmp_path).panels


def test_the_configuration_behind_a_proxy_is_accepted(tmp_path: Path):
    (tmp_path / "api.token").write_text("token-of-the-tests")
    (tmp_path / "api.token").chmod(0o600)
    text = (DOCS / "install.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    panel = '\n[panels.p]\nurl = "https://panel.example/api/v2"\n'
    assert parse(block + panel, Secrets({"P_KEY": "k"}, tmp_path), tmp_path).panels


def test_the_configurations_for_shops_are_accepted(tmp_path: Path):
    text = (DOCS / "shops.md").read_text()
    blocks = re.findall(r"(?m)^ *```toml\n([\s\S]*?)```", text)
    assert len(blocks) == 2
    env = dict.fromkeys(re.findall(r'key_env = "(\w+)"', text), "k" * 16)
    for block in blocks:
        assert parse(block, Secrets(env, tmp_path), tmp_path).shops


def test_links_lead_somewhere():
    for path in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_links_lead_to_a_heading():
    for path in PAGES:
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", path.read_text()):
            aim = path.parent / target if target else path
            if aim.suffix == ".md":
                assert anchor in anchors(aim), f"{path.name}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Return the anchors that sites make of a page's headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_every_file_that_the_proof_names_is_there():
    text = (ROOT / "docs" / "reliability.md").read_text()
    files = re.findall(r"`(tests/[\w/]+\.py)`", text)
    assert len(files) > 3
    for file in files:
        assert (ROOT / file).is_file(), file


def test_every_test_that_a_claim_names_is_there():
    text = (ROOT / "docs" / "security.md").read_text()
    files = set(re.findall(r"\b(?:unit|integration|acceptance)/test_\w+\.py", text))
    assert len(files) > 8
    sources = "".join((ROOT / "tests" / file).read_text() for file in files)
    for name in re.findall(r"`(test_\w+)`", text):
        assert re.search(rf"def {name}\(", sources), name


def test_shops_are_told_every_parameter():
    text = (DOCS / "shops.md").read_text()
    known = {name for table in ADD_PARAMETERS.values() for name in table.required + table.optional}
    (told,) = re.findall(
        r"documented ones of every service type are passed on: (.*?)\.", text, re.S
    )
    assert set(re.findall(r"`(\w+)`", told)) == known


def test_what_is_needed_was_measured():
    figures = {
        path.stem: json.loads(path.read_text()) for path in (DOCS / "performance").glob("*.json")
    }
    orders, panels = (figures["growth"]["axes"][axis] for axis in ("orders", "panels"))
    measured = {
        ("10,000", "5"): figures["idle"]["figures"]["MB"],
        ("100,000", "10"): next(p["peak MB"] for p in orders if p["at"] == 100_000),
        ("200,000", "200"): next(p["peak MB"] for p in panels if p["at"] == 200),
        ("1,000,000", "10"): max(run["peak MB"] for run in figures["sweep"]["runs"]["watcher"]),
    }
    told = re.findall(
        r"(?m)^\| ([\d,]+) \| (\d+) \| (\d+) MB \|$", (DOCS / "performance.md").read_text()
    )
    assert {(row[0], row[1]) for row in told} == measured.keys()
    for *row, megabytes in told:
        assert measured[tuple(row)] <= int(megabytes) <= 1.5 * measured[tuple(row)], row

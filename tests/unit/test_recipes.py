"""The recipes in CONTRIBUTING.md: their paths and names, and the short ones done again."""

import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest
from typer.testing import CliRunner

from tests.support.house import a_house
from watcher.cli import app, panels
from watcher.daemon import status
from watcher.daemon.attention_items import Attention
from watcher.daemon.status import DaemonStatus
from watcher.metrics.gauges import Gauge
from watcher.panels.profiles import Profile
from watcher.rules import variables
from watcher.rules.condition import Condition
from watcher.web.control_shapes import PauseList

ROOT = Path(__file__).parents[2]
(TEXT,) = re.findall(r"^## Recipes\n(.*?)^## ", (ROOT / "CONTRIBUTING.md").read_text(), re.S | re.M)
RECIPES = dict(re.findall(r"^### (.*?)[:\n](.*?)(?=^### |\Z)", TEXT, re.S | re.M))
_BLOCK = re.compile(r"^ *```\w*\n(.*?)^ *```$", re.S | re.M)


def block(title: str) -> str:
    """The only lines that a recipe adds."""
    (lines,) = _BLOCK.findall(RECIPES[title])
    return dedent(lines)


def words(title: str) -> list[str]:
    """What a recipe has in backticks, without the lines that it adds."""
    return re.findall(r"`([^`\n]+)`", _BLOCK.sub("", RECIPES[title]))


def paths(title: str) -> list[Path]:
    return [ROOT / word for word in words(title) if re.fullmatch(r"[\w/.-]+/[\w.-]+\.\w+", word)]


@pytest.mark.parametrize("title", RECIPES)
def test_paths_and_names_exist(title: str) -> None:
    files = paths(title)
    assert [path for path in files if not path.is_file()] == []
    code = {name for path in files for name in re.findall(r"\w+", path.read_text())}
    assert {word for word in words(title) if word.isidentifier()} <= code


def test_a_panel_is_data() -> None:
    ((name, table),) = tomllib.loads(block("A panel")).items()
    assert msgspec.convert({"name": name, **table}, Profile).can("refill_status")


def test_a_rule_variable_is_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in eval(f"{{{block('A rule variable')}}}").items():  # noqa: S307
        monkeypatch.setitem(variables.ORDER, name, value)
    monkeypatch.setitem(variables.FIELDS, "order", frozenset(variables.ORDER))
    order, context, now = variables.samples()[0]
    condition = Condition("order.delivered >= 0 && order.quantity > 0")
    assert condition.holds(order, context, variables.FiringHistory(), now)


async def test_a_gauge_is_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, lines = DaemonStatus._gauges, f"({block('A metric')})"

    def gauges(self: DaemonStatus, items: Iterable[Attention]) -> Sequence[Gauge]:
        return (*before(self, items), *eval(lines, vars(status), {"self": self}))  # noqa: S307

    monkeypatch.setattr(DaemonStatus, "_gauges", gauges)
    async with a_house(tmp_path) as house:
        assert await house.metric("panels_configured") == 1


def test_a_command_is_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "registered_commands", [*app.registered_commands])
    lines = block("A command on an existing call of the API")
    exec(lines, {**vars(panels), "PauseList": PauseList})  # noqa: S102
    assert re.search("pauses +List what people", CliRunner().invoke(app, ["--help"]).output)

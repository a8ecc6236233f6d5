"""docs/glossary.md: page, terminal and API print its words, and each is explained."""

import re
from pathlib import Path

import pytest

from docs.source import __main__ as reference
from watcher.model import ActionState, Phase, Status
from watcher.orders.schedule.stages import Stage
from watcher.panels.health import HealthState

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "glossary.md").read_text()
EXPLANATIONS, SHOWN = PAGE.split("## Where you see them\n")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in SHOWN.splitlines()
    if line.startswith("| ") and not line.startswith("| word")
]
TEMPLATES = "".join(
    path.read_text() for path in (ROOT / "watcher/web/page/templates").rglob("*.html")
)
TERMINAL = "".join(path.read_text() for path in (ROOT / "watcher/cli").glob("*.py"))


def test_every_word_that_is_shown_is_explained() -> None:
    explained = set(re.findall(r"\*\*([\w' ]+)\*\*", EXPLANATIONS))
    assert {row[0] for row in ROWS} <= explained


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_it_is_printed_in_these_words(row: list[str]) -> None:
    _, page, terminal, field = row
    if page:  # a heading, a label or a badge
        label = re.escape(page)
        assert re.search(rf'["#>](?:{label})["<]|{label}<select', TEMPLATES), page
    if terminal:  # a column or a line
        assert re.search(rf'(?:Column\(|\()"{re.escape(terminal)}"', TERMINAL), terminal
    if field:
        assert f"| `{field}` |" in reference.text(), field


@pytest.mark.parametrize("values", [Phase, Status, ActionState, HealthState])
def test_every_value_is_explained(values: type[Phase]) -> None:
    for value in values:
        assert re.search(rf"(?:`|\*\*){value.value}(?:`|\*\*)", EXPLANATIONS), value


def test_every_stage_of_an_order_is_named() -> None:
    for stage in set(Stage) - {Stage.REFILL}:
        assert f"`{stage.name.lower()}`" in EXPLANATIONS

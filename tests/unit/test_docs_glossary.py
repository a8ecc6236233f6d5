"""docs/glossary.md: page, terminal and API print its words, and each is explained."""

import re
from pathlib import Path

import pytest

from docs.source import __main__ as reference
from watcher.model import ActionState, Phase, Status
from watcher.orders.schedule.stages import Stage
from watcher.panels.health import HealthState
from watcher.web.page import terms
from watcher.web.page.terms import TERMS, word_of

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


def _plain(text: str) -> str:
    return re.sub(r" \(\[[^)]*\)\)|[`*]", "", text)


MEANINGS = {
    word: _plain(meaning)
    for word, meaning in re.findall(r"^\| \*\*([^*]+)\*\* \| (.*) \|$", EXPLANATIONS, re.MULTILINE)
}


@pytest.mark.parametrize("word", TERMS)
def test_the_page_explains_it_in_the_same_words(word: str) -> None:
    assert MEANINGS[word] == TERMS[word]


@pytest.mark.parametrize("row", [row for row in ROWS if row[1]], ids=lambda row: row[0])
def test_every_heading_of_the_glossary_has_a_hint(row: list[str]) -> None:
    assert word_of(row[1]) == row[0]


def test_every_heading_with_another_word_leads_to_one_that_is_explained() -> None:
    words = re.findall(r"\"#?[A-Z][\w ]*\|([a-z' ]+)\"", TEMPLATES)
    assert words
    assert set(words) | set(terms._LABELS.values()) <= set(TERMS)


@pytest.mark.parametrize("values", [Phase, Status, ActionState, HealthState])
def test_every_value_is_explained(values: type[Phase]) -> None:
    for value in values:
        assert re.search(rf"(?:`|\*\*){value.value}(?:`|\*\*)", EXPLANATIONS), value


def test_every_stage_of_an_order_is_named() -> None:
    for stage in set(Stage) - {Stage.REFILL}:
        assert f"`{stage.name.lower()}`" in EXPLANATIONS

"""The faults that `make canaries` plants: each has its place, its tests and its row in the docs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.canaries import FAULTS, run
from tests.canaries.fault import Fault
from tests.canaries.plant import NotPlanted, check_all, find, planted, read_sources
from tests.canaries.tree import Outcome

ROOT = Path(__file__).parents[2]
SOURCE = """
def claim(self, ids):
    # those that wait
    if not self.known(
        ids,
    ):
        return None
    return ids


class Other:
    def claim(self, ids):
        return ids
"""


def a_fault(old: str, new: str = "pass", where: str = "claim") -> Fault:
    return Fault(name="a fault", where=where, old=old, new=new, tests="", cost="")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "module.py").write_text(SOURCE)
    return tmp_path


@pytest.mark.long
def test_each_fault_has_one_place_where_it_can_be_planted():
    for fault, place in zip(FAULTS, check_all(FAULTS, ROOT / "watcher").values(), strict=True):
        assert planted(place.path.read_text(), place, fault.new) != place.path.read_text()


def test_each_fault_has_a_name_of_its_own_and_tests_that_exist():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 40
    for fault in FAULTS:
        for test in fault.tests.split():
            file, _, name = test.partition("::")
            assert (
                name.partition("[")[0].rpartition("::")[2] in (ROOT / "tests" / file).read_text()
            ), test


def test_the_documentation_names_the_same_faults():
    text = (ROOT / "docs" / "reliability.md").read_text()
    assert run.names_in(text) == [fault.name for fault in FAULTS], "run `make canaries`"


def test_the_layout_of_the_code_does_not_matter(tree: Path):
    place = find(a_fault("not self.known(ids"), read_sources(tree))
    assert "    if (ids,\n    ):\n" in planted(SOURCE, place, "(ids")


def test_further_lines_are_indented_as_the_first(tree: Path):
    place = find(a_fault("return None"), read_sources(tree))
    assert "        ids = 1\n        return ids\n" in planted(SOURCE, place, "ids = 1\nreturn ids")


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (a_fault("return 1"), "is not found"),
        (a_fault("return ids", where="release"), "is not found"),
        (a_fault("return ids"), "is in 2 places"),
    ],
)
def test_a_fault_without_one_place_is_told(tree: Path, fault: Fault, problem: str):
    with pytest.raises(NotPlanted, match=problem):
        check_all([fault], tree)


def test_a_class_tells_functions_of_one_name_apart(tree: Path):
    place = find(a_fault("return ids", where="Other.claim"), read_sources(tree))
    assert place.start == (13, 8)


class FakeTree:
    """Finds the first fault only."""

    def __init__(self, directory: Path) -> None:
        self.root = ROOT

    @contextmanager
    def changed(self, path: Path, text: str) -> Iterator[None]:
        self.found = FAULTS[0].new in text
        yield

    def run_tests(self, tests: str, *more: str, within: float) -> Outcome:
        found = self.found and not more
        return Outcome("tests/unit/test_a.py::test_it" if found else None, 0.1, "no test finds it")


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(0, 0), (1, 1)])
def test_a_fault_that_no_test_finds_fails_the_command(
    number: int, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{run.BEGIN}\n{run.END}\nafter\n")
    monkeypatch.setattr(run, "FAULTS", FAULTS[number : number + 1])
    monkeypatch.setattr(run, "Tree", FakeTree)
    monkeypatch.setattr("sys.argv", ["canaries", "--jobs", "1", "--table", str(page)])
    assert run.main() == code
    assert run.names_in(page.read_text()) == ([FAULTS[0].name] if code == 0 else [])


def test_what_is_planted_has_to_be_python(tree: Path):
    place = find(a_fault("return None"), read_sources(tree))
    with pytest.raises(SyntaxError):
        planted(SOURCE, place, "return (")

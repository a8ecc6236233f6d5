"""The house's measures: packages, layers, sizes and names that a newcomer can hold in mind."""

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path
from statistics import median

import pytest

from docs.source import packages

ROOT = Path(__file__).parents[2]
PRODUCT = ROOT / "watcher"
INSIDE = [  # not what an older checkout left behind
    path
    for path in PRODUCT.iterdir()
    if not path.name.startswith("__") and (path.is_file() or (path / "__init__.py").exists())
]
FILES = sorted(PRODUCT.rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in FILES}


def test_there_are_few_doors() -> None:
    assert len([path for path in INSIDE if path.is_dir()]) <= 14
    assert len([path for path in INSIDE if path.suffix == ".py"]) <= 6


def test_there_are_few_layers() -> None:
    assert len(packages.layers()) <= 10


def test_no_file_is_long() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in FILES}
    assert {str(path): length for path, length in lengths.items() if length > 300} == {}


def test_functions_are_short() -> None:
    lengths = [
        1 + (node.end_lineno or 0) - node.lineno
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert median(lengths) <= 6
    assert max(lengths) <= 80


def test_no_class_name_means_two_things() -> None:
    names = Counter(
        node.name
        for tree in TREES.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_no_module_name_means_more_than_two_things() -> None:
    names = Counter(path.stem for path in FILES if not path.stem.startswith("__"))
    assert [name for name, count in names.items() if count > 2] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PRODUCT)))
def test_each_docstring_stands_alone(path: Path) -> None:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(TREES[path]):
        text = ast.get_docstring(node) if isinstance(node, kinds) else None
        assert not re.match(r"(The|And the) same\b|As above|Ditto", text or ""), text


def test_the_picture_shows_the_packages_as_they_are() -> None:
    assert packages.PATH.read_text() == packages.draw(), "make picture"


def test_each_caption_in_the_picture_fits_its_box() -> None:
    captions = [packages.about(name) for row in packages.layers() for name in row]
    assert [caption for caption in captions if len(caption) > packages.LONGEST] == []


def test_the_map_names_every_package_and_module() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    inside = {path.stem for path in INSIDE}
    (block,) = re.findall(r"```\nwatcher/\n(.*?)```", text, re.DOTALL)
    assert set(re.findall(r"^  (\w+?)(?:/|\.py)? ", block, re.MULTILINE)) == inside


def test_every_package_is_in_one_layer() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["importlinter"]["exclude_type_checking_imports"]
    named = [name for row in packages.layers() for name in row]
    inside = {path.stem for path in INSIDE}
    assert sorted(named) == sorted(inside)

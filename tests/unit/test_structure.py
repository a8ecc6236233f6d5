"""The structure of the product, as measured from its source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PRODUCT = Path(__file__).parents[2] / "watcher"
MOST_CALLABLES = 25
TEXT = {".css", ".html", ".js", ".json", ".md", ".py", ".sh", ".sql", ".toml", ".yaml", ".yml"}
MARK = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)


def test_no_file_has_the_marks_of_a_merge() -> None:
    """Browsers skip a rule of a stylesheet that follows one, without a word."""
    root = PRODUCT.parent
    places = [root, *(root / name for name in ("watcher", "docs", "tests", "grafana", "systemd"))]
    files = [path for place in places for path in place.glob("*" if place == root else "**/*")]
    texts = [path for path in files if path.suffix in TEXT and path.is_file()]
    assert [path for path in texts if MARK.search(path.read_bytes())] == []


def test_constructors_take_few_callables() -> None:
    found = sorted(_callables())
    assert len(found) <= MOST_CALLABLES, "\n".join(found)


def _callables() -> Iterator[str]:
    """Yield each callback that an object is made with or holds from its beginning on.

    That is each field of a class, parameter of `__init__`, and attribute annotated there whose type
    is a Callable, an alias of one, or one of both or None. A `Clock` is none: it is the source of
    time, not a way to call back. An attribute that just holds a parameter counts once.
    """
    trees = {path: ast.parse(path.read_text()) for path in sorted(PRODUCT.rglob("*.py"))}
    own = {_module(path): set(_aliases(tree)) for path, tree in trees.items()}
    for path, tree in trees.items():
        names = {"Callable", *own[_module(path)], *_imported(tree, own)}
        for owner in ast.walk(tree):
            if isinstance(owner, ast.ClassDef):
                for name, annotation in _typed(owner):
                    if _names(annotation, names):
                        yield f"{path.relative_to(PRODUCT)}: {owner.name}.{name}"


def _module(path: Path) -> str:
    return ".".join(path.relative_to(PRODUCT.parent).with_suffix("").parts)


def _aliases(tree: ast.Module) -> Iterator[str]:
    """Yield the names that the module gives to Callables."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and _names(node.value, {"Callable"}):
            yield from (name.id for name in node.targets if isinstance(name, ast.Name))


def _imported(tree: ast.Module, own: dict[str, set[str]]) -> Iterator[str]:
    """Yield the names of Callables that the module imports."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            theirs = own.get(node.module or "", set())
            yield from theirs.intersection(name.name for name in node.names)


def _typed(owner: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for node in owner.body:
        if isinstance(node, ast.AnnAssign):
            yield ast.unparse(node.target), node.annotation
        elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
            for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                if argument.annotation is not None:
                    yield argument.arg, argument.annotation
            for inner in ast.walk(node):
                if isinstance(inner, ast.AnnAssign):
                    yield ast.unparse(inner.target), inner.annotation


def _names(annotation: ast.expr, names: set[str]) -> bool:
    """Return whether the type is one of these, or one of them or None."""
    match annotation:
        case ast.Name(id=name):
            return name in names
        case ast.Subscript(value=value):
            return _names(value, names)
        case ast.BinOp(left=left, right=right):
            return _names(left, names) or _names(right, names)
    return False

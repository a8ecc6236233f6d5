"""The examples at the end of every command's --help can be typed as they stand there."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from watcher.cli import app

ROOT: Any = typer.main.get_command(app)


def every_command(group: Any = ROOT, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with the words that name it."""
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from every_command(command, *path, name)


COMMANDS = dict(every_command())


def examples(command: Any) -> list[str]:
    return [line.strip() for line in (command.epilog or "").splitlines()[1:]]


def parse(command: Any, name: str, words: list[str], parent: Any = None) -> list[str]:
    """Parse the words as the program does, without running it; return the commands' names."""
    context = command.make_context(name, list(words), parent=parent)
    name_of_it = "_protected_args" if hasattr(context, "_protected_args") else "protected_args"
    rest = [*getattr(context, name_of_it, ()), *context.args]
    if not (hasattr(command, "commands") and rest):
        return [name]
    found, sub, more = command.resolve_command(context, rest)
    return [name, *parse(sub, found, more, context)]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_has_examples_that_parse(path: tuple[str, ...]) -> None:
    lines = examples(COMMANDS[path])
    assert 1 <= len(lines) <= 3
    for line in lines:
        program, *words = shlex.split(line)
        called = parse(ROOT, program, words)
        assert called[: len(path) + 1] == ["watcher", *path], line


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_the_examples(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80"}).output
    for line in examples(COMMANDS[path]):
        assert len(line) < 80
        assert line in " ".join(shown.split()), line  # an old typer joins the lines


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_cuts_no_choice_in_two(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80"}).output
    shown = re.sub(r"\[[^]]*x[<>]?=?[^]]*\]", "", shown)  # a range of numbers
    options = [line for line in shown.splitlines() if line.startswith("│")]
    assert [line for line in options if line.count("<") != line.count(">")] == []


def test_an_example_that_does_not_parse_is_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(ROOT, "watcher", ["orders", "--stale"])

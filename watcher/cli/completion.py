"""`watcher completion`: what makes a shell complete commands, options, words and panels."""

from enum import StrEnum
from typing import Annotated

import typer

from watcher.cli.command import command

_VARIABLE = "_WATCHER_COMPLETE"


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@command("Shell")
def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Your shell.")],
) -> None:
    """Print what makes a shell complete commands, options and panels' names.

    bash: eval "$(watcher completion bash)" in ~/.bashrc;
    zsh: the same, after compinit, in ~/.zshrc;
    fish: watcher completion fish > ~/.config/fish/completions/watcher.fish
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    script = get_completion_script(prog_name="watcher", complete_var=_VARIABLE, shell=shell.value)
    # Not by say(): a shell reads it, and takes it line by line.
    typer.echo(script)

"""`watcher completion`: the script for completion in a shell."""

from enum import StrEnum
from typing import Annotated

import typer

from watcher.cli.command import command

_VARIABLE = "_WATCHER_COMPLETE"


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@command("Shell", examples=("watcher completion bash", "watcher completion fish"))
def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Your shell.")],
) -> None:
    """Print the script that completes commands, options and panels' names.

    bash: eval "$(watcher completion bash)" in ~/.bashrc;
    zsh: the same, after compinit, in ~/.zshrc;
    fish: watcher completion fish > ~/.config/fish/completions/watcher.fish
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    script = get_completion_script(prog_name="watcher", complete_var=_VARIABLE, shell=shell.value)
    # Not by say(): the shell needs the lines as they are.
    typer.echo(script)

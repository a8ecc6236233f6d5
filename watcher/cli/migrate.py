"""`watcher migrate`: move all records to another database, while no daemon runs."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from watcher.cli.command import command
from watcher.cli.output import errors, say
from watcher.cli.progress import progress
from watcher.common.wording import counted


@command(
    "Panels and database",
    examples=(
        "watcher migrate --config watcher.toml --to postgresql://db.example/watcher",
        "watcher migrate --config watcher.toml --to watcher.db",
    ),
)
def migrate(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The daemon's configuration.")],
    to: Annotated[str, typer.Option(metavar="DATABASE", help="postgresql://…, or a file's path.")],
) -> None:
    """Move all records to another, empty database; the old one is put aside."""
    from watcher.config import load_for_repair
    from watcher.store import move

    source, target = load_for_repair(config).database, load_for_repair(config, database=to).database
    with progress(errors(), 100) as update:

        def report(table: str, done: int, total: int) -> None:
            update(100 * done // max(total, 1), f"{table} {done:,}/{total:,}")

        moved = asyncio.run(move(source, target, report, now=time.time()))
    rows = moved.rows
    say(
        f"{counted(rows['orders'], 'order')}, {counted(rows['history'], 'change')} and"
        f" {counted(rows['actions'], 'action')} are in {target} now, as they were",
        f"{moved.kept} is kept, and no daemon starts on it",
        "",
        f'Now set database = "{to}" in [daemon] of {config}, and start the daemon',
    )

"""`watcher backup`: a whole copy of the daemon's database, or none."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from watcher.cli.client import Client, path_of
from watcher.cli.options import DEFAULT_URL, TokenFile, Url, connect
from watcher.cli.output import say
from watcher.errors import WatcherError

_MAGIC = b"SQLite format 3\x00"


class NotWritten(WatcherError):
    """There is no copy: it can't be written here, or what came is no database."""


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy is to be.")],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if there is one.")] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Copy the database while the daemon runs."""
    client = connect(url, token_file)
    if file.is_dir():
        raise NotWritten(f"{file} is a directory")
    if file.exists() and not force:
        raise NotWritten(f"{file} is there already: --force replaces it")
    try:
        size = _fetch(client, file)
    except OSError as error:
        raise NotWritten(f"{file}: {error.strerror or error}") from None
    say(f"{file}: {size:,} bytes")


def _fetch(client: Client, file: Path) -> int:
    """The copy gets its name only once it is whole and on the disk."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w+b") as copy:
            size = client.download(path_of("backup"), copy)
            copy.seek(0)
            problem = database_problem(copy.read(100), size)
            if problem is not None:
                raise NotWritten(f"what {client.url} sent is no whole database: {problem}")
            copy.flush()
            os.fsync(copy.fileno())
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_directory(file.parent)
    return size


def database_problem(header: bytes, size: int) -> str | None:
    """What is wrong with a database file of this header and size, if anything."""
    if len(header) < 100 or not header.startswith(_MAGIC):
        return "it has no SQLite header"
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    pages = int.from_bytes(header[28:32], "big")
    # The header's number of pages holds only where the two counters agree.
    if header[24:28] == header[92:96] and pages and page * pages != size:
        return f"it has {size:,} of {page * pages:,} bytes"
    return None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

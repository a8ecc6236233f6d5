"""`watcher backup`: a complete copy of the daemon's database, or none."""

from pathlib import Path
from typing import Annotated

import typer

from watcher.cli.api_client import ApiClient, path_of
from watcher.cli.command import command
from watcher.cli.files import NotWritten, atomic_file
from watcher.cli.options import Force
from watcher.cli.output import errors, say
from watcher.cli.progress import progress

_MAGIC = b"SQLite format 3\x00"


@command("Panels and database", examples=("watcher backup copy.db",))
def backup(
    client: ApiClient,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy to write.")],
    force: Force = False,
) -> None:
    """Copy the database while the daemon runs."""
    with atomic_file(file, force=force) as copy:
        with client.download(path_of("backup")) as (total, chunks):
            size = 0
            with progress(errors(), total) as update:
                for chunk in chunks:
                    copy.write(chunk)
                    size += len(chunk)
                    update(size, f"{size:,} bytes")
        copy.seek(0)
        problem = database_problem(copy.read(100), size)
        if problem is not None:
            raise NotWritten(f"what {client.url} sent is no whole database: {problem}")
    say(f"{file}: {size:,} bytes")


def database_problem(header: bytes, size: int) -> str | None:
    """Return what is wrong with a database file of this header and size, if anything."""
    if len(header) < 100 or not header.startswith(_MAGIC):
        return "it has no SQLite header"
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    pages = int.from_bytes(header[28:32], "big")
    # The header's number of pages holds only where the two counters agree.
    if header[24:28] == header[92:96] and pages and page * pages != size:
        return f"it has {size:,} of {page * pages:,} bytes"
    return None

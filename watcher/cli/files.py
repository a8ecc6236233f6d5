"""Writes files completely or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from watcher.common.disk import put_in_place
from watcher.common.spreadsheet import csv_lines
from watcher.errors import WatcherError


class NotWritten(WatcherError):
    """The file was not written, or its content was not complete."""


@contextmanager
def atomic_file(file: Path, *, force: bool = False, keep: bool = False) -> Iterator[BinaryIO]:
    """Give a stream; the file gets its name once the content is complete and on the disk.

    Only the owner can read it; with `keep` it has the permissions of the file that it replaces.
    NotWritten if there is a file already and neither `force` nor `keep` is given.
    """
    if file.exists() and not file.is_file():
        raise NotWritten(f"{file} is {'a directory' if file.is_dir() else 'no ordinary file'}")
    if file.exists() and not force and not keep:
        raise NotWritten(f"{file} is there already: --force replaces it")
    try:
        yield from _written(file, file.stat() if keep else None)
    except OSError as error:
        raise NotWritten(f"{file}: {error.strerror or error}") from None


@contextmanager
def csv_file(file: Path, names: Sequence[str]) -> Iterator[Callable[[Sequence[object]], object]]:
    """Give a function that writes a row. The file replaces an older one once it is complete."""
    with atomic_file(file, force=True) as stream:
        stream.write(csv_lines([names]))
        yield lambda row: stream.write(csv_lines([row]))


def _written(file: Path, like: os.stat_result | None) -> Iterator[BinaryIO]:
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            if like is not None:
                _liken(descriptor, like)
        put_in_place(Path(name), file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _liken(descriptor: int, like: os.stat_result) -> None:
    with suppress(PermissionError):  # only root gives files away; the mode matters more
        os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, like.st_mode & 0o777)

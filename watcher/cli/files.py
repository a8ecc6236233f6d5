"""Files that are written whole, or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from watcher.errors import WatcherError


class NotWritten(WatcherError):
    """The file is not there: it can't be written, or what came for it was not whole."""


@contextmanager
def whole_file(file: Path, *, force: bool = False, keep: bool = False) -> Iterator[BinaryIO]:
    """What is written gets the file's name only once it is whole and on the disk.

    Only its owner can read it, or with `keep` who could read the one before. NotWritten where
    there is one already and neither is given.
    """
    if file.exists() and not file.is_file():
        raise NotWritten(f"{file} is {'a directory' if file.is_dir() else 'no ordinary file'}")
    if file.exists() and not force and not keep:
        raise NotWritten(f"{file} is there already: --force replaces it")
    try:
        yield from _written(file, file.stat() if keep else None)
    except OSError as error:
        raise NotWritten(f"{file}: {error.strerror or error}") from None


def _written(file: Path, like: os.stat_result | None) -> Iterator[BinaryIO]:
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            if like is not None:
                _liken(descriptor, like)
            os.fsync(descriptor)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_directory(file.parent)


def _liken(descriptor: int, like: os.stat_result) -> None:
    with suppress(PermissionError):  # only root gives files away; the mode matters more
        os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, like.st_mode & 0o777)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

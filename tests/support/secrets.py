"""A search for a key in all that a daemon wrote."""

from collections.abc import Iterator
from pathlib import Path


def repeated(key: str, directory: Path) -> Iterator[str]:
    """The files in which it stands."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and key.encode() in path.read_bytes():
            yield f"the key is in {path.name}"

"""Writes Parquet with DuckDB (the extra `parquet`): one wheel without dependencies."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from watcher.errors import WatcherError
from watcher.web.shapes import Time

_MONEY = frozenset({"charge"})
_TYPES = {int: "BIGINT", bool: "BOOLEAN", list[str]: "VARCHAR[]", Time: "TIMESTAMPTZ"}
_MEMORY = "256MB"


class NoParquet(WatcherError):
    """Parquet needs the extra: pip install 'watcher[parquet]', or --format csv or jsonl."""


@contextmanager
def parquet_writer(
    stream: BinaryIO, shape: type[msgspec.Struct]
) -> Iterator[Callable[[list[Any]], object]]:
    """Give a function that writes items of the shape; they are collected on the disk."""
    try:
        import duckdb
    except ImportError:
        raise NoParquet from None
    with tempfile.TemporaryDirectory(prefix="watcher-export-") as directory:
        lines, made = Path(directory, "items.jsonl"), Path(directory, "items.parquet")
        encode = msgspec.json.Encoder().encode_lines
        with lines.open("wb") as between:
            yield lambda items: between.write(encode(items))
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in _columns(shape).items())
        source = f"read_json('{lines}', format='newline_delimited', columns={{{columns}}})"
        with duckdb.connect(config={"memory_limit": _MEMORY, "threads": "2"}) as database:
            database.execute(f"SET temp_directory = '{directory}'")
            database.execute(
                f"COPY (SELECT * FROM {source}) TO '{made}' (FORMAT parquet, COMPRESSION zstd)"  # noqa: S608 -- names of our own
            )
        with made.open("rb") as whole:
            shutil.copyfileobj(whole, stream)


def _columns(shape: type[msgspec.Struct]) -> dict[str, str]:
    """Return DuckDB's type of each field."""
    return {field.name: _type(field.name, field.type) for field in msgspec.structs.fields(shape)}


def _type(name: str, kind: Any) -> str:
    if name in _MONEY:
        return "DECIMAL(38, 12)"
    if kind == dict[str, list[Any]]:
        return "JSON"
    plain = next((known for known in _TYPES if kind == known or kind == known | None), None)
    return "VARCHAR" if plain is None else _TYPES[plain]

"""Names and values that a panel may read otherwise than they were sent, and how servers do that."""

import json
import shutil
import subprocess
import unicodedata
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import pytest
from hypothesis import strategies as st

_RESERVED = st.sampled_from("key action service order orders refill refills".split())
_PIECES = st.sampled_from([*" ._-[]\0\t\n&=;%+#\u00a0\u200b\ufeff", "[]", "[0]", "%00", "&key=x"])


def _disguised(parts: tuple[str, str, str, bool]) -> str:
    before, name, after, is_upper = parts
    return before + (name.upper() if is_upper else name) + after


_PADDING = st.lists(_PIECES, max_size=2).map("".join)
_DISGUISES = st.tuples(_PADDING, _RESERVED, _PADDING, st.booleans()).map(_disguised)
_WIDE = _RESERVED.map(lambda name: "".join(chr(ord(c) + 0xFEE0) for c in name))
_ANY = st.text(st.characters(), max_size=12)
NAMES = _DISGUISES | _WIDE | _RESERVED | _ANY | st.sampled_from(["link", "quantity", "comments"])
VALUES = st.text(st.characters(), max_size=12) | st.tuples(_PADDING, _DISGUISES).map("".join)


def as_others_read(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the fields as the most careless server takes them, with all values of each."""
    read = defaultdict(list)
    for name, value in pairs:
        read[_careless(name)].append(value)
    return read


def _careless(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name).split("\0")[0].split("[")[0].casefold()
    return "".join(c for c in plain if c.isalnum())


class Php:
    """PHP's own reading of forms, as `$_POST` would have them."""

    _SCRIPT = (
        "while (($line = fgets(STDIN)) !== false) { parse_str(base64_decode($line), $read);"
        'echo json_encode($read, JSON_FORCE_OBJECT | JSON_INVALID_UTF8_SUBSTITUTE), "\\n"; }'
    )

    def __init__(self) -> None:
        php = shutil.which("php")
        if php is None:
            pytest.skip("there is no PHP: apt-get install php-cli")
        self._process = subprocess.Popen(
            [php, "-n", "-r", self._SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def read(self, body: bytes) -> dict[str, Any]:
        """Return the fields; an array has its items by their keys."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(b64encode(body) + b"\n")
        stdin.flush()
        read: dict[str, Any] = json.loads(stdout.readline())
        return read

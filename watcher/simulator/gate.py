"""Checks before the handlers: redirects, bot protection, required headers and fields."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from watcher.panels.protocol.serve import decode_form
from watcher.simulator.handlers import Reply, page
from watcher.simulator.switches import Shown
from watcher.simulator.traits import Trait

WANTED_HEADER = "X-Panel-Token"
WANTED_FIELD = "source"
_NO_KEY = {"error": "The key field is required."}

Sent = dict[str, str]


class Arrived(NamedTuple):
    """An HTTP request; `sent` is None if its parameters can't be read."""

    path: str
    headers: Mapping[str, str]
    sent: Sent | None

    @property
    def is_json(self) -> bool:
        return "json" in self.headers.get("Content-Type", "")


def read(body: bytes, content_type: str, *, as_json: bool) -> Sent:
    """Return a body's parameters, or raise ValueError. Few panels read JSON."""
    if "json" not in content_type:
        return decode_form(body, content_type)
    values: Any = msgspec.json.decode(body) if as_json else {}
    if not isinstance(values, dict):
        raise ValueError("a JSON body that is no object")
    return {name: str(value) for name, value in values.items()}


def stopped(arrived: Arrived, shown: Shown) -> tuple[Trait, Reply] | None:
    """Return the trait that stops the request, and its response; None if none does."""
    for trait in shown:
        reply = _GATES[trait](arrived) if trait in _GATES else None
        if reply is not None:
            return trait, reply
    return None


def _wall(arrived: Arrived) -> Reply | None:
    is_known = "Mozilla/" in arrived.headers.get("User-Agent", "")
    return None if is_known else page("Just a moment...", 403)


def _slash(arrived: Arrived) -> Reply | None:
    if arrived.path.endswith("/"):
        return None
    host = arrived.headers.get("Host", "")
    there = {"Location": f"http://{host}{arrived.path}/"}
    return page("301 Moved Permanently", 301)._replace(headers=there)


def _json_only(arrived: Arrived) -> Reply | None:
    return None if arrived.is_json else Reply(msgspec.json.encode(_NO_KEY), 400)


def _header(arrived: Arrived) -> Reply | None:
    if arrived.headers.get(WANTED_HEADER):
        return None
    return Reply(msgspec.json.encode({"error": f"{WANTED_HEADER} is missing"}), 401)


def _field(arrived: Arrived) -> Reply | None:
    if (arrived.sent or {}).get(WANTED_FIELD):
        return None
    return Reply(msgspec.json.encode({"error": f"The {WANTED_FIELD} field is required."}), 422)


_GATES: Mapping[Trait, Callable[[Arrived], Reply | None]] = {
    Trait.REDIRECTS_SLASH: _slash,
    Trait.WANTS_USER_AGENT: _wall,
    Trait.WANTS_JSON: _json_only,
    Trait.WANTS_HEADER: _header,
    Trait.WANTS_FIELD: _field,
}
WANTS = frozenset(_GATES)  # requirements that a client must be configured for

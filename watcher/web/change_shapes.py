"""The answer of `GET /v1/changes`."""

from typing import Any

import msgspec

from watcher.web.shapes import OrderView, Time


class OrderChangeView(msgspec.Struct, frozen=True):
    """A change, and the order as it is now: `state` may be newer than the change."""

    panel: str
    order: str
    reference: str | None
    at: Time
    changes: dict[str, list[Any]]
    state: OrderView


class ChangeList(msgspec.Struct, frozen=True):
    """Changes in the order of recording. `cursor` is `after` of the next request.

    `more`: there are further changes; with a filter this page may be empty all the same.
    """

    changes: list[OrderChangeView]
    cursor: str
    more: bool

"""Cursors of readers of changes: valid across restarts and restores of the database. Pure.

A cursor holds the id of the last change that was read. A restored backup gives the same ids again,
to other changes. So each start of a daemon begins an epoch, with a random mark and the last id
before it, and a cursor names the newest epochs, too. Two databases with the same mark have the same
changes up to the end of that epoch in either. A reader continues from there: it may get changes
again, and misses none.
"""

import base64
import binascii
import zlib
from collections.abc import Sequence

import msgspec

from watcher.errors import RequestError

NAMED = 16  # epochs in a cursor: so many starts may lie between a backup and its restore
_VERSION = "c1"
_LARGEST = 2**63 - 1


class BadCursor(RequestError):
    """That is no cursor of `GET /v1/changes`: give one as it came, or none to begin anew."""


class Epoch(msgspec.Struct, frozen=True, array_like=True):
    """The changes since a start: those with ids above `first`. `mark` is random."""

    first: int
    mark: int


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a reader has read: changes up to `id`, except those that were archived up to `archived`.

    `epochs` are the newest ones of the database that it was read from, oldest first.
    """

    id: int = 0
    archived: int = 0
    epochs: tuple[Epoch, ...] = ()

    def text(self) -> str:
        """Return the cursor as callers keep it."""
        body = msgspec.msgpack.encode(self)
        checked = zlib.crc32(body).to_bytes(4) + body
        return _VERSION + base64.urlsafe_b64encode(checked).decode().rstrip("=")


def cursor_from(text: str) -> Cursor:
    """Read a cursor's text; BadCursor if it is none."""
    coded = text.removeprefix(_VERSION)
    if coded == text or not coded.isascii() or len(text) > 1000:
        raise BadCursor
    try:
        checked = base64.b64decode(coded + "=" * (-len(coded) % 4), b"-_", validate=True)
        cursor = msgspec.msgpack.decode(checked[4:], type=Cursor)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise BadCursor from None
    numbers = (cursor.id, cursor.archived, *(epoch.first for epoch in cursor.epochs))
    if cursor.text() != text or not all(0 <= number <= _LARGEST for number in numbers):
        raise BadCursor
    return cursor


def resumed(cursor: Cursor, own: Sequence[Epoch]) -> Cursor:
    """Return the cursor as one of the database with these epochs, oldest first."""
    places = {epoch.mark: place for place, epoch in enumerate(own)}
    shared = 0  # the last id up to which both have the same changes
    for place, epoch in reversed(list(enumerate(cursor.epochs))):
        if epoch.mark in places:
            nexts = (*own[places[epoch.mark] + 1 :][:1], *cursor.epochs[place + 1 :][:1])
            shared = min((later.first for later in nexts), default=_LARGEST)
            break
    return Cursor(
        id=min(cursor.id, shared),
        archived=min(cursor.archived, shared),
        epochs=tuple(named(own)),
    )


def named(own: Sequence[Epoch]) -> list[Epoch]:
    """Return the epochs to name in a cursor: the newest; of those without a change only the last.

    So a daemon that is started again and again takes no room in cursors.
    """
    return list({epoch.first: epoch for epoch in own}.values())[-NAMED:]

"""Answers to actions with an HTTP error status: was anything done?

A status alone proves nothing: some panels place an order and answer with 429 or 503. An id in the
body means accepted; only a clear statement that nothing was done is a refusal.
"""

import re
from collections.abc import Mapping

from watcher.errors import PanelError, RateLimited, RemoteFault, ServerFault
from watcher.model import Accepted, RowError, Unclear, Verdict
from watcher.panels.protocol.answers import refusal

TOO_MANY_REQUESTS = 429
_READ = 2000  # bytes of a body that are searched for words
# An HTML page comes from a proxy in front of the panel, never from the code that places orders.
_PAGE = re.compile(rb"\s*<(?:!doctype|html|head|body|title|center|h1)\b", re.IGNORECASE)
_LIMIT = re.compile(
    rb"too many|rate.?limit|throttl|slow.?down|too fast|quota|retry.?after"
    rb"|(?:limit|requests?)\W{1,3}(?:\w+\W{1,3}){0,2}(?:exceeded|reached)|error code: 10(?:15|27)",
    re.IGNORECASE,
)


def read_failed(
    status: int, body: bytes, found: Mapping[str, Verdict] | PanelError
) -> dict[str, Verdict]:
    """Return the verdicts that hold despite the status; `found` is what the body alone gives.

    Raises RateLimited or a Refused if nothing was done, else a RemoteFault.
    """
    rows = {} if isinstance(found, PanelError) else dict(found)
    if any(isinstance(row, str) for row in rows.values()):
        return {id_: _sure(status, row) for id_, row in rows.items()}
    if any(_is_both(row) for row in rows.values()):
        raise (ServerFault if status >= 500 else RemoteFault)(_text(status, body, found))
    refused = bool(rows) and all(isinstance(row, RowError) for row in rows.values())
    if status == TOO_MANY_REQUESTS:
        raise _of_too_many(body, found, refused=refused)
    stated = refusal(body)
    if status >= 500:
        raise ServerFault(_text(status, body, stated or found))
    if status >= 400:
        if refused:
            return rows
        if stated is not None and not any(isinstance(row, Accepted) for row in rows.values()):
            raise stated
    raise RemoteFault(_text(status, body, found))


def _sure(status: int, row: Verdict) -> Verdict:
    """Return a row beside an accepted one; refusals beside it count only with a 4xx status."""
    if isinstance(row, str) or (isinstance(row, RowError) and 400 <= status < 500):
        return row
    return Unclear(f"HTTP {status}: {row.text}")


def _is_both(row: Verdict) -> bool:
    return isinstance(row, Unclear) and row.contradicts


def _of_too_many(
    body: bytes, found: Mapping[str, Verdict] | PanelError, *, refused: bool
) -> PanelError:
    stated = refusal(body)
    if refused or _is_only_a_limit(body, found, stated):
        text = f"HTTP {TOO_MANY_REQUESTS}"
        return RateLimited(f"{text}: {stated}" if stated else text)
    return RemoteFault(_text(TOO_MANY_REQUESTS, body, stated or found))


def _is_only_a_limit(
    body: bytes, found: Mapping[str, Verdict] | PanelError, stated: PanelError | None
) -> bool:
    if not body.strip() or _PAGE.match(body):
        return True
    if stated is not None:
        return not isinstance(stated, ServerFault)
    if not isinstance(found, PanelError) and any(isinstance(r, Accepted) for r in found.values()):
        return False
    return _LIMIT.search(body[:_READ]) is not None


def _text(status: int, body: bytes, found: Mapping[str, Verdict] | PanelError) -> str:
    return f"HTTP {status}: {_words(found)}" if body.strip() else f"HTTP {status}"


def _words(found: Mapping[str, Verdict] | PanelError) -> str:
    if isinstance(found, PanelError):
        return str(found)
    texts = [row if isinstance(row, str) else row.text for row in found.values()]
    return texts[0] if texts else "an empty answer"

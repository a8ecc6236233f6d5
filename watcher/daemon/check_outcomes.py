"""The outcomes of a requested check. Values only."""

from enum import StrEnum

import msgspec


class CheckOutcome(StrEnum):
    """What became of a check."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"  # the panel refuses the id, or leaves it out
    WAITING = "waiting"
    NOT_WATCHED = "not_watched"  # it can't be checked: unknown here, or closed


class WaitReason(StrEnum):
    """Why a check has no answer yet."""

    PAUSED = "paused"  # somebody has paused the panel's reads
    REFUSING = "refusing"  # the panel refuses everything
    DOWN = "down"
    LIMITED = "limited"  # the panel wants fewer requests
    RESTING = "resting"  # checked some seconds ago
    ASKED = "asked"  # the request is under way
    QUEUED = "queued"


class OrderCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One order's check. `sentence` says in words what was learnt, or why nothing yet.

    `until` is when the order is asked about, if that is known; `changes` has the old and the new
    value of what the panel now tells differently.
    """

    panel: str
    order_id: str
    outcome: CheckOutcome
    sentence: str
    why: WaitReason | None = None
    until: float | None = None
    changes: dict[str, tuple[object, object]] = {}

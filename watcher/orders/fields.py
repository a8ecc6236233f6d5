"""The table of an order's fields.

Memory, database, API, events, exports, `watcher show` and the rules' variables go by it. Whatever
needs it in a hot loop builds its columns, statements and converters from it once, at import.
`panel`, `id` and `key` are not here: they say which order it is.
"""

from decimal import Decimal
from enum import Enum, StrEnum, auto
from typing import Any

import msgspec

from watcher.model import Origin, Phase, Status


class FieldKind(Enum):
    """What a field's values are; memory, database and API hold each kind in one way."""

    WHOLE = auto()  # int or None
    SMALL = auto()  # int from 0 to 2**32, never None
    TIME = auto()  # Unix seconds or None
    MONEY = auto()  # Decimal or None
    CODE = auto()  # a member of `codes`
    WORD = auto()  # text or None; many orders have the same
    TEXT = auto()  # text or None, an order's own: in memory only where rules read it
    TAGS = auto()  # texts, in memory only where rules read them; JSON in the database


class FieldSource(Enum):
    """Where a field's values come from; it decides in which table of the database they are."""

    CALLER = auto()  # who tracks or submits the order: table `orders`
    PANEL = auto()  # the panel's answers, by way of `Observation`: table `order_states`
    WATCHER = auto()  # what follows from these and from calls: table `order_states`


class Field(msgspec.Struct, frozen=True):
    """One field of `model.Order`. It has this name in the database, the API and exports, too."""

    name: str
    kind: FieldKind
    source: FieldSource
    text: str  # what it is, for the API's description
    example: Any  # conditions of rules are tried on an order that has it
    title: str = ""  # what `watcher show` calls it; by default as it is named
    codes: type[StrEnum] = StrEnum
    null: Any = None  # the value that NULL in the database stands for
    required: bool = False  # NOT NULL in the database
    in_history: bool = True  # whether its changes are changes of the order
    is_progress: bool = False  # whether its changes are progress
    is_personal: bool = False  # about a person: the history says that it changed, not to what
    in_api: bool = True
    in_rules: bool = True

    @property
    def label(self) -> str:
        return self.title or self.name.removesuffix("_at").replace("_", " ")


WHOLE, SMALL, TIME, MONEY, CODE, WORD, TEXT, TAGS = FieldKind
CALLER, PANEL, WATCHER = FieldSource

# `watcher show` and `current` in events have them in this order.
FIELDS = (
    Field(
        "status", CODE, PANEL, "How far the order is, in one of nine words.", Status.PENDING,
        codes=Status, required=True,
    ),
    Field(
        "status_text", WORD, PANEL, "The status in the panel's own words.", "Pending",
        title="panel's word",
    ),
    Field(
        "problem", WORD, WATCHER, "Why the panel does not report the order, in its words.", None,
        in_rules=False,
    ),
    Field(
        "phase", CODE, WATCHER, "`open`; `guarded`: finished, rules may refill it; `closed`.",
        Phase.OPEN, codes=Phase, required=True, in_rules=False,
    ),
    Field("service", WORD, CALLER, "The panel's service.", "1"),
    Field("link", TEXT, CALLER, "What was ordered for.", "https://example.com/p"),
    Field("quantity", WHOLE, CALLER, "How many units were ordered.", 100),
    Field("reference", TEXT, CALLER, "The caller's own number of the order.", "1042"),
    Field(
        "customer", TEXT, CALLER, "Whose order it is, in the caller's words.", None,
        is_personal=True, in_rules=False,
    ),
    Field("tags", TAGS, CALLER, "The caller's words to find and group orders by.", ("vip",)),
    Field(
        "note", TEXT, CALLER, "What the caller notes on the order.", None,
        is_personal=True, in_rules=False,
    ),
    Field(
        "start_count", WHOLE, PANEL, "The link's count when the order began, as the panel says.", 5,
        is_progress=True,
    ),
    Field("remains", WHOLE, PANEL, "Units still to be delivered.", 50, is_progress=True),
    Field(
        "count", WHOLE, WATCHER, "The link's current count, measured elsewhere.", 30,
        title="count now",
    ),
    Field("charge", MONEY, PANEL, "What the panel charges for the order.", Decimal("1.5")),
    Field("currency", WORD, PANEL, "The charge's currency.", "USD"),
    Field("refills", SMALL, WATCHER, "Refills that the panel accepted.", 0, required=True),
    Field("submitted_at", TIME, CALLER, "When the order was submitted.", 1.0, required=True),
    Field(
        "progressed_at", TIME, WATCHER, "When the status, what remains or the start count changed.",
        2.0, required=True, in_history=False, in_rules=False,
    ),
    Field("finished_at", TIME, WATCHER, "When the order finished, if that is known.", 3.0),
    Field(
        "checked_at", TIME, WATCHER, "When the panel was asked about the order last.", 4.0,
        in_history=False, in_rules=False,
    ),
    Field(
        "origin", CODE, CALLER, "How much of its life before it was tracked is known.",
        Origin.WHOLE, codes=Origin, null=Origin.WHOLE, in_api=False, in_rules=False,
    ),
)  # fmt: skip

PROGRESS = tuple(field.name for field in FIELDS if field.is_progress)

PERSONAL = frozenset(field.name for field in FIELDS if field.is_personal)


def names_of(*kinds: FieldKind, source: FieldSource | None = None) -> tuple[str, ...]:
    """Return the names of the fields of these kinds, or of that source."""
    return tuple(
        field.name
        for field in FIELDS
        if (not kinds or field.kind in kinds) and source in (None, field.source)
    )


# Values of one order alone, with what stands for none: memory has those that rules read.
OWN: dict[str, Any] = dict.fromkeys(names_of(TEXT)) | dict.fromkeys(names_of(TAGS), ())
LABELS = frozenset(("reference", "customer", "tags", "note"))


def tags_of(text: str | None) -> tuple[str, ...]:
    """Return tags as an order has them, from the text that the database has."""
    return () if text is None else msgspec.json.decode(text, type=tuple[str, ...])


def tags_text(tags: tuple[str, ...]) -> str | None:
    """Return tags as the database has them: a JSON list, None for no tags."""
    return msgspec.json.encode(tags).decode() if tags else None

"""Recognises lists of orders by their columns, and what each column means. Pure.

1. The names of all columns together show which program wrote a list.
2. In the list of a shop the external numbers are the panel's. The shop's own numbers, of orders
   and services alike, mean nothing at the panel and are never used as the panel's. Its own number
   of an order becomes the order's reference.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from watcher.web.order_import.lines import NoTable
from watcher.web.order_import.names import (
    DOTTED_QUANTITY,
    OF_A_SHOP,
    ORDER,
    OUTER_ORDER,
    OUTER_SERVICE,
    PEOPLE,
    SERVICE,
    USUAL,
    Names,
    plain,
)


class Maker(NamedTuple):
    """A program that writes lists. It is recognised if all columns of a set in `known_by` exist."""

    name: str
    known_by: tuple[frozenset[str], ...]
    columns: Mapping[str, Names]
    is_shop: bool = True  # has numbers of its own besides the panel's


def _by(*sets: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(text.split()) for text in sets)


def _named(pairs: str) -> dict[str, Names]:
    return {field: (name,) for field, name in (pair.split("=") for pair in pairs.split())}


# The first that fits wrote the list.
MAKERS = (
    Maker(
        "SmartPanel's table of orders",
        _by("apiorderid apiserviceid apiproviderid"),
        _named(
            "order=apiorderid service=apiserviceid provider=apiproviderid link=link"
            " quantity=quantity submitted_at=created status=status customer=uid"
        ),
    ),
    Maker(
        "a PHP panel script's table of orders",
        _by("apiorderid apiserviceid orderapi", "apiorderid orderurl"),
        _named(  # order_finish is a count
            "order=apiorderid service=apiserviceid provider=orderapi link=orderurl"
            " quantity=orderquantity submitted_at=ordercreate status=orderstatus"
            " customer=clientid"
        ),
    ),
    Maker(
        "Perfect Panel's order list",
        _by("externalid user", "externalid provider", "externalid mode", "externalid servicename"),
        OF_A_SHOP | {"order": ("externalid",)},
    ),
    Maker(
        "a WooCommerce list of orders",
        _by(
            *("ordernumber orderstatus", "billingemail", "itemname ordernumber"),
            *("orderkey", "paymentmethodtitle", "customernote orderstatus"),
        ),
        # Completed there says that the shop is done, maybe before the panel has begun.
        {field: words for field, words in OF_A_SHOP.items() if field != "finished_at"},
    ),
    Maker("a shop's list of orders", tuple(frozenset({name}) for name in OUTER_ORDER), OF_A_SHOP),
    Maker(
        "a plain list of orders",
        (frozenset(),),
        {"order": ORDER, "service": (*OUTER_SERVICE, *SERVICE), **USUAL},
        is_shop=False,
    ),
)

_ORDER_IDS = frozenset((*OUTER_ORDER, *ORDER))


class Match(NamedTuple):
    """The columns of a list, by their fields."""

    maker: str
    places: dict[str, int]
    own: tuple[str, ...] = ()  # columns with numbers that mean nothing at the panel
    is_shop: bool = False
    has_people: bool = False
    dotted: bool = False  # a dot separates thousands


def score(text: str) -> int:
    """Return how many known names a line holds."""
    return len(_known_in(re.split(r"[,;\t|]", text.replace('"', ""))))


def likeness(names: Sequence[str]) -> tuple[bool, int]:
    """Return a key that orders sets of columns by how much they look like a list of orders."""
    known = _known_in(names)
    return "outer" in known, len(known) if has_order(names) else 0


def has_order(names: Sequence[str]) -> bool:
    """Return whether one of the columns is an order's id."""
    return any(plain(name) in _ORDER_IDS for name in names)


def other_order(names: Sequence[str], there: Sequence[bool]) -> int | None:
    """Return the surest column of an order's id among those that a row has."""
    words = [plain(name) if is_there else "" for name, is_there in zip(names, there, strict=True)]
    return _places({"order": ORDER}, words).get("order")


def match(
    names: Sequence[str], chosen: Mapping[str, str] | None = None, *, apart: bool = False
) -> Match:
    """Recognise the list by the names of its columns. NoTable says what was looked for.

    `chosen` gives the column of a field by its name or its place, from 1. `apart`: no row has two
    columns of an order's id.
    """
    words = [plain(name) for name in names]
    maker = next(m for m in MAKERS if any(known <= set(words) for known in m.known_by))
    places = _places(maker.columns, words)
    taken = {field: _chosen_place(name, names) for field, name in (chosen or {}).items()}
    is_shop = maker.is_shop
    order = taken.get("order", places.get("order"))
    others = {n for n, word in enumerate(words) if word == "id" or n == places.get("order")}
    if order is not None and not is_shop and not apart and others - {order}:
        is_shop = True  # the other number of an order is the shop's own, and so is its service
        places = _places({**maker.columns, "service": OUTER_SERVICE}, words)
    places |= {"order": order} if order is not None else {}
    if is_shop and "reference" not in places:
        places |= _own_number(words, places.get("order"))
    if places.get("reference") == places.get("order"):
        places.pop("reference", None)
    places |= taken
    if "order" not in places:
        raise NoTable(_looked_for(maker, names))
    used = set(places.values())
    own = {*ORDER, *SERVICE} if is_shop else set()
    quantity = words[places["quantity"]] if "quantity" in places else ""
    return Match(
        maker=maker.name,
        places=places,
        own=tuple(names[n] for n, word in enumerate(words) if word in own and n not in used),
        is_shop=is_shop,
        has_people=bool(PEOPLE & set(words)),
        dotted=quantity in DOTTED_QUANTITY,
    )


def _places(columns: Mapping[str, Names], words: Sequence[str]) -> dict[str, int]:
    places = {}
    for field, known in columns.items():
        found = next((word for word in known if word in words), None)
        if found is not None:
            places[field] = words.index(found)
    return places


def _own_number(words: Sequence[str], order: int | None) -> dict[str, int]:
    """Return the place of the shop's own number of an order, as that of the reference."""
    return _places({"reference": ORDER}, ["" if n == order else w for n, w in enumerate(words)])


def _chosen_place(name: str, names: Sequence[str]) -> int:
    for place, column in enumerate(names):
        if column == name:
            return place
    alike = [place for place, column in enumerate(names) if plain(column) == plain(name) != ""]
    if alike:
        return alike[0]
    if name.isascii() and name.isdecimal() and 1 <= int(name) <= len(names):
        return int(name) - 1
    raise NoTable(f"there is no column {name!r}: the list has {_shown(names)}")


def _looked_for(maker: Maker, names: Sequence[str]) -> str:
    if maker.is_shop:
        return (
            f"{maker.name}, without the panel's number of an order: its own number means nothing "
            "at the panel. Looked for External ID, Provider order ID, API order ID, SMM order ID; "
            f"the list has {_shown(names)}. Name it with --column order=NAME"
        )
    return (
        "no column is named order, order_id or id: name it with --column order=NAME. "
        f"Nor is one external_id, provider_order_id or api_order_id; the list has {_shown(names)}"
    )


def _shown(names: Sequence[str]) -> str:
    some = [name.strip()[:40] or "(no name)" for name in names[:12]]
    return ", ".join(map(repr, some)) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _known_in(names: Sequence[str]) -> dict[str, int]:
    words = [plain(name) for name in names]
    every = {"outer": OUTER_ORDER, "order": ORDER, "service": SERVICE, **USUAL}
    return _places(every, words)

"""Which lists of orders there are, by their makers, and what each column of theirs means: pure.

1. A list is recognised as one maker's by the names of its columns, all together.
2. In a list of one's own shop the panel's numbers are the external ones. Its own numbers, of
   orders and of services alike, mean nothing at the panel, and are never taken for the panel's.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import NamedTuple

Names = tuple[str, ...]

FIELDS = (
    *("order", "service", "link", "quantity", "submitted_at"),
    *("finished_at", "provider", "panel", "status"),
)
_OUTSIDE = (
    *("external", "provider", "api", "panel", "smm", "smmpanel", "supplier", "remote"),
    *("vendor", "upstream", "source"),
)
_OWNERS = tuple(f"{name}s" for name in _OUTSIDE)  # as in "provider's order ID"
# As in "order ID (provider)"; order_api is the number of a provider in PHP scripts.
_AFTER = tuple(name for name in _OUTSIDE if name != "api")


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """A column's name without case, accents, spaces and marks."""
    letters = unicodedata.normalize("NFKD", name.lower().replace("ı", "i"))
    return re.sub(r"[\W_]+", "", letters.lower())


def _joined(first: Iterable[str], second: Iterable[str]) -> Names:
    return tuple("".join(pair) for pair in product(first, second))


def _plain(text: str) -> Names:
    return tuple(dict.fromkeys(plain(name) for name in text.split(",")))


# The names of a list's columns, the surest first. A dot in numbers of these languages separates
# thousands; English ones are not among them.
_ORDER_WORDS = _plain(
    "order id, order, order number, order no, order nr, order #, id заказа, номер заказа,"
    "№ заказа, заказ, id замовлення, номер замовлення, sipariş id, sipariş no, sipariş numarası,"
    "sipariş, id do pedido, número do pedido, nº do pedido, pedido, id del pedido, id pedido,"
    "número de pedido, nº pedido, n.º de pedido, bestellnummer, bestell-id, bestell-nr,"
    "auftragsnummer, id de commande, id commande, numéro de commande, n° de commande, commande,"
    "id ordine, numero ordine, id pesanan, nomor pesanan, no pesanan, pesanan, mã đơn hàng,"
    "mã đơn, id đơn hàng, id zamówienia, numer zamówienia, رقم الطلب, معرف الطلب, 订单号,"
    "订单编号, 订单id, id"
)
_SERVICE_WORDS = _plain(
    "service id, service number, service no, service, id услуги, услуга, id сервиса, сервис,"
    "послуга, servis id, servis no, servis, hizmet id, hizmet, id do serviço, serviço,"
    "id del servicio, servicio, dienst-id, dienst, id du service, id servizio, servizio,"
    "id layanan, layanan, mã dịch vụ, dịch vụ, id usługi, usługa, الخدمة, رقم الخدمة, 服务id, 服务"
)
_LINK_WORDS = _plain(
    "link, url, target, ссылка, посилання, bağlantı, enlace, lien, collegamento, liên kết,"
    "الرابط, 链接"
)
_QUANTITY_WORDS = _plain(
    "quantity, qty, amount ordered, quantité, количество, кол-во, кількість, 数量, الكمية"
)
_DOTTED_QUANTITY_WORDS = _plain(
    "miktar, adet, quantidade, qtde, cantidad, menge, anzahl, quantità, jumlah, số lượng"
)
_CREATED_WORDS = _plain(
    "submitted at, submitted, created at, created on, created, date created, created date,"
    "order date, ordered at, placed at, date, datetime, timestamp, created timestamp,"
    "дата создания, дата заказа, создан, дата, sipariş tarihi, oluşturulma tarihi, tarih,"
    "data do pedido, criado em, data, fecha de creación, fecha del pedido, fecha, bestelldatum,"
    "erstellt am, datum, date de commande, date de création, tanggal pesanan, tanggal, ngày tạo,"
    "ngày, التاريخ, 创建时间, 日期"
)
_FINISHED_WORDS = _plain(
    "finished at, finished on, finished, completed at, completed on, completed date,"
    "date completed, completion date, completion time, completed time, completed, end date,"
    "ended at, дата завершения, дата выполнения, завершен, выполнен, tamamlanma tarihi,"
    "bitiş tarihi, concluído em, data de conclusão, fecha de finalización, finalizado,"
    "abgeschlossen am, date de fin, terminé le, tanggal selesai, ngày hoàn thành, 完成时间"
)
_STATUS_WORDS = _plain(
    "status, order status, status name, статус, durum, estado, statut, stato, trạng thái, الحالة"
)
_PROVIDER_WORDS = (
    *("provider", "providername", "apiprovider", "apiprovidername", "apiproviderid", "orderapi"),
    *("supplier", "suppliername", "vendor", "vendorname", "apiname", "apiid", "providerid"),
    *("externalprovider", "smmpanel", "panelname"),
    *_plain(
        "поставщик, провайдер, постачальник, sağlayıcı, fornecedor, provedor, proveedor, anbieter,"
        "fournisseur, fornitore, penyedia, nhà cung cấp"
    ),
)
_QUANTITIES = (*_QUANTITY_WORDS, *_DOTTED_QUANTITY_WORDS, "count")
_ORDER_STEMS = ("orderid", "ordernumber", "orderno", "order")
_SERVICE_STEMS = ("serviceid", "servicenumber", "serviceno", "service")
_OUTER_ORDER = (
    *_joined((*_OUTSIDE, *_OWNERS), _ORDER_STEMS),
    *_joined(_ORDER_STEMS, _AFTER),
    *("externalid", "remoteid", "smmid", "externalorderids"),
    *_plain(
        "внешний id, внешний id заказа, id внешнего заказа, id заказа поставщика,"
        "id заказа провайдера, id у поставщика, id у провайдера, sağlayıcı sipariş id,"
        "sağlayıcı sipariş no, api sipariş id, api sipariş no, harici id, dış sipariş id,"
        "id externo, id do pedido externo, id do pedido no fornecedor, id pedido api,"
        "id de pedido externo, id del pedido externo, id del pedido del proveedor, externe id,"
        "externe bestellnummer, id externe, id commande externe, id esterno, id eksternal"
    ),
)
_OUTER_SERVICE = (
    *_joined((*_OUTSIDE, *_OWNERS), _SERVICE_STEMS),
    *_joined(_SERVICE_STEMS, _AFTER),
    *_plain(
        "внешний id услуги, id услуги поставщика, id услуги провайдера, sağlayıcı servis id,"
        "api servis id, id do serviço externo, id do serviço no fornecedor,"
        "id del servicio externo, id del servicio del proveedor"
    ),
)
_PEOPLE = frozenset(
    (
        *("user", "username", "userid", "useremail", "uid", "client", "clientid", "clientname"),
        *("customer", "customerid", "customername", "customeremail", "email", "billingemail"),
    )
)
_USUAL: dict[str, Names] = {
    "link": _LINK_WORDS,
    "quantity": _QUANTITIES,
    "submitted_at": _CREATED_WORDS,
    "finished_at": _FINISHED_WORDS,
    "provider": _PROVIDER_WORDS,
    "panel": ("panel",),
    "status": _STATUS_WORDS,
}
_OF_A_SHOP = {"order": _OUTER_ORDER, "service": _OUTER_SERVICE, **_USUAL}


class Maker(NamedTuple):
    """A list's maker. `known_by`: one of these sets of columns is there, as a whole."""

    name: str
    known_by: tuple[frozenset[str], ...]
    columns: Mapping[str, Names]
    is_shop: bool = True  # has numbers of its own besides the panel's


def _by(*sets: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(text.split()) for text in sets)


# The first that fits is the list's.
MAKERS = (
    Maker(
        "SmartPanel's table of orders",
        _by("apiorderid apiserviceid apiproviderid"),
        {
            "order": ("apiorderid",),
            "service": ("apiserviceid",),
            "provider": ("apiproviderid",),
            "link": ("link",),
            "quantity": ("quantity",),
            "submitted_at": ("created",),
            "status": ("status",),
        },
    ),
    Maker(
        "a PHP panel script's table of orders",
        _by("apiorderid apiserviceid orderapi", "apiorderid orderurl"),
        {
            "order": ("apiorderid",),
            "service": ("apiserviceid",),
            "provider": ("orderapi",),
            "link": ("orderurl",),
            "quantity": ("orderquantity",),
            "submitted_at": ("ordercreate",),  # order_finish is a count
            "status": ("orderstatus",),
        },
    ),
    Maker(
        "Perfect Panel's order list",
        _by("externalid user", "externalid provider", "externalid mode", "externalid servicename"),
        _OF_A_SHOP | {"order": ("externalid",)},
    ),
    Maker(
        "a WooCommerce list of orders",
        _by(
            *("ordernumber orderstatus", "billingemail", "itemname ordernumber"),
            *("orderkey", "paymentmethodtitle", "customernote orderstatus"),
        ),
        # Completed there says that the shop is done, maybe before the panel has begun.
        {field: words for field, words in _OF_A_SHOP.items() if field != "finished_at"},
    ),
    Maker("a shop's list of orders", tuple(frozenset({name}) for name in _OUTER_ORDER), _OF_A_SHOP),
    Maker(
        "a plain list of orders",
        (frozenset(),),
        {"order": _ORDER_WORDS, "service": (*_OUTER_SERVICE, *_SERVICE_WORDS), **_USUAL},
        is_shop=False,
    ),
)
OUTER_ORDER = frozenset(_OUTER_ORDER)


class Match(NamedTuple):
    """What a list's columns are."""

    maker: str
    places: dict[str, int]
    own: tuple[str, ...] = ()  # columns with numbers that mean nothing at the panel
    is_shop: bool = False
    has_people: bool = False
    dotted: bool = False  # a dot separates thousands


class NoMatch(ValueError):
    """The list has no column that can be an order's id."""


def score(text: str) -> int:
    """How many known names stand in a line."""
    return len(_known_in(re.split(r"[,;\t|]", text.replace('"', ""))))


def likeness(names: Sequence[str]) -> tuple[bool, int]:
    """How much columns of these names are those of orders: to be compared."""
    known = _known_in(names)
    return "outer" in known, len(known) if has_order(names) else 0


def has_order(names: Sequence[str]) -> bool:
    """Whether one of the columns is an order's id."""
    return any(plain(name) in OUTER_ORDER or plain(name) in _ORDER_WORDS for name in names)


def other_order(names: Sequence[str], there: Sequence[bool]) -> int | None:
    """The surest column of an order's id among those that a row of a plain list has."""
    words = [plain(name) if is_there else "" for name, is_there in zip(names, there, strict=True)]
    return _places({"order": _ORDER_WORDS}, words).get("order")


def match(
    names: Sequence[str], chosen: Mapping[str, str] | None = None, *, apart: bool = False
) -> Match:
    """Whose list has columns of these names, and which is what. NoMatch says what was looked for.

    `chosen` names the column of a field: by its name, or by its place from 1 on. `apart`: no row
    has two columns of an order's id.
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
        places = _places({**maker.columns, "service": _OUTER_SERVICE}, words)
    places |= {"order": order} if order is not None else {}
    places |= taken
    if "order" not in places:
        raise NoMatch(_looked_for(maker, names))
    used = set(places.values())
    own = {*_ORDER_WORDS, *_SERVICE_WORDS} if is_shop else set()
    quantity = words[places["quantity"]] if "quantity" in places else ""
    return Match(
        maker=maker.name,
        places=places,
        own=tuple(names[n] for n, word in enumerate(words) if word in own and n not in used),
        is_shop=is_shop,
        has_people=bool(_PEOPLE & set(words)),
        dotted=quantity in _DOTTED_QUANTITY_WORDS,
    )


def _places(columns: Mapping[str, Names], words: Sequence[str]) -> dict[str, int]:
    places = {}
    for field, known in columns.items():
        found = next((word for word in known if word in words), None)
        if found is not None:
            places[field] = words.index(found)
    return places


def _chosen_place(name: str, names: Sequence[str]) -> int:
    for place, column in enumerate(names):
        if column == name:
            return place
    alike = [place for place, column in enumerate(names) if plain(column) == plain(name) != ""]
    if alike:
        return alike[0]
    if name.isascii() and name.isdecimal() and 1 <= int(name) <= len(names):
        return int(name) - 1
    raise NoMatch(f"there is no column {name!r}: the list has {_shown(names)}")


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
    every = {"outer": _OUTER_ORDER, "order": _ORDER_WORDS, "service": _SERVICE_WORDS, **_USUAL}
    return _places(every, words)

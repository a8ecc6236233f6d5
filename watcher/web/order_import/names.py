"""Names of columns in lists of orders, in many languages: pure.

Names are compared without case, accents, spaces and marks. Those of a field are listed by how
sure they are, the surest first.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import product

Names = tuple[str, ...]

FIELDS = (
    *("order", "service", "link", "quantity", "submitted_at"),
    *("finished_at", "provider", "panel", "status"),
    *("reference", "customer", "tags", "note"),
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
    """Return a column's name without case, accents, spaces and marks."""
    letters = unicodedata.normalize("NFKD", name.lower().replace("ı", "i"))
    return re.sub(r"[\W_]+", "", letters.lower())


def _joined(first: Iterable[str], second: Iterable[str]) -> Names:
    return tuple("".join(pair) for pair in product(first, second))


def _plain(text: str) -> Names:
    return tuple(dict.fromkeys(plain(name) for name in text.split(",")))


# The names of a list's columns, the surest first. A dot in numbers of these languages separates
# thousands; English ones are not among them.
ORDER = _plain(
    "order id, order, order number, order no, order nr, order #, id заказа, номер заказа,"
    "№ заказа, заказ, id замовлення, номер замовлення, sipariş id, sipariş no, sipariş numarası,"
    "sipariş, id do pedido, número do pedido, nº do pedido, pedido, id del pedido, id pedido,"
    "número de pedido, nº pedido, n.º de pedido, bestellnummer, bestell-id, bestell-nr,"
    "auftragsnummer, id de commande, id commande, numéro de commande, n° de commande, commande,"
    "id ordine, numero ordine, id pesanan, nomor pesanan, no pesanan, pesanan, mã đơn hàng,"
    "mã đơn, id đơn hàng, id zamówienia, numer zamówienia, رقم الطلب, معرف الطلب, 订单号,"
    "订单编号, 订单id, id"
)
SERVICE = _plain(
    "service id, service number, service no, service, id услуги, услуга, id сервиса, сервис,"
    "послуга, servis id, servis no, servis, hizmet id, hizmet, id do serviço, serviço,"
    "id del servicio, servicio, dienst-id, dienst, id du service, id servizio, servizio,"
    "id layanan, layanan, mã dịch vụ, dịch vụ, id usługi, usługa, الخدمة, رقم الخدمة, 服务id, 服务"
)
_LINK = _plain(
    "link, url, target, ссылка, посилання, bağlantı, enlace, lien, collegamento, liên kết,"
    "الرابط, 链接"
)
_QUANTITY = _plain(
    "quantity, qty, amount ordered, quantité, количество, кол-во, кількість, 数量, الكمية"
)
DOTTED_QUANTITY = _plain(
    "miktar, adet, quantidade, qtde, cantidad, menge, anzahl, quantità, jumlah, số lượng"
)
_CREATED = _plain(
    "submitted at, submitted, created at, created on, created, date created, created date,"
    "order date, ordered at, placed at, date, datetime, timestamp, created timestamp,"
    "дата создания, дата заказа, создан, дата, sipariş tarihi, oluşturulma tarihi, tarih,"
    "data do pedido, criado em, data, fecha de creación, fecha del pedido, fecha, bestelldatum,"
    "erstellt am, datum, date de commande, date de création, tanggal pesanan, tanggal, ngày tạo,"
    "ngày, التاريخ, 创建时间, 日期"
)
_FINISHED = _plain(
    "finished at, finished on, finished, completed at, completed on, completed date,"
    "date completed, completion date, completion time, completed time, completed, end date,"
    "ended at, дата завершения, дата выполнения, завершен, выполнен, tamamlanma tarihi,"
    "bitiş tarihi, concluído em, data de conclusão, fecha de finalización, finalizado,"
    "abgeschlossen am, date de fin, terminé le, tanggal selesai, ngày hoàn thành, 完成时间"
)
_STATUS = _plain(
    "status, order status, status name, статус, durum, estado, statut, stato, trạng thái, الحالة"
)
_PROVIDER = (
    *("provider", "providername", "apiprovider", "apiprovidername", "apiproviderid", "orderapi"),
    *("supplier", "suppliername", "vendor", "vendorname", "apiname", "apiid", "providerid"),
    *("externalprovider", "smmpanel", "panelname"),
    *_plain(
        "поставщик, провайдер, постачальник, sağlayıcı, fornecedor, provedor, proveedor, anbieter,"
        "fournisseur, fornitore, penyedia, nhà cung cấp"
    ),
)
_QUANTITIES = (*_QUANTITY, *DOTTED_QUANTITY, "count")
_ORDER_STEMS = ("orderid", "ordernumber", "orderno", "order")
_SERVICE_STEMS = ("serviceid", "servicenumber", "serviceno", "service")
OUTER_ORDER = (
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
OUTER_SERVICE = (
    *_joined((*_OUTSIDE, *_OWNERS), _SERVICE_STEMS),
    *_joined(_SERVICE_STEMS, _AFTER),
    *_plain(
        "внешний id услуги, id услуги поставщика, id услуги провайдера, sağlayıcı servis id,"
        "api servis id, id do serviço externo, id do serviço no fornecedor,"
        "id del servicio externo, id del servicio del proveedor"
    ),
)
REFERENCE = _plain(
    "reference, order reference, ref, my order id, shop order id, shop order number,"
    "client order id, референс, referencia, referência, référence, referenz, referans"
)
CUSTOMER = ("customer", "customername", "customerid", "client", "clientname", "clientid")
_USER = ("user", "username", "userid", "uid", "customeremail", "useremail", "email", "billingemail")
PEOPLE = frozenset((*CUSTOMER, *_USER))
_TAGS = _plain("tags, tag, labels, label, теги, метки, etiquetas, étiquettes, etiketler")
_NOTE = _plain(
    "note, notes, order note, order notes, customer note, remark, remarks, заметка, примечание,"
    "nota, notas, notiz"
)
USUAL: dict[str, Names] = {
    "link": _LINK,
    "quantity": _QUANTITIES,
    "submitted_at": _CREATED,
    "finished_at": _FINISHED,
    "provider": _PROVIDER,
    "panel": ("panel",),
    "status": _STATUS,
    "reference": REFERENCE,
    "customer": CUSTOMER,
    "tags": _TAGS,
    "note": _NOTE,
}
# Its own number of an order is the reference: see `layouts`.
OF_A_SHOP = {
    "order": OUTER_ORDER,
    "service": OUTER_SERVICE,
    **USUAL,
    "customer": (*CUSTOMER, *_USER),
}

"""Lists by their makers: which column means what, in every form in which such a list comes."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.workbook import package, workbook
from watcher.web.order_import.layouts import MAKERS, match
from watcher.web.order_import.lines import MOST_BYTES, Problem
from watcher.web.order_import.names import plain
from watcher.web.order_import.notes import Notes
from watcher.web.order_import.order_list import Layout, ListRow, read
from watcher.web.shapes import TrackItem

AT = datetime(2024, 5, 31, 18, tzinfo=UTC)
LINK = "https://example.com/a"


def reading(
    raw: str | bytes, panel: str = "genie", **options: Any
) -> tuple[list[ListRow | Problem], list[str], Layout | None]:
    """What is found, what is noted, and the layout."""
    notes, told = Notes(), list[Layout]()
    stream = BytesIO(raw.encode() if isinstance(raw, str) else raw)
    found = list(read(stream, panel, notes=notes, on_layout=told.append, **options))
    return found, notes.lines("row"), told[0] if told else None


def items(raw: str | bytes, **options: Any) -> list[TrackItem]:
    found = reading(raw, **options)[0]
    assert all(isinstance(row, ListRow) for row in found), found
    return [row.item for row in found if isinstance(row, ListRow)]


def cause(raw: str | bytes, **options: Any) -> str:
    [problem] = reading(raw, **options)[0]
    assert isinstance(problem, Problem)
    return problem.cause


# Lists of a shop of one's own: the shop's order is 9001 and its service 88, the panel's 23501 and
# 12 where the list tells it. Each: the columns, a row, the service to find, and the maker; the
# customer is CUSTOMERS'.
SHOPS: dict[str, tuple[str, str, str | None, str]] = {
    "SmartPanel, by phpMyAdmin": (
        "id,ids,type,cate_id,service_id,main_order_id,service_type,api_provider_id,api_service_id,"
        "api_order_id,uid,link,quantity,charge,status,start_counter,remains,changed,created",
        "9001,f00,api,3,88,NULL,default,2,12,23501,5,https://example.com/a,1000,0.45,completed,10,0,"
        "2024-06-09 10:00:00,2024-05-31 18:00:00",
        "12",
        "SmartPanel's table of orders",
    ),
    "a PHP script, by phpMyAdmin": (
        "order_id,client_id,service_id,api_orderid,order_error,order_api,api_serviceid,api_charge,"
        "order_quantity,order_charge,order_url,order_start,order_finish,order_remains,"
        "order_create,order_status,last_check",
        "9001,17,88,23501,-,3,12,0.40,1000.00,0.45,https://example.com/a,100,1100,0,"
        "2024-05-31 18:00:00,completed,2024-06-09 10:00:00",
        "12",
        "a PHP panel script's table of orders",
    ),
    "Perfect Panel": (
        "ID,User,External ID,Charge,Link,Start count,Quantity,Service,Status,Remains,Created,Mode",
        "9001,bob,23501,0.9,https://example.com/a,10,1000,88 - Likes,Completed,0,"
        "2024-05-31 18:00:00,Auto",
        None,
        "Perfect Panel's order list",
    ),
    "Perfect Panel's admin API": (
        "id,external_id,user,link,start_count,quantity,service_id,service_name,provider,status,"
        "created,mode",
        "9001,23501,bob,https://example.com/a,1,1000,88,Likes,genie.com,completed,"
        "2024-05-31 18:00:00,auto",
        None,
        "Perfect Panel's order list",
    ),
    "WooCommerce": (
        "Order Number,Order Status,SMM Order ID,SMM Service ID,Item Name,Link,Quantity,Order Date,"
        "Completed Date",
        "9001,Completed,23501,12,Likes,https://example.com/a,1000,2024-05-31 18:00,"
        "2024-05-31 18:02",
        "12",
        "a WooCommerce list of orders",
    ),
    "any other shop": (
        "id,service,provider_order_id,provider_service_id,link,quantity,created_at",
        "9001,88,23501,12,https://example.com/a,1000,2024-05-31T18:00:00.000Z",
        "12",
        "a shop's list of orders",
    ),
}


CUSTOMERS = {
    "SmartPanel, by phpMyAdmin": "5",
    "a PHP script, by phpMyAdmin": "17",
    "Perfect Panel": "bob",
    "Perfect Panel's admin API": "bob",
}


def as_csv(names: list[str], rows: Sequence[Sequence[str]], delimiter: str = ",") -> str:
    lines = [delimiter.join(f'"{cell}"' for cell in row) for row in (names, *rows)]
    return "\r\n".join(lines) + "\r\n"


def as_objects(names: list[str], rows: Sequence[Sequence[str]]) -> list[dict[str, str | None]]:
    return [
        {n: None if cell == "NULL" else cell for n, cell in zip(names, row, strict=True)}
        for row in rows
    ]


def as_html(names: list[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return f"<html><body><table border=1><tr>{head}</tr>{body}</table></body></html>"


def php_my_admin(rows: list[dict[str, str | None]]) -> str:
    header = {"type": "header", "version": "5.2.0", "comment": "Export to JSON"}
    other = {"type": "table", "name": "users", "data": [{"id": "1", "email": "a@example.com"}] * 9}
    table = {"type": "table", "name": "orders", "database": "smm", "data": rows}
    return json.dumps([header, {"type": "database", "name": "smm"}, other, table])


FORMS = {
    "commas": as_csv,
    "semicolons": lambda names, rows: as_csv(names, rows, ";"),
    "tabs": lambda names, rows: as_csv(names, rows, "\t"),
    "UTF-16": lambda names, rows: as_csv(names, rows, "\t").encode("utf-16"),
    "UTF-16 without a mark": lambda names, rows: as_csv(names, rows, "\t").encode("utf-16-le"),
    "old lines": lambda names, rows: as_csv(names, rows).replace("\r\n", "\r"),
    "lines": lambda n, rows: "\n".join(json.dumps(row) for row in as_objects(n, rows)),
    "array": lambda names, rows: json.dumps(as_objects(names, rows)),
    "indented": lambda names, rows: json.dumps(as_objects(names, rows), indent=2),
    "wrapped": lambda names, rows: json.dumps(
        {"data": {"count": 1, "list": as_objects(names, rows)}, "error_code": 0}
    ),
    "orders": lambda names, rows: json.dumps({"orders": as_objects(names, rows)}),
    "PHP's object": lambda names, rows: json.dumps(
        {str(n): row for n, row in enumerate(as_objects(names, rows), 7)}
    ),
    "phpMyAdmin": lambda names, rows: php_my_admin(as_objects(names, rows)),
    "HTML": as_html,
    "XLSX": lambda names, rows: workbook([["notes"]], [names, *rows]),
    "XLSX, texts inline": lambda names, rows: workbook([names, *rows], shared=False),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shop", SHOPS)
def test_a_shops_list_gives_the_panels_numbers(shop: str, form: str) -> None:
    columns, row, service, maker = SHOPS[shop]
    raw = FORMS[form](columns.split(","), [row.split(",")])
    found, _, layout = reading(raw)
    assert [row.item for row in found if isinstance(row, ListRow)] == [
        TrackItem(
            *("genie", "23501", service, LINK, 1000, AT),
            reference="9001",
            customer=CUSTOMERS.get(shop),
        )
    ]
    assert layout is not None
    assert layout.maker == maker


@pytest.mark.parametrize("nothing", ["", "0", "-1", "NULL", "\\N", "-"])
def test_what_was_ordered_nowhere_is_skipped_and_noted(nothing: str) -> None:
    found, notes, _ = reading(f"id,service,external_id\n1,88,{nothing}\n2,88,23501\n")
    assert [row.item for row in found if isinstance(row, ListRow)] == [
        TrackItem("genie", "23501", reference="2")
    ]
    assert notes == ["not ordered at a panel, skipped: row 2"]


def test_a_shops_own_number_is_never_taken_for_the_panels() -> None:
    text = "Order Number,Order Status,Item Name,Order Date\n5501,Completed,Likes,2024-05-31\n"
    said = cause(text)
    assert "WooCommerce" in said
    assert "Looked for External ID, Provider order ID" in said
    assert items(text, columns={"order": "Order Number"})[0].order == "5501"


def test_a_second_number_of_an_order_is_the_shops_own_as_is_its_service() -> None:
    found = items("id,order_id,service_id\n9001,23501,88\n")
    assert found == [TrackItem("genie", "23501", reference="9001")]
    given = items("id,order_id,service_id\n1,23501,88\n", columns={"service": "service_id"})
    assert given == [TrackItem("genie", "23501", "88", reference="1")]
    # One number alone, whatever its name, is the panel's.
    assert items("nr,service\n23501,12\n", columns={"order": "nr"})[0].service == "12"


@pytest.mark.parametrize(
    "name",
    [
        *("external_id", "externalOrderId", "Provider Order ID", "Order ID (provider)"),
        *("Provider's order number", "API Order", "SMM Order ID", "Supplier order no."),
        *("ID заказа поставщика", "Sağlayıcı Sipariş ID", "ID externo", "Externe ID"),
    ],
)
def test_names_of_the_panels_number(name: str) -> None:
    text = f"Order ID,Service ID,{name},Link\n9001,88,23501,{LINK}\n"
    assert items(text) == [TrackItem("genie", "23501", None, LINK, reference="9001")]


def test_a_list_with_people_in_it_may_be_the_shops_own() -> None:
    layout = reading("ID;User;Link\n23501;bob;https://example.com/a\n")[2]
    assert layout is not None
    assert "check that 'ID' is the panel's number of the order" in layout.remarks[0]


def test_external_ids_that_come_late_are_no_surprise() -> None:
    rows = [{"id": n, "service": 88} for n in range(50)] + [{"id": 50, "external_id": 23501}]
    found = reading("\n".join(map(json.dumps, rows)), json=True)[0]
    assert [row.item.order for row in found if isinstance(row, ListRow)] == ["23501"]
    rows = [{"id": n, "service": 88} for n in range(1, 200)] + [{"id": 200, "external_id": 7}]
    *_, last = reading("\n".join(map(json.dumps, rows)), json=True)[0]
    assert isinstance(last, Problem)
    assert "'external_id' is in no row before" in last.cause


def provided(*names: str) -> str:
    return "external_id,provider\n" + "".join(f"{n},{p}\n" for n, p in enumerate(names, 1))


@pytest.mark.parametrize(
    ("names", "orders"),
    [
        (("genie", "Genie", "other", "", "3"), ["1", "2"]),
        (("genie.com", "other", "genie.com"), ["1", "3"]),
        (("https://www.genie.com/api/v2", "other"), ["1"]),
        (("genie.com", "genie.net"), []),
        (("genie.com", "genie"), ["2"]),
        (("2", "2", "0"), []),
        (("2", "2"), ["1", "2"]),
        (("2", "3"), []),
        (("2", "other"), []),
        (("", ""), ["1", "2"]),
        (("", "other"), []),
        (("eugenie.com", "genie2"), []),
    ],
)
def test_rows_of_other_providers_are_skipped_and_noted(
    names: tuple[str, ...], orders: list[str]
) -> None:
    found, notes, _ = reading(provided(*names))
    assert [row.item.order for row in found if isinstance(row, ListRow)] == orders
    assert len(found) == len(orders)
    skipped = [note for note in notes if "skipped" in note]
    assert bool(skipped) == (len(orders) < len(names))


def test_a_provider_may_be_named() -> None:
    assert [item.order for item in items(provided("2", "3", "3"), provider="3")] == ["2", "3"]
    notes = reading(provided("2", "3", "3"))[1]
    assert notes == [
        "of provider '2', not genie; skipped; if that is genie, give --provider 2: row 2",
        "of provider '3', not genie; skipped; if that is genie, give --provider 3: "
        "2 rows, first row 3",
    ]


def test_a_provider_can_only_be_named_where_the_list_has_one() -> None:
    assert "no column of providers" in cause("order\n1\n", provider="3")


def test_a_status_answer_gives_its_ids() -> None:
    answer = {"23501": {"status": "Completed", "charge": "1"}, "23502": {"error": "Incorrect ID"}}
    for document in (answer, {"orders": answer}, {"data": {"orders": answer}}):
        [row, problem] = reading(json.dumps(document))[0]
        assert isinstance(row, ListRow)
        assert row.item == TrackItem("genie", "23501")
        assert isinstance(problem, Problem)
        assert "order 23502: Incorrect ID" in problem.cause


def test_ids_alone_in_json() -> None:
    assert [item.order for item in items('[23501, "23502"]')] == ["23501", "23502"]
    assert [item.order for item in items('{"orders": [23501]}')] == ["23501"]


def test_a_json_array_in_one_long_line() -> None:
    rows = [{"order": n, "link": "https://example.com/" + "a" * 500} for n in range(1, 4000)]
    text = json.dumps(rows)
    assert len(text) > MOST_BYTES
    assert [item.order for item in items(text)] == [str(n) for n in range(1, 4000)]


def test_json_without_orders_is_told() -> None:
    for document in ({"status": "fail"}, {"0": {"status": "Completed"}}, "text"):
        assert "JSON without a list of orders" in cause(json.dumps({"a": document}))
    assert reading("[]")[0] == []
    assert "no column is named order" in cause('[{"qty": 1}]')
    assert "not JSON" in cause('[{"order": 1},\n')


EXCEL_PROOF = {'="23519"': "23519", '"=""23519"""': "23519", "'23520": "23520", "#23521": "23521"}


@pytest.mark.parametrize("text", EXCEL_PROOF)
def test_what_keeps_a_spreadsheet_away_is_taken_off(text: str) -> None:
    assert items(f"order,link\n{text},a\n")[0].order == EXCEL_PROOF[text]


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        *(("1000.00", 1000), ("1000,00", 1000), ("1000.0", 1000), ("1 000", 1000)),
        *(("1,000", 1000), ("1,000.00", 1000), ("1.000,00", 1000), ("1.234.567", 1234567)),
        *(("0", 0), ("NULL", None), ("1000.00000", 1000)),
    ],
)
def test_quantities_as_databases_and_people_write_them(text: str, quantity: int | None) -> None:
    [item] = items(f"order;quantity\n1;{text}\n")
    assert item.quantity == quantity


def test_a_quantity_that_can_be_two_is_left_out_and_noted() -> None:
    found, notes, _ = reading("order;quantity\n1;1.000\n")
    assert isinstance(found[0], ListRow)
    assert found[0].item.quantity is None
    assert notes == ["a quantity that can be two numbers is left out: row 2, '1.000'"]
    # In these languages a dot separates thousands.
    for name in ("Quantidade", "Miktar", "Cantidad", "Menge"):
        assert items(f"order;{name}\n1;1.000\n")[0].quantity == 1000


LANGUAGES = {
    "ru": ("cp1251", "ID заказа;Ссылка;Количество;Дата создания;Услуга"),
    "tr": ("cp1254", "Sipariş No;Bağlantı;Miktar;Sipariş Tarihi;Servis"),
    "pt": ("cp1252", "Número do pedido;Link;Quantidade;Criado em;Serviço"),
    "es": ("cp1252", "Número de pedido;Enlace;Cantidad;Fecha de creación;Servicio"),
    "de": ("cp1252", "Bestellnummer;Link;Menge;Datum;Dienst"),
    "fr": ("cp1252", "Numéro de commande;Lien;Quantité;Date de création;Service"),
    "id": ("utf-8", "ID Pesanan;Target;Jumlah;Tanggal;Layanan"),
    "vi": ("utf-8", "Mã đơn hàng;Liên kết;Số lượng;Ngày tạo;Dịch vụ"),
    "ar": ("utf-8", "رقم الطلب;الرابط;الكمية;التاريخ;الخدمة"),
    "zh": ("utf-8", "订单号;链接;数量;创建时间;服务ID"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_lists_in_other_languages_and_encodings(language: str) -> None:
    encoding, names = LANGUAGES[language]
    row = "23501;https://example.com/a;1000;31.05.2024 18:00;12"
    expected = [TrackItem("genie", "23501", "12", LINK, 1000, AT)]
    for name in {encoding, "utf-8", "utf-8-sig", "utf-16"}:
        raw = f"{names}\r\n{row}\r\n".encode(name)
        found, notes, _ = reading(raw)
        assert [row.item for row in found if isinstance(row, ListRow)] == expected, name
        assert notes == []


def test_letters_in_an_encoding_that_is_not_known_are_not_passed_on() -> None:
    text = "ID;Link;Service\n1;https://example.com/ж;1 - Лайки\n2;https://example.com/a;1\n"
    found, notes, _ = reading(text.encode("cp1251"))
    assert [row.item.link for row in found if isinstance(row, ListRow)] == [None, LINK]
    assert "a link that is not in UTF-8 is left out" in notes[0]
    assert "not UTF-8: read as cp1252" in notes[1]
    mixed = "ID;Link\n1;https://example.com/ж\n".encode() + "2;https://e.x/дата\n".encode("cp1251")
    mixed += "3;https://example.com/ж\n".encode()
    link = "https://example.com/ж"
    assert [item.link for item in items(mixed)] == [link, None, link]
    for form in (as_html, FORMS["array"]):
        made = form(["ID", "Link"], [["1", link]]).replace("\\u0436", "ж")
        assert [item.link for item in items(made.encode("cp1251"))] == [None]
    given = items(text.encode("cp1251"), encoding="cp1251")
    assert given[0].link == "https://example.com/ж"


def test_the_names_may_stand_below_other_lines() -> None:
    for raw in (
        "Orders of May\n\nOrder ID;Link\n23501;https://example.com/a\n",
        workbook([["Orders of May"], [None], ["Order ID", "Link"], ["23501", LINK]]),
    ):
        found, _, layout = reading(raw)
        assert [row.item.order for row in found if isinstance(row, ListRow)] == ["23501"]
        assert layout is not None
        assert "skipped: 1 " in layout.remarks[0]


def test_what_else_a_file_holds_is_named() -> None:
    sheet = [["Order ID"], ["23501"]]
    layout = reading(workbook([["notes"]], sheet, sheet))[2]
    assert layout is not None
    assert layout.remarks == ["not read: the sheets 'Sheet 1', 'Sheet 3'"]
    layout = reading(as_html(["Order ID"], [["23501"]]) * 3)[2]
    assert layout is not None
    assert layout.remarks == ["not read: 2 more tables"]


def test_cells_of_a_workbook() -> None:
    names = ["Order ID", "Quantity", "Created", "Completed at", "Service"]
    at, done = 45443.75, 45444.0
    rows = [[23501, 1000, at, done, 12], [None, None, None, None, None], ["23502", None, at]]
    expected = [
        TrackItem("genie", "23501", "12", None, 1000, AT, datetime(2024, 6, 1, tzinfo=UTC)),
        TrackItem("genie", "23502", None, None, None, AT),
    ]
    assert items(workbook([names, *rows])) == expected
    early = [
        [*row[:2], *(v - 1462 if isinstance(v, float) else v for v in row[2:])] for row in rows
    ]
    assert items(workbook([names, *early], days=1462)) == expected
    rounded = workbook([["Order ID"], [1234567890123456789], [7]])
    [problem, row] = reading(rounded)[0]
    assert isinstance(problem, Problem)
    assert "a spreadsheet has turned into a number" in problem.cause
    assert isinstance(row, ListRow)


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><worksheet>&b;</worksheet>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><worksheet>&a;</worksheet>'


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (workbook([]), "without a filled cell"),
        (workbook([["a", "b"], ["1", "2"]]), "no column named order"),
        (package({"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}), "no Excel"),
        (package({"xl/worksheets/sheet1.xml": BOMB}), "document type"),
        (package({"xl/worksheets/sheet1.xml": OUTSIDE}), "document type"),
        (package({"xl/worksheets/sheet1.xml": "<worksheet>"}), "can't be read"),
        (workbook([["Order ID"], [7]])[:-30], "damaged"),
        (b"PK\x03\x04 no archive", "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "old Excel"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"PAR1....", "Parquet"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"-- phpMyAdmin SQL Dump\n-- version 5.2.0\n", "dump in SQL"),
        (b"INSERT INTO `orders` (`id`) VALUES (1);\n", "dump in SQL"),
        ("<html><body>Log in first</body></html>", "without a table"),
        ("<table><tr><th>Name</th></tr><tr><td>7</td></tr></table>", "no column named order"),
        ('<?xml version="1.0"?><orders><order>7</order></orders>', "without a table"),
    ],
)
def test_what_is_no_list_is_refused_in_one_sentence(raw: str | bytes, said: str) -> None:
    assert said in cause(raw)


def test_a_table_in_html_as_scripts_write_it() -> None:
    text = (
        "<meta charset=windows-1251><table><tr><td>menu</td></tr></table>"
        "<TABLE><THEAD><TR><TH>ID заказа<TH>Ссылка<TH>Кол-во</THEAD>"
        '<TR><TD>23501<TD><a href="https://example.com/a">https://exam…</a><TD>1&nbsp;000'
        "<TR><TD colspan=3>Итого</TABLE>"
    )
    found = reading(text.encode("cp1251", "xmlcharrefreplace"))[0]
    [row, problem] = found
    assert isinstance(row, ListRow)
    assert row.item == TrackItem("genie", "23501", None, LINK, 1000)
    assert isinstance(problem, Problem)


@pytest.mark.parametrize("text", ["0000-00-00 00:00:00", "NULL", "", "0"])
def test_a_date_that_is_none_is_left_out(text: str) -> None:
    [item] = items(f"order;created;completed at\n1;{text};{text}\n")
    assert (item.submitted_at, item.finished_at) == (None, None)


def test_labels_are_read_from_their_columns() -> None:
    names = "Order ID;Reference;Customer;Tags;Note"
    [item] = items(f"{names}\n1; 1042 ;Ann;vip, may ,vip;call first\n")
    assert (item.reference, item.customer, item.note) == ("1042", "Ann", "call first")
    assert item.tags == ["vip", "may"]
    rows = [{"order": 1, "reference": 7, "tags": ["a", 5, None], "note": None}]
    [item] = items(json.dumps(rows))
    assert (item.reference, item.tags, item.note) == ("7", ["a", "5"], None)


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("reference", "r" * 101, "101 characters"),
        ("reference", {"id": 1}, "is not text"),
        ("note", "n" * 2001, "2,001 characters"),
        ("customer", "a\x00b", "control character"),
        ("tags", [f"t{n}" for n in range(11)], "11 of them"),
        ("tags", ["t" * 51], "51 characters"),
        ("tags", {"a": 1}, "is not text"),
    ],
)
def test_a_label_that_can_not_be_used_is_left_out_and_noted(
    column: str, value: object, why: str
) -> None:
    found, notes, _ = reading(json.dumps([{"order": 1, column: value}]))
    assert [row.item for row in found if isinstance(row, ListRow)] == [TrackItem("genie", "1")]
    assert f"a {column} that can't be used is left out: row 1, {column}: " in notes[0]
    assert why in notes[0]


def test_no_two_fields_of_a_maker_share_a_name() -> None:
    for maker in MAKERS:
        names = [name for words in maker.columns.values() for name in words]
        assert len(names) == len(set(names)), maker.name
        assert all(plain(name) == name for name in names), maker.name


# A list written in any layout, form, encoding and way to write dates reads back the same rows.
LAYOUTS = {
    name: (columns.split(","), row.split(","), service is not None)
    for name, (columns, row, service, _) in SHOPS.items()
} | {
    "plain": (
        ["Order ID", "Service", "Link", "Quantity", "Created"],
        ["23501", "12", LINK, "1000", "2024-05-31 18:00:00"],
        True,
    )
}
DATES = ("%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d %B %Y %H:%M:%S", "unix")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1251", "cp1254", "latin-1")

orders = st.builds(
    TrackItem,
    panel=st.just("genie"),
    order=st.integers(1, 10**15).map(str),
    service=st.integers(1, 10**6).map(str),
    link=st.from_regex(r"https://example\.com/[a-z0-9]{1,30}", fullmatch=True),
    quantity=st.integers(0, 10**9),
    submitted_at=st.datetimes(datetime(2016, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001
        lambda at: at.replace(microsecond=0, tzinfo=UTC)
    ),
)


def written(item: TrackItem, names: list[str], sample: list[str], dates: str) -> list[str]:
    """The order as a row of a list like the sample."""
    at = item.submitted_at
    assert at is not None
    text = str(int(at.timestamp())) if dates == "unix" else at.strftime(dates)
    values = {
        "order": str(item.order),
        "service": str(item.service),
        "link": str(item.link),
        "quantity": str(item.quantity),
        "submitted_at": text,
    }
    row = list(sample)
    for field, place in match(names).places.items():
        row[place] = values.get(field, row[place])
    return row


@given(
    st.lists(orders, min_size=1, max_size=4, unique_by=lambda item: item.order),
    st.sampled_from(list(LAYOUTS)),
    st.sampled_from([form for form in FORMS if "UTF-16" not in form]),
    st.sampled_from(ENCODINGS),
    st.sampled_from(DATES),
)
def test_a_list_reads_back_however_it_was_written(
    wanted: list[TrackItem], layout: str, form: str, encoding: str, dates: str
) -> None:
    names, sample, has_service = LAYOUTS[layout]
    rows = [written(item, names, sample, dates) for item in wanted]
    made = FORMS[form](names, rows)
    raw = made if isinstance(made, bytes) else made.encode(encoding)
    found = items(raw)
    assert [item.order for item in found] == [item.order for item in wanted]
    for item, source in zip(found, wanted, strict=True):
        service = source.service if has_service else None
        assert (item.service, item.link, item.quantity, item.submitted_at) == (
            service,
            source.link,
            source.quantity,
            source.submitted_at,
        )

"""Lists of orders: what people have, what is wrong with it, and any bytes at all."""

from datetime import UTC, datetime
from io import BytesIO

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.web.order_import.dates import DateOrder, read_time
from watcher.web.order_import.lines import MOST_BYTES, Problem
from watcher.web.order_import.list_fields import order_id, track_item
from watcher.web.order_import.notes import Notes
from watcher.web.order_import.order_list import Layout, ListRow, read
from watcher.web.shapes import TrackItem, TrackRequest

NOON = datetime(2024, 5, 31, 12, tzinfo=UTC)


def rows(text: str | bytes, json: bool | None = None) -> list[ListRow | Problem]:
    raw = text.encode() if isinstance(text, str) else text
    return list(read(BytesIO(raw), "genie", json=json))


def orders(text: str | bytes) -> list[object]:
    return [row.item.order if isinstance(row, ListRow) else row.line for row in rows(text)]


def only(text: str) -> TrackItem:
    [row] = rows(text)
    assert isinstance(row, ListRow), row
    return row.item


def test_a_column_of_ids_needs_no_header() -> None:
    assert rows("12\r\n\r\n 13 \n14") == [
        ListRow(1, TrackItem("genie", "12")),
        ListRow(3, TrackItem("genie", "13")),
        ListRow(4, TrackItem("genie", "14")),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    "header",
    ["order,service,link,quantity,submitted_at", "Order ID,Service ID,URL,Qty,Date"],
)
def test_columns_go_by_their_names(header: str, delimiter: str) -> None:
    text = f"{header}\n7,12,https://example.com/a,1000,2024-05-31 12:00:00\n"
    assert only("\ufeff" + text.replace(",", delimiter)) == TrackItem(
        "genie", "7", "12", "https://example.com/a", 1000, NOON
    )


def test_the_order_column_goes_before_an_id_of_rows() -> None:
    assert only("id,order\n1,700\n").order == "700"
    assert only("service,service_id,id\nLikes,12,700\n").service == "12"


def test_json_lines() -> None:
    text = '{"order": 7, "service_id": 12, "qty": 1000, "date": 1717156800}\n\n{"id": "8"}\n'
    assert rows(text) == [
        ListRow(1, TrackItem("genie", "7", "12", None, 1000, NOON)),
        ListRow(3, TrackItem("genie", "8")),
    ]
    # By the name of the file, even after a bad line.
    first, second = rows('oops\n{"order": 7}', json=True)
    assert isinstance(first, Problem)
    assert isinstance(second, ListRow)


def field(name: str, text: str) -> object:
    return getattr(track_item("genie", {"order": "1", name: text}), name)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2024-05-31T12:00:00Z", NOON),
        ("2024-05-31T14:00:00+02:00", NOON),
        ("2024-05-31", NOON.replace(hour=0)),
        ("1717156800", NOON),
        ("1717156800.5", NOON.replace(microsecond=500_000)),
        ("", None),
        ("May 31 2024 12:30 am", NOON.replace(hour=0, minute=30)),
        ("May 31 2024 1:30 pm", NOON.replace(hour=13, minute=30)),
        ("05/05/2024", datetime(2024, 5, 5, tzinfo=UTC)),
        *(
            (text, NOON)
            for text in (
                "2024-05-31 12:00:00",
                "31.05.2024 12:00",
                "2024/05/31 12:00:00",
                "2024.05.31 12:00",
                "31/05/2024 12:00 PM",
                "05/31/2024, 12:00:00 PM",
                "31-05-2024 12:00:00",
                "31 May 2024 12:00",
                "31st May, 2024 12:00",
                "May 31, 2024 12:00 pm",
                "2024-05-31 12:00:00 UTC",
                "2024-05-31 12:00:00 GMT",
            )
        ),
    ],
)
def test_times_as_exports_write_them(text: str, at: datetime | None) -> None:
    assert field("submitted_at", text) == at


@pytest.mark.parametrize(
    "text",
    [
        *("20240531", "1717156800000", "31.13.2024", "yesterday", "1.2.3", "31.05.24", "13:00 pm"),
        "May 31 2024 13:30 pm",
    ],
)
def test_a_time_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"submitted_at: .* is not a time"):
        field("submitted_at", text)


def test_a_day_that_could_be_two_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="--dates dmy or --dates mdy"):
        field("submitted_at", "05/06/2024")
    assert read_time("05/06/2024", DateOrder.DMY) == datetime(2024, 6, 5, tzinfo=UTC)
    assert read_time("05/06/2024", DateOrder.MDY) == datetime(2024, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("service", "1234 - Instagram Followers | Max 10K", "1234"),
        ("service", "#1234 — Likes", "1234"),
        ("service", "[1234] Likes", "1234"),
        ("service", "1234", "1234"),
        ("service", "100 Likes", None),
        ("service", "Instagram Followers " * 9, None),
        *(("quantity", text, 1000) for text in ("1,000", "1 000", "1\u00a0000", "1000")),
    ],
)
def test_values_as_people_write_them(name: str, text: str, value: object) -> None:
    assert field(name, text) == value


EXPORTS = {
    "a panel's list of orders": (
        "ID,Date,Link,Charge,Start count,Quantity,Service,Status,Remains\n"
        '700,2024-05-31 12:00:00,https://example.com/a,0.9,10,"1,000",12 - Likes,Completed,0\n'
    ),
    "one's own shop, with the panel's ids": (
        "ID;External ID;External service ID;User;Link;Quantity;Service;Status;Created\n"
        "1;700;12;ann;https://example.com/a;1000;88;Completed;31.05.2024 12:00\n"
    ),
    "Excel": (
        "sep=;\nOrder ID;Service ID;Link;Qty;Created At\n"
        "700;12;https://example.com/a;1000;31/05/2024 12:00\n"
    ),
    "what `watcher export` writes": (
        "panel,order,service,link,quantity,status,submitted_at\n"
        "genie,700,12,https://example.com/a,1000,completed,2024-05-31T12:00:00Z\n"
    ),
}


@pytest.mark.parametrize("text", EXPORTS.values(), ids=EXPORTS.keys())
def test_exports_of_common_panels(text: str) -> None:
    labels = ("1", "ann") if "ann" in text else (None, None)
    assert only(text) == TrackItem(
        *("genie", "700", "12", "https://example.com/a", 1000, NOON, None), *labels
    )


def test_what_was_understood_is_told_first() -> None:
    told: list[Layout] = []
    text = EXPORTS["one's own shop, with the panel's ids"]
    found = read(BytesIO(text.encode()), "genie", on_layout=told.append)
    next(found)
    [layout] = told
    assert layout.form == "CSV with semicolons between cells"
    assert layout.maker == "Perfect Panel's order list"
    assert layout.columns == {
        "order": "External ID",
        "service": "External service ID",
        "link": "Link",
        "quantity": "Quantity",
        "submitted_at": "Created",
        "status": "Status",
        "customer": "User",
        "reference": "ID",
    }
    assert layout.samples["service"] == "'12'"
    assert layout.own == ["Service"]
    assert layout.unused == []


def test_a_column_may_be_named() -> None:
    text = b"ID,Nr.,Qty,Service\n1,700,5,12\n"
    [row] = read(BytesIO(text), "genie", columns={"order": "nr"})
    assert isinstance(row, ListRow)
    # ID is the shop's own number then, and so is the service.
    assert row.item == TrackItem("genie", "700", quantity=5, reference="1")
    [problem] = read(BytesIO(text), "genie", columns={"order": "Nr.", "quantity": "nowhere"})
    assert isinstance(problem, Problem)
    assert "no column 'nowhere'" in problem.cause


def test_a_column_may_be_named_by_its_place_where_there_are_no_names() -> None:
    chosen = {"order": "2", "service": "4"}
    found = read(BytesIO(b"1,700,5,12\n2,701,5,13\n"), "genie", columns=chosen)
    items = [row.item for row in found if isinstance(row, ListRow)]
    assert items == [TrackItem("genie", "700", "12"), TrackItem("genie", "701", "13")]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("x y,5", "'x y' is not an order's id"),
        (",5", "the order's id is missing"),
        ("7.0,5", "a spreadsheet"),
        ("1.23E+11,5", "a spreadsheet"),
        ("7,5.5", "quantity: '5.5' is not a whole number"),
        ("7,-5", "not a whole number"),
        ("7,5,6", "3 cells where the first line has 2"),
        ('"7,5', "not CSV"),
    ],
)
def test_a_bad_line_is_named_and_spoils_no_other(line: str, cause: str) -> None:
    first, bad, last = rows(f"id,qty\n1,2\n{line}\n3,4\n")
    assert isinstance(first, ListRow)
    assert isinstance(last, ListRow)
    assert isinstance(bad, Problem)
    assert bad.line == 3
    assert cause in bad.cause


LETTERS = "order\nqwertyuiop\n"


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        pytest.param(b"1\n\xff\n3\n", ["1", 2, "3"], id="bytes that are no text"),
        pytest.param(
            'id,link\n1,"a\n' + "".join(f"{number},b\n" for number in range(2, 200)),
            [2, *(str(number) for number in range(2, 200))],
            id="a stray quote",
        ),
        pytest.param("id\n1\n2".encode("utf-16")[:-1], ["1", 3], id="UTF-16 that breaks off"),
        pytest.param(b"1\n" + b"2" * (2 * MOST_BYTES) + b"\n3\n", ["1", 2, "3"], id="no end"),
        pytest.param(
            '{"order": 1}\n' + "[" * 5000 + '\n{"order": ' + "9" * 5000 + "}\n"
            '{"order": [1]}\n{"order": true}\n7',
            ["1", 2, 3, 4, 5, 6],
            id="deep or huge values",
        ),
        pytest.param("Bestellung\n7\nabc\n8\n", [1, "7", "8", 3], id="words among ids"),
        pytest.param("order\n7\nTotal\n", ["7", 3], id="a word below the ids"),
        pytest.param("order\nabc\n", [2], id="a word alone"),
        pytest.param(f"{LETTERS}q1w2e3r4t5\nabc\n", ["q1w2e3r4t5", "qwertyuiop", 4], id="letters"),
        pytest.param(f"{LETTERS}asdfghjklz\n", ["qwertyuiop", "asdfghjklz"], id="letters alone"),
    ],
)
def test_what_is_bad_spoils_its_own_line_only(raw: str | bytes, found: list[str | int]) -> None:
    """Orders by their ids, problems by their lines."""
    assert orders(raw) == found


def test_a_cell_may_go_on_over_lines() -> None:
    text = 'id,comments,qty\n1,"a\n5,b\n",2\n3,,4\n'
    assert [(row.line, row.item.order, row.item.quantity) for row in rows(text)] == [
        (2, "1", 2),
        (5, "3", 4),
    ]


@pytest.mark.parametrize("text", ["7;12\n8;12\n", "qty,link\n7,a\n"])
def test_columns_without_names_end_it(text: str) -> None:
    [problem] = rows(text)
    assert isinstance(problem, Problem)
    assert problem.line == 1
    assert "no column is named order" in problem.cause


def test_an_order_of_another_panel_is_skipped_and_noted() -> None:
    notes = Notes()
    found = list(read(BytesIO(b"panel,order\ngenie,1\nother,2\n,3\n"), "genie", notes=notes))
    assert [row.item.order for row in found if isinstance(row, ListRow)] == ["1", "3"]
    assert len(found) == 2
    assert notes.lines("line") == ["of provider 'other', not genie; skipped: line 3"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_as_excel_writes_it(encoding: str) -> None:
    text = "ID\tLink\r\n" + "".join(f"{n}\thttps://example.com/ж{n}\r\n" for n in range(9000))
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    found = rows((mark + text).encode(encoding))
    assert [row.item.link for row in found if isinstance(row, ListRow)] == [
        f"https://example.com/ж{n}" for n in range(9000)
    ]


def test_ids_as_numbers_in_json() -> None:
    assert order_id(7) == "7"
    with pytest.raises(ValueError, match="not text"):
        order_id(7.0)


texts = st.text(alphabet="07.e,;\t\"'\r\n {}[]:orderidqtypanelé\x00", max_size=200)
any_bytes = st.binary(max_size=300) | texts.map(str.encode)
headers = st.sampled_from(
    [
        *(b"", b"id,qty,date\n", b"order;link\n", b'{"order":1}\n', b"\xef\xbb\xbf"),
        *(b"PK\x03\x04", b"<table><tr>", b"[", b'{"1":'),
    ]
)


@given(headers, any_bytes, st.sampled_from([None, True, False]))
def test_any_bytes_give_rows_or_problems(header: bytes, raw: bytes, json: bool | None) -> None:
    whole = header + raw
    for found in rows(whole, json):
        assert 0 <= found.line <= len(whole) + 1
        if isinstance(found, ListRow):
            # What is taken here is of the form that the API takes.
            body = msgspec.json.encode({"orders": [found.item]})
            [item] = msgspec.json.decode(body, type=TrackRequest).orders
            msgspec.convert(item, TrackItem)
        else:
            assert found.cause


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["order", "service", "link", "quantity", "submitted_at", "panel"]),
        json_values,
    )
)
def test_any_json_gives_an_order_or_a_cause(values: dict[str, object]) -> None:
    item, cause = None, ""
    try:
        item = track_item("genie", values)
    except ValueError as error:
        cause = str(error)
    if item is None:
        assert cause
        return
    assert item.panel == "genie"
    assert item.order
    assert msgspec.json.decode(msgspec.json.encode(item), type=TrackItem) == item

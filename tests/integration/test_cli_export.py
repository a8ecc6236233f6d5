"""`watcher export` over real HTTP: what is written, how, and that it can be read again."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from tests.integration.cli_daemon import CannedDaemon, Request, order_view, panel_view
from watcher.cli import xlsx_writer
from watcher.cli.order_import.order_list import ListRow, read
from watcher.common.spreadsheet import cell
from watcher.common.wording import clean
from watcher.web.panel_shapes import PanelList
from watcher.web.shapes import ChangeView, HistoryList, OrderList, OrderView

TIME = "2024-05-31T12:00:00Z"


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        canned.put("GET /v1/panels", PanelList([panel_view("genie")]))
        yield canned


def paged(count: int, **fields: object) -> object:
    def answer(request: Request) -> tuple[int, OrderList]:
        first, limit = int(request.query.get("cursor", 0)), int(request.query["limit"])
        last = min(count, first + limit)
        orders = [order_view(str(n), **fields) for n in range(first, last)]
        return 200, OrderList(orders, str(last) if last < count else None)

    return answer


CHANGES = [
    ChangeView("genie", "7", TIME, {"status": ["pending", "completed"], "remains": [None, 0]}),  # type: ignore[arg-type]
    ChangeView("genie", "8", TIME, {"problem": [None, "=cmd|' /C calc'!A0"]}),  # type: ignore[arg-type]
]


def test_orders_as_csv_that_can_be_tracked_again(daemon: CannedDaemon) -> None:
    daemon.answers["GET /v1/orders"] = paged(2500)  # type: ignore[assignment]
    result = daemon.watcher("export", "orders")
    assert (result.exit_code, result.stderr) == (0, "2,500 orders written\n")
    table = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [*table[0]] == [f for f in OrderView.__struct_fields__ if f != "next_check_at"]
    assert [row["order"] for row in table] == [str(n) for n in range(2500)]
    assert (table[0]["charge"], table[0]["count"], table[0]["stalled"]) == ("0.27819", "", "false")
    assert len(daemon.asked("GET /v1/orders")) == 3
    again = list(read(io.BytesIO(result.stdout_bytes), "smmgenie"))
    assert [row.item.order for row in again if isinstance(row, ListRow)] == [
        str(n) for n in range(2500)
    ]


def test_orders_as_a_workbook_that_can_be_tracked_again(
    daemon: CannedDaemon, tmp_path: Path
) -> None:
    fields = {"submitted_at": TIME, "problem": "=cmd|' /C calc'!A0", "link": "https://a.b/\x07<&>"}
    daemon.answers["GET /v1/orders"] = paged(1500, **fields)  # type: ignore[assignment]
    file = tmp_path / "orders.xlsx"
    result = daemon.watcher("export", "orders", file)
    assert (result.exit_code, result.stderr) == (0, f"1,500 orders written to {file}\n")
    with file.open("rb") as stream:
        again = [row for row in read(stream, "smmgenie") if isinstance(row, ListRow)]
    assert [row.item.order for row in again] == [str(n) for n in range(1500)]
    assert {row.item.submitted_at for row in again} == {datetime(2024, 5, 31, 12, tzinfo=UTC)}
    with zipfile.ZipFile(file) as package:
        sheet = package.read("xl/worksheets/sheet1.xml").decode()
    assert "<t xml:space=\"preserve\">=cmd|' /C calc'!A0</t>" in sheet


def test_changes_as_a_workbook(daemon: CannedDaemon, tmp_path: Path) -> None:
    daemon.put("GET /v1/history", HistoryList(CHANGES, None))
    file = tmp_path / "history.xlsx"
    assert daemon.watcher("export", "history", file).exit_code == 0
    with zipfile.ZipFile(file) as package:
        assert package.read("xl/worksheets/sheet1.xml").count(b"<row>") == 4


def test_more_rows_than_a_sheet_has_are_refused(
    daemon: CannedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xlsx_writer, "MOST_ROWS", 1000)
    daemon.answers["GET /v1/orders"] = paged(1500)  # type: ignore[assignment]
    result = daemon.watcher("export", "orders", tmp_path / "orders.xlsx")
    assert result.exit_code == 1
    assert "more than the 1,000 rows of an Excel sheet" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["orders.xls", "orders.json", "orders.ods", "orders.html"])
def test_a_name_that_promises_another_format_is_refused(
    daemon: CannedDaemon, tmp_path: Path, name: str
) -> None:
    result = daemon.watcher("export", "orders", tmp_path / name)
    assert result.exit_code == 2
    assert ".csv, .txt, .jsonl, .ndjson, .parquet, .xlsx" in " ".join(result.stderr.split())
    assert (daemon.requests, list(tmp_path.iterdir())) == ([], [])


def test_filters_go_to_the_daemon(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/orders", OrderList([], None))
    args = ("--panel", "genie", "--status", "partial", "--since", "2024-05-31")
    assert daemon.watcher("export", "orders", *args).exit_code == 0
    [request] = daemon.asked("GET /v1/orders")
    assert request.query == {
        "panel": "genie",
        "status": "partial",
        "since": "2024-05-31T00:00:00+00:00",
        "limit": "1000",
    }
    result = daemon.watcher("export", "orders", "--panel", "geni")
    assert result.exit_code == 1
    assert "did you mean 'genie'?" in result.stderr


def test_history_as_csv_has_a_row_a_field(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/history", HistoryList(CHANGES, None))
    result = daemon.watcher("export", "history", "--since", "7d")
    assert result.stdout.splitlines() == [
        "at,panel,order,field,old,new",
        f"{TIME},genie,7,status,pending,completed",
        f"{TIME},genie,7,remains,,0",
        f"{TIME},genie,8,problem,,'=cmd|' /C calc'!A0",
    ]


def test_json_lines_are_what_the_daemon_told(daemon: CannedDaemon, tmp_path: Path) -> None:
    daemon.put("GET /v1/history", HistoryList(CHANGES, None))
    file = tmp_path / "history.jsonl"
    result = daemon.watcher("export", "history", file)
    assert (result.exit_code, result.stdout) == (0, "")
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert told[0]["changes"] == {"status": ["pending", "completed"], "remains": [None, 0]}
    assert (file.stat().st_mode & 0o777, len(told)) == (0o600, 2)


def test_parquet_keeps_types(daemon: CannedDaemon, tmp_path: Path) -> None:
    daemon.answers["GET /v1/orders"] = paged(1200, submitted_at=TIME)  # type: ignore[assignment]
    file = tmp_path / "orders.parquet"
    assert daemon.watcher("export", "orders", file).exit_code == 0
    with duckdb.connect() as database:
        kinds = dict(
            row[:2] for row in database.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()
        )
        assert kinds["charge"] == "DECIMAL(38,12)"
        assert kinds["quantity"] == "BIGINT"
        assert kinds["submitted_at"] == "TIMESTAMP WITH TIME ZONE"
        count, charges, at = database.execute(
            f"SELECT count(*), sum(charge)::VARCHAR, epoch(min(submitted_at)) FROM '{file}'"
        ).fetchall()[0]
    assert (count, float(charges), at) == (1200, pytest.approx(1200 * 0.27819), 1717156800)


def test_parquet_of_changes(daemon: CannedDaemon, tmp_path: Path) -> None:
    daemon.put("GET /v1/history", HistoryList(CHANGES, None))
    file = tmp_path / "history.parquet"
    assert daemon.watcher("export", "history", file).exit_code == 0
    with duckdb.connect() as database:
        [[new]] = database.execute(
            f"SELECT changes->'status'->>1 FROM '{file}' WHERE \"order\" = '7'"
        ).fetchall()
    assert new == "completed"


def test_parquet_without_its_package_says_what_to_do(
    daemon: CannedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    file = tmp_path / "orders.parquet"
    result = daemon.watcher("export", "orders", file)
    assert result.exit_code == 1
    assert "pip install 'watcher[parquet]'" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_whole_or_not_there(daemon: CannedDaemon, tmp_path: Path) -> None:
    def answer(request: Request) -> tuple[int, object]:
        whole = OrderList([order_view("1")], "1")
        return (200, "cut") if "cursor" in request.query else (200, whole)

    daemon.answers["GET /v1/orders"] = answer
    file = tmp_path / "orders.csv"
    assert daemon.watcher("export", "orders", file).exit_code == 3
    assert list(tmp_path.iterdir()) == []
    file.write_text("mine")
    daemon.put("GET /v1/orders", OrderList([order_view("1")], None))
    result = daemon.watcher("export", "orders", file)
    assert result.exit_code == 1
    assert "--force replaces it" in result.stderr
    assert file.read_text() == "mine"
    assert daemon.watcher("export", "orders", file, "--force").exit_code == 0
    assert file.read_text().startswith("panel,order,")


@pytest.mark.parametrize(
    "args",
    [
        ("history", "--status", "partial"),
        ("orders", "--since", "yesterday"),
        ("orders", "--format", "parquet"),
        ("nonsense",),
    ],
)
def test_used_wrongly(daemon: CannedDaemon, args: tuple[str, ...]) -> None:
    assert daemon.watcher("export", *args).exit_code == 2
    assert daemon.requests == []


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", " =1", "=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{clean(text)}"


@pytest.mark.parametrize("value", ["-5", "+5.25", -5, "a=1", "https://example.com"])
def test_numbers_and_plain_text_stay_as_they_are(value: object) -> None:
    assert cell(value) == str(value)


def test_panels_words_do_not_control_the_terminal(daemon: CannedDaemon) -> None:
    hostile = order_view("1", status_text="\x1b[31m\x9b2J\u202e")
    daemon.put("GET /v1/orders", OrderList([hostile], None))
    for form in ("csv", "jsonl"):
        out = daemon.watcher("export", "orders", "--format", form).stdout
        assert not {"\x1b", "\x9b", "\u202e"} & set(out)


def test_a_million_orders_are_never_in_memory_at_once(daemon: CannedDaemon, tmp_path: Path) -> None:
    daemon.answers["GET /v1/orders"] = paged(60_000)  # type: ignore[assignment]
    program = (
        "import resource, sys; from watcher.cli import app\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "def run(*args):\n"
        "    try: app(['export', 'orders', *args, '--url', sys.argv[1]])\n"
        "    except SystemExit: return peak()\n"
        "one = run(sys.argv[2] + '1.csv', '--since', '1m')\n"
        "print(run(sys.argv[2] + '2.csv') - one)"
    )
    few = order_view("1")

    def answer(request: Request) -> tuple[int, OrderList]:
        if "since" in request.query:
            return 200, OrderList([few] * 1000, None)
        return paged(60_000)(request)  # type: ignore[operator,no-any-return]

    daemon.answers["GET /v1/orders"] = answer
    done = subprocess.run(
        [sys.executable, "-c", program, daemon.url, str(tmp_path / "orders")],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    assert int(done.stdout) < 8 * 1024  # KiB; all of them would take some 100 MiB
    assert len((tmp_path / "orders2.csv").read_text().splitlines()) == 60_001

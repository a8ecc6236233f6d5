"""The status page's lists over HTTP: found, sorted, downloaded, uploaded."""

import csv
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.test_page import a_browser, get, send, set_token
from tests.support.house import House, a_house
from watcher.simulator import Fate
from watcher.web import list_reader
from watcher.web.page import download, upload
from watcher.web.page.rendering import STATIC

SLOW = Fate(pending=30.0, per_minute=1.0)
LIST = (
    "ID;User;External ID;Link;Quantity;Service;Status;Created\n"
    "9001;bob;{0};https://example.com/<b>a</b>;1,000;88 - Likes;In progress;31.05.2024 18:00\n"
    "9002;eve;{1};https://example.com/b;500;87 - Followers;Completed;31.05.2024 18:05\n"
    "9003;eve;x y;https://example.com/c;500;87 - Followers;Completed;31.05.2024 18:05\n"
)


def ids(html: str) -> list[str]:
    """The orders that the page lists."""
    return re.findall(r'class="lead">(?:<input[^>]*> )?<a href="/orders/[^/]+/([^"]+)"', html)


async def upload_of(
    session: aiohttp.ClientSession, raw: bytes, **fields: Any
) -> tuple[int, str, str]:
    """The answer to an uploaded list: status, text, and the address that tracks it."""
    headers = fields.pop("headers", {})
    form = aiohttp.FormData()
    for name, value in ({"panel": "standard"} | fields).items():
        form.add_field(name, value)
    form.add_field("file", io.BytesIO(raw), filename="orders.csv", content_type="text/csv")
    async with session.post("/orders/upload", data=form, headers=headers) as answer:
        html = await answer.text()
        tracks = re.findall(r'action="(/orders/upload/[^"]+)"', html)
        return answer.status, html, tracks[0] if tracks else ""


async def known(house: House) -> list[str]:
    listed = (await house.call("GET", "/v1/orders"))["orders"]
    return sorted(order["order"] for order in listed)


# --- search and sorting --------------------------------------------------------------------------


async def test_a_service_is_found_by_its_name_and_so_are_its_orders(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        (first,) = await house.place(1, quantity=1000, services=[2], fate=SLOW)
        (second,) = await house.place(1, quantity=1000, services=[1], fate=SLOW)
        await house.run(120.0)
        services = (await house.call("GET", "/v1/panels/standard/services"))["services"]
        name = next(one["name"] for one in services if one["service"] == "2")
        _, html = await get(session, "/orders", params={"q": name.upper()})
        assert str(first) in ids(html)
        assert str(second) not in ids(html)
        assert "panel=standard&amp;service=2" in html
        assert "/services?panel=standard&amp;q=2" in html


async def test_any_part_of_a_link_is_found(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        await house.track(["77"], link="https://example.com/some_user/p/1")
        await house.track(["78"], link="https://example.com/someXuser/p/1")
        for text in ("some_user", "SOME_USER/p", "e.com/some_user"):
            _, html = await get(session, "/orders", params={"q": text})
            assert ids(html) == ["77"], text
            assert "anywhere in their link" in html
        _, html = await get(session, "/orders", params={"q": "7", "in": "links"})
        assert ids(html) == []
        _, html = await get(session, "/orders", params={"q": "7"})
        assert ids(html) == ["78", "77"]


async def test_a_sort_is_kept_with_the_filters_from_page_to_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("watcher.web.page.listing.A_PAGE", 2)
    async with a_house(tmp_path) as house, a_browser(house) as session:
        placed = await house.place(5, quantity=1000, services=[2], fate=SLOW)
        await house.run(120.0)
        for sort in ("order", "-progressed", "charge", "-delivered"):
            found, path = [], f"/orders?panel=standard&sort={sort}"
            while path:
                _, html = await get(session, path)
                found += ids(html)
                nexts = re.findall(r'rel="next" href="([^"]+)"', html)
                path = nexts[0].replace("&amp;", "&") if nexts else ""
                assert not path or ("panel=standard" in path and f"sort={sort}" in path)
            assert sorted(found) == sorted(map(str, placed)), sort
        assert (await get(session, "/orders?sort=link"))[0] == 400
        for cursor in ("x", "1_x", "1_nan", "1_inf", "_1"):
            assert (await get(session, f"/orders?sort=charge&cursor={cursor}"))[0] == 400


# --- download ------------------------------------------------------------------------------------


async def test_what_the_filters_let_through_is_downloaded_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(download, "PART", 2)
    async with a_house(tmp_path) as house, a_browser(house) as session:
        placed = await house.place(5, quantity=1000, services=[2], fate=SLOW)
        await house.track(["99"], link="=cmd|' /C calc'!A0")
        await house.run(120.0)
        async with session.get("/orders.csv?service=2") as answer:
            assert answer.status == 200
            assert answer.content_type == "text/csv"
            assert "orders.csv" in answer.headers["Content-Disposition"]
            rows = list(csv.DictReader(io.StringIO(await answer.text())))
        assert [row["order"] for row in rows] == list(map(str, placed))[::-1]
        listed = (await house.call("GET", "/v1/orders?limit=1"))["orders"][0]
        assert set(rows[0]) == listed.keys() - {"next_check_at"}
        assert rows[-1]["submitted_at"] == listed["submitted_at"]
        _, text = await get(session, "/orders.csv?q=99")
        assert "'=cmd" in text
        assert (await get(session, "/orders.csv?status=done"))[0] == 400
        await set_token(house)
        assert (await get(session, "/orders.csv"))[0] == 401


# --- upload --------------------------------------------------------------------------------------


async def test_a_list_is_previewed_and_then_tracked_once(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        fresh = house.panel.world.seed_orders(
            2, house.panel.now(), quantity=1000, services=[2], fate=SLOW
        )
        text = LIST.format(*fresh)
        status, html, track = await upload_of(session, text.encode("utf-16"))
        assert status == 200
        assert "2 orders to track at" in html
        assert "Perfect Panel" in html
        assert "&#39;x y&#39; is not an order&#39;s id" in html
        assert "2 orders without a time of completion" in html
        assert await known(house) == []
        status, _, headers = await send(session, track)
        assert status == 303
        assert await known(house) == sorted(map(str, fresh))
        _, html = await get(session, headers["Location"])
        assert "2 tracked, 0 known already" in html
        status, html, _ = await send(session, track)
        assert status == 404
        assert "upload it again" in html
        _, _, again = await upload_of(session, text.encode())
        _, _, headers = await send(session, again)
        assert "known=2" in headers["Location"]


@pytest.mark.parametrize(
    ("fields", "raw", "status"),
    [
        ({"panel": "nobody"}, b"1\n", 404),
        ({"panel": ""}, b"1\n", 404),
        ({"dates": "ymd"}, b"1\n", 400),
        ({"encoding": "utf-99"}, b"1\n", 400),
        ({"service": "a b"}, b"1\n", 400),
        ({"provider": "x" * 2000}, b"1\n", 413),
        ({}, b"", 400),
        ({}, b"1" * (11 << 20), 413),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_an_upload_that_can_not_be_read_says_why(
    tmp_path: Path, fields: dict[str, str], raw: bytes, status: int
):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        found, html, track = await upload_of(session, raw, **fields)
        assert (found, track) == (status, "")
        assert ("Not found" if status == 404 else "That did not work") in html


def a_bomb() -> bytes:
    """A workbook that is small, and huge once it is unpacked."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/workbook.xml", "<workbook/>")
        with package.open("xl/worksheets/sheet1.xml", "w") as sheet:
            for _ in range(300):
                sheet.write(b" " * (1 << 20))
    return raw.getvalue()


@pytest.mark.long
async def test_a_list_of_any_bytes_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        for raw in (b"%PDF-1.7", b"\x00" * 5000, b"[" * 100_000, b"<" * 100_000, a_bomb()):
            status, html, track = await upload_of(session, raw)
            assert (status, track) in ((200, ""), (400, "")), raw[:20]
            assert "<h1>" in html
        _, html, _ = await upload_of(session, b"\n".join(b"%d" % n for n in range(50_002)))
        assert "more than 50,000 orders" in html
        monkeypatch.setattr(list_reader, "_WITHIN", 0.001)
        status, html, _ = await upload_of(session, b"1\n")
        assert status == 400
        assert "too long" in html
        assert await known(house) == []


async def test_few_lists_wait_and_not_for_long(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        tracks = [
            (await upload_of(session, b"%d\n" % n))[2] for n in range(upload.MOST_WAITING + 1)
        ]
        assert (await send(session, tracks[0]))[0] == 404
        assert (await send(session, tracks[1]))[0] == 303
        await house.run(upload.WAITS + 1.0)
        assert (await send(session, tracks[2]))[0] == 404


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}], ids=str
)
async def test_a_list_of_another_page_is_refused(tmp_path: Path, headers: dict[str, str]):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        _, _, track = await upload_of(session, b"1\n")
        assert (await upload_of(session, b"1\n", headers=headers))[0] == 403
        assert (await send(session, track, headers=headers))[0] == 403
        assert await known(house) == []
        await set_token(house)
        assert (await upload_of(session, b"1\n"))[0] == 401
        assert (await send(session, track))[0] == 401


# --- an app --------------------------------------------------------------------------------------


async def test_the_page_can_be_installed_without_logging_in(tmp_path: Path):
    async with a_house(tmp_path) as house, a_browser(house) as session:
        await set_token(house)
        _, html = await get(session, "/")
        (path,) = re.findall(r'rel="manifest" href="([^"]+)"', html)
        async with session.get(path) as answer:
            assert answer.content_type == "application/manifest+json"
            manifest = await answer.json(content_type=None)
        for icon in manifest["icons"]:
            async with session.get(path.rpartition("/")[0] + "/" + icon["src"]) as answer:
                assert answer.status == 200, icon
                assert answer.content_type == icon["type"]
                raw = await answer.read()
            if icon["type"] == "image/png":
                size = "x".join(str(int.from_bytes(raw[at : at + 4], "big")) for at in (16, 20))
                assert size == icon["sizes"]
        assert (STATIC / "icon-180.png").is_file()

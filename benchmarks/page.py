"""The status page over very many orders, while the daemon checks at full speed and while it rests.

A person's requests, one after another, of three kinds: pages, searches, filters. With Playwright
and a Chromium at hand also how long a browser takes to its first paint.
"""

import argparse
import http.client
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from benchmarks import report
from benchmarks.daemon import Process
from benchmarks.house import Rows, make_config, make_database
from benchmarks.panels import Panels, panels
from benchmarks.places import FilePlace, Place
from benchmarks.sweep import RULES, SETTINGS, Figures
from benchmarks.traffic import known_orders

SERVICES = 700
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_WARM_UP = 3  # rounds
_PAINTS = 5


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    with (
        tempfile.TemporaryDirectory(dir=options.directory) as name,
        panels(options.orders) as asked,
    ):
        directory = Path(name)
        made = make(directory / "made.db", options.orders, options.panels)
        found = look(FilePlace(), asked, made, directory, options)
    print(report.table(found))
    if options.json:
        case = {"orders": options.orders, "panels": options.panels}
        report.write(options.json, "page", {**case, "figures": found})


def look(
    place: Place, asked: Panels, made: Path, directory: Path, options: argparse.Namespace
) -> dict[str, Figures]:
    """Figures of a daemon on a copy of that database, while it checks and while it rests.

    `options` are those of the command line: orders, panels, rounds, settle, paint.
    """
    database, config = place.put(made, directory), directory / "config.toml"
    port = make_config(
        config,
        panels=options.panels,
        url=asked.url,
        rules=RULES,
        defaults=f'{SETTINGS}\nstalled_after = "1h"',
        database=database,
    )
    asked.hold()
    process = Process(config, port)
    found: dict[str, Figures] = {}
    try:
        process.wait_until_ready()
        process.wait_until_rest()
        found["busy"] = _busy(process, asked, options)
        asked.hold()
        process.wait_until_rest()
        found["at rest"] = _looked(process, options)
    finally:
        asked.sweep(1)
        process.stop()
    return found


def _busy(process: Process, asked: Panels, options: argparse.Namespace) -> Figures:
    asked.sweep(1)
    time.sleep(options.settle)
    before, began, cpu = asked.told()["ids"], time.perf_counter(), process.cpu()
    figures = _looked(process, options)
    seconds = time.perf_counter() - began
    figures["checks a second"] = (asked.told()["ids"] - before) / seconds
    figures["CPU, % of a core"] = 100 * (process.cpu() - cpu) / seconds
    return figures


def _looked(process: Process, options: argparse.Namespace) -> Figures:
    """Percentiles of each kind, over all its addresses alike. Milliseconds."""
    times: dict[str, list[float]] = {}
    connection = http.client.HTTPConnection(urlsplit(process.url).netloc, timeout=60)
    chance = random.Random(1)
    for number in range(options.rounds + _WARM_UP):
        for kind, path in _asked(options.orders, options.panels, chance):
            began = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.read(), path
            assert answer.status == 200, f"{path}: {answer.status}"
            if number >= _WARM_UP:
                times.setdefault(kind, []).append(1000 * (time.perf_counter() - began))
            time.sleep(0.01)
    connection.close()
    figures = {}
    for kind, all_times in times.items():
        ordered = sorted(all_times)
        for percent in (50, 95):
            figures[f"{kind}, p{percent}, ms"] = ordered[len(ordered) * percent // 100]
        figures[f"{kind}, longest, ms"] = ordered[-1]
    return figures | (_painted(process) if options.paint else {})


def _asked(orders: int, number: int, chance: random.Random) -> Iterator[tuple[str, str]]:
    order = chance.randrange(1, orders)
    panel = 1 + order % number
    yield "page", "/"
    yield "page", "/orders"
    yield "page", f"/orders/panel{panel}/{order}"
    yield "page", f"/panels/panel{panel}"
    yield "page", "/actions"
    yield "search", f"/orders?q={order}"
    yield "search", f"/orders?q={order // 1000 or 1}"
    yield "search", f"/orders?q={quote(_link(order)[8:-4])}"
    yield "search", "/orders?q=instagram.com"
    yield "search", f"/orders?q={1000 + order % SERVICES}"
    yield "part of a link", f"/orders?q={_link(order)[-20:-4]}&in=links"
    yield "sorted", "/orders?sort=-charge"
    yield "sorted", f"/orders?panel=panel{panel}&sort=progressed"
    yield "services", "/services?q=likes"
    yield "services", "/services?sort=-completed"
    yield "filter", f"/orders?panel=panel{panel}"
    yield "filter", "/orders?status=partial"
    yield "filter", f"/orders?status=canceled&panel=panel{panel}"
    yield "filter", "/orders?status=failed"
    yield "filter", f"/orders?status=pending&service={1000 + order % SERVICES}"
    yield "filter", "/orders?phase=guarded"
    yield "filter", "/orders?stalled=true"
    yield "filter", "/orders?problem=true"
    yield "filter", f"/orders?service={1000 + order % SERVICES}&cursor={orders // 2}"


def _painted(process: Process) -> Figures:
    """Until a browser first paints the overview and the orders; nothing where there is none."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        browser = None
    if browser is None:
        return {}
    figures = {}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for name, path in (("overview", "/"), ("orders", "/orders")):
            times = []
            for _ in range(_PAINTS):
                page = chromium.new_page(bypass_csp=True)  # else none can wait for a paint
                page.goto(process.url + path)
                page.wait_for_function("performance.getEntriesByName('first-contentful-paint')[0]")
                times.append(
                    page.evaluate(
                        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
                    )
                )
                page.close()
            figures[f"first paint, {name}, ms"] = sorted(times)[_PAINTS // 2]
        chromium.close()
    return figures


def make(path: Path, orders: int, number: int) -> Path:
    """A database of that many orders with links at that many panels."""
    now = time.time()
    make_database(path, panels=number, rows=_told(known_orders(orders, number, now)), now=now)
    return path


def _told(rows: Rows) -> Rows:
    """The same with links and services; of a hundred orders two are over, and one of these odd."""
    for order, state in rows:
        key = order[0]
        told = (*order[:3], str(1000 + key % SERVICES), _link(key), *order[5:])
        status = {99: "partial", 98: "canceled"}.get(key % 100)
        yield told, state if status is None else (key, status, status, *state[3:])


def _link(key: int) -> str:
    return f"https://www.instagram.com/p/{random.Random(key).getrandbits(64):016x}/"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = report.options(__doc__, orders=1_000_000, panels=10, rounds=20, settle=3)
    parser.add_argument("--no-paint", dest="paint", action="store_false", help="no browser")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

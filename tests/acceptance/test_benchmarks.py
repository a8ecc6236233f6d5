"""Every benchmark, small: what is counted has to hold; what is timed is told, not judged."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import document, growth, idle, limits, lived, page, scrape, start, sweep, takeover

alone = pytest.mark.alone  # what others would disturb
ORDERS = 10_000
MOST_BY_MODULE = 3.0  # mean detection lag
LEAST_USED = 0.3  # of what a panel's limit allows
MOST_OTHER_ROWS = 50  # in a sweep, of all orders: what was learnt of services, rates


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("performance")


@pytest.fixture(scope="module", autouse=True)
def _quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Modules are compiled once, and ten seconds a sweep saved, for a small part of its CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("compiled")))
        patch.setattr(growth, "ODD", (0.0, 1.0))
        patch.setattr(sweep, "_AT_REST_FOR", 0.0)
        patch.setattr(sweep, "_REFILL_WITHIN", 0.0)
        yield


@pytest.fixture(scope="module")
def swept(figures: Path) -> Any:
    return _run(sweep, figures / "sweep.json", f"--orders={ORDERS}", "--panels=2", "--runs=1")


@pytest.fixture(scope="module")
def grown(figures: Path) -> Any:
    options = ("--axes=odd", f"--usual-orders={ORDERS}", "--most-panels=1", "--repeat=1")
    return _run(growth, figures / "growth.json", *options)


@pytest.fixture(scope="module")
def limited(figures: Path) -> Any:
    return _run(limits, figures / "limits.json", "--seeds=1")


@pytest.fixture(scope="module")
def started(figures: Path) -> Any:
    options = (f"--orders={ORDERS}", "--runs=1", "--warm-ups=1")
    return _run(start, figures / "start.json", *options)


@pytest.fixture(scope="module")
def idled(figures: Path) -> Any:
    return _run(idle, figures / "idle.json", "--orders=2000", "--seconds=5")


@pytest.fixture(scope="module")
def looked(figures: Path) -> Any:
    options = (f"--orders={ORDERS}", "--panels=2", "--rounds=10", "--settle=0")
    return _run(page, figures / "page.json", *options)


@alone
def test_a_sweep_leaves_out_no_order_and_writes_what_changed(swept: Any):
    (ours,) = swept["runs"]["watcher"]
    _check_exact(ours)
    assert swept["ratios"]["floor"] > 0.0
    assert swept["ratios"]["one-by-one"] > 0.0


@alone
def test_odd_answers_leave_out_no_order(grown: Any):
    plain, odd = grown["axes"]["odd"]
    assert (plain["at"], odd["at"]) == (0.0, 1.0)
    _check_exact(odd)
    assert odd["CPU ÷ first"] > 0.0


def test_the_daemon_learns_as_soon_as_the_module_promises(figures: Path):
    told = _run(
        lived, figures / "lived.json", "--days=0.1", "--scale=0.05", "--seeds=1", "--world=base"
    )
    assert told["worlds"]["base"]["daemon"]["full batches %"] > 95
    assert told["daemon ÷ module"] <= MOST_BY_MODULE


@alone
def test_the_daemon_comes_to_rest(started: Any, idled: Any):
    ((ours,),) = started["runs"].values()
    assert ours["imports, CPU s"] > 0.0
    assert 0.0 < ours["at work, CPU s"] <= ours["ready, CPU s"] <= ours["settled, CPU s"]
    assert idled["figures"]["CPU, % of a core"] > 0.0
    assert idled["figures"]["requests a minute"] <= 1.2 * 60 * idled["panels"]


@alone
def test_most_of_a_limit_is_used(limited: Any):
    for clients in limited["servers"].values():
        assert clients["watcher"]["share of the allowed rate"] >= LEAST_USED


@alone
def test_pages_are_answered_while_panels_are_asked(looked: Any):
    assert looked["figures"]["busy"]["checks a second"] > 0
    for told in looked["figures"].values():
        for kind in ("page", "search", "filter"):
            assert told[f"{kind}, p95, ms"] > 0.0


def test_orders_and_services_add_no_series(figures: Path):
    few, many = (
        _run(scrape, figures / "scrape.json", f"--orders={n}", f"--services={n}", "--panels=20")
        for n in (500, 10_000)
    )
    assert many["figures"]["series"] <= 1.1 * few["figures"]["series"]
    assert many["figures"]["series"] <= 260 * 20 + 400


@pytest.mark.engines("postgresql")
def test_what_a_node_has_led_is_asked_about_again(figures: Path):
    options = ("--orders=2000", "--panels=2", "--lease=2", "--settle=0", "--seconds=1")
    told = _run(takeover, figures / "takeover.json", *options)["figures"]
    assert told["takeover to the first check, s"] > 0.0
    assert told["kill to takeover, s"] < told["kill to a check at each panel, s"]


@alone
@pytest.mark.usefixtures("swept", "grown", "limited", "started", "idled", "looked")
def test_the_page_is_made_of_what_was_measured(figures: Path):
    report = figures.with_suffix(".md")
    report.write_text(document.PAGE.read_text())
    document.main(["--page", str(report)])
    text = report.read_text()
    assert "| watcher ÷ floor |" in text
    for line in text.splitlines():
        if line.startswith("| sweep: "):
            assert line.endswith(("| met |", "| **missed** |"))
    assert (figures / "sweep.svg").read_text().startswith("<svg ")


def test_the_page_tells_what_is_in_its_files():
    results = {
        file.stem: json.loads(file.read_text())
        for file in document.PAGE.with_suffix("").glob("*.json")
    }
    text = document.PAGE.read_text()
    assert results
    assert document.fill(text, document.tables(results)) == text
    for name, drawing in document.drawings(results).items():
        assert (document.PAGE.with_suffix("") / f"{name}.svg").read_text() == drawing


def _run(benchmark: Any, results: Path, *options: str) -> Any:
    benchmark.main([*options, "--json", str(results)])
    return json.loads(results.read_text())


def _check_exact(ours: dict[str, float]) -> None:
    assert ours["orders"] == ORDERS, "no order is left out"
    assert ours["full requests, %"] == 100.0
    assert ours["orders changed"] == ORDERS / 20
    assert ours["states written ÷ changed"] == 1.0
    assert ours["history written ÷ changed"] == 1.0
    assert ours["other rows written"] <= MOST_OTHER_ROWS

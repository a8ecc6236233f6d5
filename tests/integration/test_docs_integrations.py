"""docs/integrations.md: what n8n, Make and spreadsheets are told to send is what the daemon takes.

The programs themselves are not here. A workflow's nodes are walked, and each of its requests sent.
"""

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.support.shops import Market, a_market, until
from watcher.config import Secrets, parse
from watcher.simulator import Fate
from watcher.web.order_routes import FILTERS

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text()
TOML = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
WORKFLOW, SUBMIT = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
FORMULAS = re.findall(r"```\n(=.*?|let.*?)```", PAGE, re.DOTALL)
HOST = "https://watcher.example.com"
KEYS = {"N8N": "key-of-n8n-in-the-tests", "MAKE": "key-of-make-in-the-tests"}
SHEET = "key-of-a-sheet-in-the-tests"
FINISHED = Fate(per_minute=1e9, start_count=500)
# The two one-liners of JavaScript, as n8n runs them.
READ = re.compile(
    r"return \[\{json: \{after: \$getWorkflowStaticData\('global'\)\.(\w+) \|\| '(\w+)'\}\}\];"
)
KEEP = re.compile(
    r"\$getWorkflowStaticData\('global'\)\.(\w+) = "
    r"\$\('(\w+)'\)\.first\(\)\.json\.(\w+);\nreturn \[\];"
)


class Site:
    """A daemon that the tools reach as https://watcher.example.com."""

    def __init__(self, market: Market, session: aiohttp.ClientSession) -> None:
        self.market = market
        self._session = session

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> tuple[int, str]:
        assert url.startswith(f"{HOST}/"), url
        here = url.replace(HOST, self.market.base)
        sent = {**(headers or {}), **({"Content-Type": "application/json"} if body else {})}
        async with self._session.request(method, here, headers=sent, data=body) as answer:
            return answer.status, await answer.text()

    async def ended(self, count: int, **fields: Any) -> list[str]:
        """Track orders of which a change to completed is then on record."""
        panel = self.market.panel
        ids = panel.world.seed_orders(count, panel.now(), services=[1], age=60, fate=FINISHED)
        orders = [{"panel": "mypanel", "order": order, **fields} for order in ids]
        headers = {"Authorization": f"Bearer {KEYS['N8N']}"}
        body = json.dumps({"orders": orders})
        assert (await self.send("POST", f"{HOST}/v1/orders", headers, body))[0] == 200

        def all_ended() -> bool:
            found = [self.market.daemon.watchlist.order("mypanel", str(order)) for order in ids]
            return all(order is not None and order.status == "completed" for order in found)

        await until(all_ended)
        return [str(order) for order in ids]


@asynccontextmanager
async def a_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    for name, key in {**KEYS, "SHEET": SHEET}.items():
        monkeypatch.setenv(f"API_{name}_KEY", key)
    async with a_market(tmp_path, shops=TOML[0].replace('"mypanel"', '"standard"')) as market:
        text = market.path.read_text().replace("[panels.standard]", "[panels.mypanel]")
        market.path.write_text(text.replace('"standard"]', '"mypanel"]'))
        await market.restart()
        async with aiohttp.ClientSession() as session:
            yield Site(market, session)


def filled(text: str, item: Mapping[str, Any]) -> str:
    """A parameter of n8n: an expression of an item's fields, or a text."""
    if not text.startswith("="):
        return text
    found = re.fullmatch(r"=\{\{ \$json\.(\w+) \}\}", text)
    assert found, text
    return str(item[found[1]])


async def n8n_request(site: Site, node: Mapping[str, Any], item: Mapping[str, Any]) -> Any:
    """Send what an HTTP Request node sends for an item; return the JSON."""
    told = node["parameters"]
    assert node["type"] == "n8n-nodes-base.httpRequest"
    assert told["genericAuthType"] == "httpHeaderAuth"
    headers = {"Authorization": f"Bearer {KEYS['N8N']}"}
    for one in told.get("headerParameters", {}).get("parameters", ()):
        headers[one["name"]] = filled(one["value"], item)
    query = {
        one["name"]: filled(one["value"], item)
        for one in told.get("queryParameters", {}).get("parameters", ())
    }
    url = told["url"] + (f"?{urlencode(query)}" if query else "")
    body = n8n_body(told["jsonBody"], item) if told.get("sendBody") else None
    status, text = await site.send(told.get("method", "GET"), url, headers, body)
    assert status < 300, text
    return json.loads(text)


def n8n_body(text: str, item: Mapping[str, Any]) -> str:
    """What JSON.stringify({name: value, …}) gives."""
    inside = re.fullmatch(r"=\{\{ JSON\.stringify\(\{(.*)\}\) \}\}", text)
    assert inside, text
    body: dict[str, Any] = {}
    for pair in inside[1].split(", "):
        name, value = pair.split(": ")
        if value.startswith("String("):
            body[name] = str(item[value.removeprefix("String($json.").removesuffix(")")])
        elif value.startswith("$json."):
            body[name] = item[value.removeprefix("$json.")]
        else:
            body[name] = json.loads(value.replace("'", '"'))
    return json.dumps(body)


async def n8n_run(site: Site, static: dict[str, str]) -> list[Any]:
    """One run of the workflow: the items that reach the steps after the upper branch."""
    nodes = {node["name"]: node for node in WORKFLOW["nodes"]}
    edges = {name: out["main"][0] for name, out in WORKFLOW["connections"].items()}
    (trigger,) = [n for n, node in nodes.items() if node["type"].endswith("scheduleTrigger")]
    (cursor,) = [edge["node"] for edge in edges[trigger]]
    read = READ.fullmatch(nodes[cursor]["parameters"]["jsCode"])
    assert read
    (request,) = [edge["node"] for edge in edges[cursor]]
    answer = await n8n_request(site, nodes[request], {"after": static.get(read[1], read[2])})
    branches = [nodes[edge["node"]] for edge in edges[request]]
    upper, lower = sorted(branches, key=lambda node: int(node["position"][1]))
    items = answer[upper["parameters"]["fieldToSplitOut"]]
    keep = KEEP.fullmatch(lower["parameters"]["jsCode"])
    assert keep
    assert (keep[1], keep[2]) == (read[1], request)
    static[keep[1]] = answer[keep[3]]
    return list(items)


def test_the_configurations_are_accepted(tmp_path: Path) -> None:
    panel = '[panels.mypanel]\nurl = "https://panel.example/api/v2"\nkey_env = "KEY"\n'
    names = re.findall(r'env = "(\w+)"|name = "(\w+)"', "".join(TOML))
    env = {"KEY": "k", "N8N_URL": "https://n8n.example/a", "MAKE_URL": "https://make.example/b"}
    env |= {by_env: "Basic-text-of-the-tests" for by_env, _ in names if by_env}
    env |= {f"API_{name.upper()}_KEY": f"secret-of-{name}-in-the-tests" for _, name in names}
    config = parse(panel + "".join(TOML), Secrets(env, tmp_path), tmp_path)
    assert len(config.keys) == 3
    assert [set(target.headers) for target in config.events] == [
        {"Authorization"},
        {"x-make-apikey"},
    ]


async def test_the_workflow_of_n8n_stays_in_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_site(tmp_path, monkeypatch) as site:
        static: dict[str, str] = {}
        assert await n8n_run(site, static) == []
        assert static["cursor"].startswith("c1"), "kept, though nothing has changed"
        ids = await site.ended(3, reference="1042")
        before = dict(static)
        items = await n8n_run(site, static)
        assert {item["order"] for item in items} == set(ids)
        assert {item["reference"] for item in items} == {"1042"}
        assert {item["state"]["status"] for item in items} == {"completed"}
        assert await n8n_run(site, static) == []
        assert await n8n_run(site, before) == items, "a step failed: they come again"


async def test_n8n_places_an_order_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_site(tmp_path, monkeypatch) as site:
        (node,) = SUBMIT["nodes"]
        item = {"id": 1042, "link": "https://example.com/ü", "quantity": 100}
        first = await n8n_request(site, node, item)
        again = await n8n_request(site, node, item)
        assert first["order"]["reference"] == "1042"
        assert first["order"]["order"] == again["order"]["order"]
        assert len(site.market.panel.journal.requests("add")) == 1


async def test_the_request_of_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = dict(re.findall(r"(?m)^   \| (\S.*?) +\| `?(.+?)`? \|$", PAGE))
    headers = {n.split("`")[1]: v for n, v in rows.items() if n.startswith("Header ")}
    query = {n.split("`")[1]: v for n, v in rows.items() if n.startswith("Query string ")}
    headers = {name: value.replace("KEY", KEYS["MAKE"]) for name, value in headers.items()}
    first = re.fullmatch(r'\{\{ifempty\(1\.cursor; "(\w+)"\)\}\}', query["after"])
    assert first
    async with a_site(tmp_path, monkeypatch) as site:

        async def run(after: str) -> Any:
            url = f"{rows['URL']}?{urlencode({**query, 'after': after})}"
            status, text = await site.send(rows["Method"], url, headers)
            assert status == 200, text
            return json.loads(text)

        cursor = (await run(first[1]))["cursor"]
        ids = await site.ended(2)
        assert {change["order"] for change in (await run(cursor))["changes"]} == set(ids)
        for path in re.findall(r"\{\{2\.data\.(\w+)", PAGE):
            assert path in await run(cursor)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


async def test_the_formulas_of_spreadsheets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets, excel, _ = FORMULAS
    url = re.fullmatch(r'=IMPORTDATA\("(.*)"\)\n', sheets)
    assert url
    wanted = url[1].replace("KEY", SHEET).replace("in_progress", "completed")
    async with a_site(tmp_path, monkeypatch) as site:
        ids = await site.ended(2, reference="=1+1", link="https://example.com/a,b")
        status, text = await site.send("GET", wanted)
        assert status == 200, text
        found = rows_of(text)
        assert [row["order"] for row in found] == ids
        assert {row["reference"] for row in found} == {"'=1+1"}
        assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", r["submitted_at"]) for r in found)
        assert (await site.send("GET", wanted.replace(SHEET, KEYS["N8N"])))[0] == 403
        assert (await site.send("GET", wanted.replace(SHEET, "nobodys-key-nobodys")))[0] == 401

        base, path, status_wanted, header = (
            re.findall(pattern, excel)[0]
            for pattern in (
                r'Web\.Contents\(\s*"(.*?)"',
                r'RelativePath = "(.*?)"',
                r'Query = \[status = "(\w+)"\]',
                r'Headers = \[Authorization = "(.*?)"\]',
            )
        )
        assert status_wanted == "in_progress"
        headers = {"Authorization": header.replace("KEY", SHEET)}
        answer = await site.send("GET", f"{base}/{path}?status=completed", headers)
        assert answer == (200, text)
        assert (
            rows_of((await site.send("GET", f"{base}/{path}?status=in_progress", headers))[1]) == []
        )


def test_every_filter_is_named() -> None:
    (named,) = re.findall(r"The filters are those of .*?: (.*?)\.", PAGE, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", named)) == {param.name for param in FILTERS}

"""Every message that docs/faq.md quotes is what watcher says, in the situation that it means."""

import asyncio
import re
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from tests.integration.cli_daemon import (
    CannedDaemon,
    action_view,
    in_thread,
    order_view,
    panel_view,
)
from tests.support.house import a_house
from watcher.cli import app
from watcher.config import Secrets, parse
from watcher.errors import ConfigError, StoreBusy
from watcher.model import Order, Phase, RuleAction, Status
from watcher.panels.profiles import shipped
from watcher.rules.condition import Condition
from watcher.rules.rule import Rule, decide
from watcher.rules.variables import FiringHistory, PanelVariables, RuleContext
from watcher.simulator import PRICE_LIST, SimulatedPanel, Trait, World
from watcher.store import Store
from watcher.web.order_import.lines import Problem
from watcher.web.order_import.order_list import read
from watcher.web.panel_shapes import PanelList
from watcher.web.shapes import ActionAnswer, OrderList

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faq.md").read_text()
PANEL = '[panels.a]\nprofile = "smmgenie"\nkey_env = "KEY"\n'


def watcher(*args: object, **env: Any) -> str:
    given = {"COLUMNS": None, "WATCHER_TOKEN": None, "STATE_DIRECTORY": None, **env}
    return CliRunner().invoke(app, tuple(map(str, args)), env=given).output


def told(text: str, base: Path, **env: str) -> str:
    """What is wrong with a configuration."""
    with pytest.raises(ConfigError) as caught:
        parse(text, Secrets({"KEY": "k", **env}, base), base)
    return "\n".join(caught.value.problems)


def rule(action: str, when: str) -> str:
    return f'{PANEL}[[rules]]\nname = "r"\naction = "{action}"\nwhen = "{when}"\npanels = ["a"]\n'


def no_daemon(path: Path) -> str:
    return watcher("orders", "--url", "http://127.0.0.1:1")


def with_token(path: Path, **env: Any) -> str:
    """What a daemon that wants a token says."""
    (path / "api.token").write_text("token-of-the-tests")
    (path / "api.token").chmod(0o600)

    async def ask() -> str:
        async with a_house(path) as house:
            text = house.path.read_text().replace("[daemon]", '[daemon]\ntoken_file = "api.token"')
            house.path.write_text(text)
            await house.daemon.reload()
            url = f"http://127.0.0.1:{house.daemon.port}"
            return await asyncio.to_thread(watcher, "orders", "--url", url, **env)

    return asyncio.run(ask())


def a_wrong_token(path: Path) -> str:
    return with_token(path, WATCHER_TOKEN="another-token")


def a_port_that_is_taken(path: Path) -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file = path / "watcher.toml"
        file.write_text(f'[daemon]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n{PANEL}')
        return watcher("run", "--config", file, KEY="k")


def a_database_in_use(path: Path) -> str:
    async def held() -> str:
        await (await Store.open(path / "a.db", now=0.0)).close()
        with closing(sqlite3.connect(path / "a.db")) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreBusy) as caught:
                await Store.open(path / "a.db", now=0.0, busy_timeout=0.1)
        return str(caught.value)

    return asyncio.run(held())


def canned(*args: str, state: str = "unresolved") -> str:
    with CannedDaemon() as daemon:
        daemon.put("GET /v1/orders", OrderList([order_view()], "7"))
        daemon.put("GET /v1/panels", PanelList([panel_view("mypanel")]))
        action = action_view(17, kind="submit", state=state)
        daemon.put("POST /v1/submit", ActionAnswer(action), 202)
        return watcher(*args, "--url", daemon.url)


def a_file_of_others(path: Path) -> str:
    (path / "a.key").write_text("k")
    (path / "a.key").chmod(0o644)
    return told('[panels.a]\nprofile = "smmgenie"\nkey_file = "a.key"\n', path)


def a_value_that_is_not_told(path: Path) -> str:
    return explained("order.drop > 0.1")


def explained(when: str, **fields: Any) -> str:
    order = Order(panel="a", id="1", submitted_at=0.0, progressed_at=0.0, checked_at=1.0, **fields)
    made = Rule(
        name="r", action=RuleAction.NOTIFY, condition=Condition(when), every=1.0, per_hour=1
    )
    return decide(
        made, order, RuleContext(panel=PanelVariables("a")), FiringHistory(), 2.0, None
    ).detail


def a_finish_that_is_not_known(path: Path) -> str:
    ended = {"status": Status.COMPLETED, "phase": Phase.GUARDED}
    return explained("order.finished_ago > duration('1h')", **ended)


def a_slow_condition(path: Path) -> str:
    return told(rule("notify", "[1].all(a, [1].all(b, [1].all(c, true)))"), path)


def an_empty_price_list(path: Path) -> str:
    panel = SimulatedPanel(shipped()["smmgenie"], key="other", traits=[Trait.EMPTY_FOR_BAD_KEY])
    file = path / "watcher.toml"
    file.write_text(f'{PANEL}url = "{panel.url}"\n')
    with in_thread(panel):
        file.write_text(f'{PANEL}url = "{panel.url}"\n')
        return watcher("check-config", file, "--online", KEY="k")


class AsPhpPrints(Decimal):
    """A price as PHP's number_format prints it."""

    def __format__(self, form: str) -> str:
        return f"{self:,}" if form == "f" else super().__format__(form)


def a_price_that_can_not_be_read(path: Path) -> str:
    world = World((msgspec.structs.replace(PRICE_LIST[0], rate=AsPhpPrints(1234)),))
    return asked_online(path, world=world)


def asked_online(
    path: Path,
    *traits: Trait,
    key: str = "k",
    scheme: str = "http",
    world: World | None = None,
) -> str:
    panel = SimulatedPanel(shipped()["smmgenie"], key="k", traits=traits, world=world)
    file = path / "watcher.toml"
    with in_thread(panel):
        url = panel.url.replace("http", scheme, 1)
        file.write_text(f'{PANEL}url = "{url}"\n')
        return watcher("check-config", file, "--online", KEY=key)


def a_list(text: bytes) -> str:
    problems = [row for row in read(BytesIO(text), "a") if isinstance(row, Problem)]
    return "\n".join(problem.cause for problem in problems)


# The beginning of each message that is quoted, and how it comes about.
SITUATIONS: dict[str, Callable[[Path], str]] = {
    "no daemon answers": no_daemon,
    "A valid bearer token is required. (give": with_token,
    "That is not the token.": a_wrong_token,
    "can't listen on": a_port_that_is_taken,
    "… is locked": a_database_in_use,
    "there are more": lambda path: canned("orders", "--limit", "1"),
    "…: no key": lambda path: told(PANEL, path, KEY=""),
    "… can be read by others": a_file_of_others,
    "daemon.listen": lambda path: told(f'[daemon]\nlisten = "0.0.0.0:1"\n{PANEL}', path),
    "…: rule …: panel": lambda path: told(rule("cancel", "true"), path),
    "…: rule …: there is no order": lambda path: told(rule("notify", "order.x > 1"), path),
    "there is no panel": lambda path: canned("track", "mypanl", "1"),
    "the panel has not reported": a_value_that_is_not_told,
    "this order's service": lambda path: explained("service.refill"),
    "the finish of this order": a_finish_that_is_not_known,
    "…: rule …: takes too long": a_slow_condition,
    "action … is unresolved": lambda path: canned("submit", "mypanel", "--service", "1"),
    "action … is still planned": lambda path: canned(
        "submit", "mypanel", "--service", "1", state="planned"
    ),
    "… can't be read": a_price_that_can_not_be_read,
    "the price list is empty": an_empty_price_list,
    "it redirects": lambda path: asked_online(path, Trait.REDIRECTS_SLASH),
    "a web firewall": lambda path: asked_online(path, Trait.WANTS_USER_AGENT),
    "… does not speak TLS": lambda path: asked_online(path, scheme="https"),
    "… (the key stands": lambda path: asked_online(path, key='"k"'),
    "submitted_at": lambda path: a_list(b"id,date\n1,05/06/2024\n"),
    "… is an id that": lambda path: a_list(b"id,qty\n1.23457E+11,5\n"),
    "no column is named": lambda path: a_list(b"number,qty\n1,5\n"),
    "a WooCommerce list": lambda path: a_list(b"Order Number,Order Status\n5501,Completed\n"),
}


def quoted() -> list[str]:
    return re.findall(r"(?m)^### `(.*)`$", PAGE)


@pytest.mark.parametrize("message", quoted())
def test_a_quoted_message_is_said(message: str, tmp_path: Path) -> None:
    [rule_context] = [how for begin, how in SITUATIONS.items() if message.startswith(begin)]
    pattern = ".+?".join(map(re.escape, message.split("…")))
    said = rule_context(tmp_path)
    assert re.search(pattern, said), said


def test_every_situation_is_quoted() -> None:
    assert len(quoted()) == len(SITUATIONS)

"""What a panel is taken for: by how it behaves, whatever its words, and told in them."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.support.clockwork import Clock
from tests.support.house import KEY, House, a_house, config_text
from tests.support.receiver import a_receiver
from tests.support.sayings import Sayings
from watcher.panels.profiles import shipped
from watcher.simulator import Fate, SimulatedPanel, Trait, World
from watcher.web.panel_shapes import PanelList

MINUTE, HOUR = 60.0, 3600.0
SLOW = Fate(per_minute=0.001)
OFTEN = 'idle_every = "5s"\nrequests_per_minute = 6000\n'
TEXTS = [
    "API is disable for this user or user not found. Contact the support",
    "The key field is required.",
    "Your IP address 10.1.2.3 is not allowed",
    "Chave de API inválida",
    "Неверный API ключ",
    "API密钥无效",
    "Hesabınız askıya alındı",
    "Invalid API key",
]


async def one(house: House) -> dict:
    (view,) = (await house.call("GET", "/v1/panels"))["panels"]
    return view


@asynccontextmanager
async def a_talker(tmp_path: Path, **options) -> AsyncIterator[tuple[House, Sayings]]:
    async with a_house(tmp_path, **options) as house:
        yield house, Sayings(house.panel)


@pytest.mark.parametrize("text", TEXTS)
async def test_a_panel_that_refuses_everything(tmp_path: Path, text: str):
    """It is told in its words, nothing is learnt of orders, and all are asked when it ends."""
    async with a_talker(tmp_path, defaults=OFTEN + 'balance_every = "5s"\n') as (house, panel):
        ids = await house.place(120, fate=SLOW)
        await house.run(MINUTE)
        panel.refuse(text)
        await house.run(12.0)
        view = await one(house)
        assert (view["up"], view["state"], view["problem"]) == (False, "refusing", text)
        assert {"status", "balance"} <= {fault["call"] for fault in view["state_detail"]}
        assert await house.metric("panel_state", panel="standard", state="refusing") == 1
        assert await house.metric("panel_up", panel="standard") == 0
        panel.asked.clear()
        await house.run(HOUR)
        assert len(panel.asked) <= 35
        assert {house.order(order).problem for order in ids} == {None}
        panel.as_usual()
        await house.run(150.0)
        view = await one(house)
        assert (view["up"], view["state"], view["problem"]) == (True, "up", None)
        assert all(house.clock() - checked_at(house, order) < 150.0 for order in ids)


def checked_at(house: House, order: str, panel: str | None = None) -> float:
    entry = house.daemon.watchlist.entry(panel or "standard", order)
    assert entry is not None
    return entry.checked_at


async def test_two_orders_and_an_idle_balance_are_enough(tmp_path: Path):
    async with a_talker(tmp_path, defaults=OFTEN + 'balance_every = "6h"\n') as (house, panel):
        ids = await house.place(2, fate=SLOW)
        await house.run(10 * MINUTE)
        panel.refuse("Your account has been suspended")
        await house.run(MINUTE)
        assert (await one(house))["state"] == "refusing"
        await house.run(HOUR)
        assert {house.order(order).problem for order in ids} == {None}
        panel.as_usual()
        await house.run(150.0)
        assert all(house.clock() - checked_at(house, order) < 150.0 for order in ids)


async def test_a_panel_without_orders(tmp_path: Path):
    async with a_talker(tmp_path, defaults=OFTEN) as (house, panel):
        await house.run(MINUTE)
        panel.refuse("Conta suspensa")
        await house.run(6 * MINUTE)
        assert (await one(house))["state"] == "refusing"
        panel.as_usual()
        await house.run(3 * MINUTE)
        assert (await one(house))["state"] == "up"


async def test_statuses_alone_are_refused_of_orders_that_were_answered_before(tmp_path: Path):
    async with a_talker(tmp_path, defaults=OFTEN) as (house, panel):
        ids = await house.place(120, fate=SLOW)
        await house.run(5 * MINUTE)
        panel.refuse("Acesso negado", "status")
        await house.run(5 * MINUTE)
        assert ((await one(house))["state"], (await one(house))["problem"]) == (
            "refusing",
            "Acesso negado",
        )
        await house.run(HOUR)
        assert {house.order(order).problem for order in ids} == {None}
        panel.as_usual()
        await house.run(150.0)
        assert (await one(house))["state"] == "up"
        assert all(house.clock() - checked_at(house, order) < 150.0 for order in ids)


async def test_one_bad_id_refused_in_unknown_words_spoils_no_panel(tmp_path: Path):
    async with a_talker(tmp_path, defaults=OFTEN) as (house, panel):
        ids = await house.place(150, fate=SLOW)
        await house.run(MINUTE)
        await house.track(["777"])

        def say(sent):
            wanted = f"{sent.get('orders', '')},{sent.get('order', '')}".split(",")
            return {"error": "Pedido inexistente"} if "777" in wanted else None

        panel.say = say
        await house.run(5 * MINUTE)
        assert house.order("777").problem == "Pedido inexistente"
        assert {house.order(order).problem for order in ids} == {None}
        assert (await one(house))["state"] == "up"
        await house.run(HOUR)
        assert all(house.clock() - checked_at(house, order) < 30 * MINUTE for order in ids)


async def test_two_ids_that_nobody_knows_are_no_refusing_panel(tmp_path: Path):
    async with a_talker(tmp_path, defaults=OFTEN) as (house, panel):
        panel.refuse("Pedido inexistente", "status")
        await house.track(["777", "778"])
        await house.run(5 * MINUTE)
        assert house.order("777").problem == house.order("778").problem == "Pedido inexistente"
        view = await one(house)
        assert (view["up"], view["state"]) == (True, "degraded")
        assert "Pedido inexistente" in view["problem"]


async def test_one_id_alone_is_settled_though_no_other_order_can_tell(tmp_path: Path):
    async with a_talker(tmp_path, defaults=OFTEN) as (house, panel):
        panel.refuse("Pedido inexistente", "status")
        await house.track(["777"])
        await house.run(5 * MINUTE)
        assert house.order("777").problem == "Pedido inexistente"
        assert (await one(house))["state"] == "up"


async def test_a_balance_refused_by_right(tmp_path: Path):
    async with a_talker(tmp_path, defaults=OFTEN) as (house, panel):
        ids = await house.place(20, fate=SLOW)
        panel.refuse("balance is not allowed for this key", "balance")
        await house.run(30 * MINUTE)
        view = await one(house)
        assert (view["up"], view["state"], view["breaker"]) == (True, "degraded", "closed")
        assert view["problem"] == "balance: balance is not allowed for this key"
        assert all(house.clock() - checked_at(house, order) < 5 * MINUTE for order in ids)
        panel.as_usual()
        await house.run(6 * MINUTE)
        assert (await one(house))["state"] == "up"


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("balance", {"balance": "lots", "currency": "USD"}),
        ("services", {"prices": "on request"}),
        ("balance", "hello"),
    ],
)
async def test_a_call_that_can_t_be_read_takes_nothing_down(tmp_path: Path, call, body):
    async with a_talker(tmp_path, defaults=OFTEN + 'services_every = "10m"\n') as (house, panel):
        ids = await house.place(20, fate=SLOW)
        panel.answer(call, body)
        await house.run(30 * MINUTE)
        view = await one(house)
        assert (view["up"], view["state"], view["breaker"]) == (True, "degraded", "closed")
        assert [fault["call"] for fault in view["state_detail"]] == [call]
        assert await house.metric("panel_state", panel="standard", state="degraded") == 1
        assert all(house.clock() - checked_at(house, order) < 5 * MINUTE for order in ids)
        panel.as_usual()
        await house.run(11 * MINUTE)
        assert (await one(house))["state"] == "up"


async def test_statuses_in_an_unknown_form_are_asked_for_seldom(tmp_path: Path):
    async with a_talker(tmp_path, defaults=OFTEN) as (house, panel):
        ids = await house.place(150, fate=SLOW)
        await house.run(MINUTE)
        panel.answer("status", {"result": {"state": "fine"}})
        await house.run(5 * MINUTE)
        panel.asked.clear()
        await house.run(HOUR)
        view = await one(house)
        assert (view["up"], view["state"], view["breaker"]) == (True, "degraded", "closed")
        assert panel.asked.count("status") <= 65
        assert {house.order(order).problem for order in ids} == {None}
        panel.as_usual()
        await house.run(150.0)
        assert all(house.clock() - checked_at(house, order) < 150.0 for order in ids)


def limit(house: House, panel: Sayings, words: str, *calls: str) -> None:
    """So many requests a minute, those that are refused among them."""
    hits: deque[float] = deque()

    def say(sent):
        if calls and sent.get("action") not in calls:
            return None
        hits.append(house.clock())
        while hits[0] <= house.clock() - MINUTE:
            hits.popleft()
        return {"error": words} if len(hits) > 20 else None

    panel.say = say


@pytest.mark.parametrize("calls", [(), ("status",)])
async def test_a_limit_in_unknown_words_slows_down(tmp_path: Path, calls: tuple[str, ...]):
    asked = {}
    for words in ("Rate limit exceeded", "Slow down please"):
        path = tmp_path / words.split()[0]
        path.mkdir()
        async with a_talker(path, defaults="requests_per_minute = 600\n") as (house, panel):
            limit(house, panel, words, *calls)
            ids = await house.place(3000, fate=SLOW)
            await house.run(MINUTE)
            asked[words] = len(panel.asked)
            await house.run(30 * MINUTE)
            asked[f"{words}, later"] = len(panel.asked)
            assert {house.order(order).problem for order in ids} == {None}
            view = await one(house)
            assert view["state"] in ("up", "limited")
    assert asked["Slow down please"] <= 1.5 * asked["Rate limit exceeded"]
    assert asked["Slow down please, later"] <= 1.5 * asked["Rate limit exceeded, later"]


async def test_a_wrong_key_told_to_an_action_pauses_nobody(tmp_path: Path):
    async with a_talker(tmp_path, defaults=OFTEN) as (house, panel):
        ids = await house.place(20, fate=SLOW)
        await house.run(5 * MINUTE)
        panel.refuse("Invalid API key", "add")
        order = {"panel": "standard", "service": 1, "link": "https://e.example/1", "quantity": 100}
        sent = await house.call(
            "POST", "/v1/submit", json=order, headers={"Idempotency-Key": "a"}, status=202
        )
        await house.run(MINUTE)
        (action,) = (await house.call("GET", "/v1/actions"))["actions"]
        assert action["id"] == sent["action"]["id"]
        assert (action["state"], action["answer"]) == ("rejected", "Invalid API key")
        assert panel.asked.count("add") == 2
        view = await one(house)
        assert (view["up"], view["state"], view["breaker"]) == (True, "up", "closed")
        assert all(house.clock() - checked_at(house, order) < 2 * MINUTE for order in ids)


@pytest.mark.parametrize("how", ["call", "reload"])
async def test_a_mended_panel_is_asked_at_once(tmp_path: Path, how: str):
    async with a_house(tmp_path, defaults=OFTEN) as house:
        ids = await house.place(20, fate=SLOW)
        await house.run(5 * MINUTE)
        house.panel.change_key("another")
        await house.run(2 * HOUR)
        assert (await one(house))["problem"] == "Invalid API key"
        house.panel.change_key(KEY)
        if how == "call":
            answer = await house.call("POST", "/v1/panels/standard/retry", status=202)
            assert answer["panel"]["panel"] == "standard"
        else:
            await house.daemon.reload()
        await house.run(2.0)
        view = await one(house)
        assert (view["up"], view["state"], view["paused_until"]) == (True, "up", None)
        assert all(house.clock() - checked_at(house, order) < 5.0 for order in ids)


async def test_an_action_that_waits_goes_out_at_once_when_somebody_tries_the_panel(tmp_path: Path):
    async with a_house(tmp_path, defaults=OFTEN) as house:
        (order,) = await house.place(1, fate=SLOW)
        await house.run(5 * MINUTE)
        sender = house.daemon.panel_workers["standard"].sender
        await house.call("POST", f"/v1/orders/standard/{order}/cancel", status=202)
        for _ in range(20):  # as if the panel had put it off as often
            sender._patience.failed(1, house.clock())
        await house.run(MINUTE)
        assert house.panel.journal.sent("cancel") == {}
        await house.call("POST", "/v1/panels/standard/retry", status=202)
        await house.run(10.0)
        assert house.panel.journal.sent("cancel") == {int(order): 1}


async def test_a_panel_that_was_down_is_asked_at_once(tmp_path: Path):
    async with a_house(tmp_path, defaults=OFTEN) as house:
        await house.place(5, fate=SLOW)
        house.panel.switches.on(Trait.HTML_503)
        await house.run(2 * HOUR)
        assert (await one(house))["state"] == "down"
        house.panel.switches.off()
        await house.call("POST", "/v1/panels/standard/retry", status=202)
        await house.run(2.0)
        assert (await one(house))["state"] == "up"
        await house.call("POST", "/v1/panels/nobody/retry", status=404)


async def test_of_ten_panels_exactly_those_are_told_that_are_not_well(tmp_path: Path):
    """On /v1/panels, by the metrics, on the page, by `top` and by notification."""
    clock, names = Clock(), [f"p{number}" for number in range(10)]
    panels = {
        name: SimulatedPanel(shipped()["standard"], key=KEY, clock=clock, world=World())
        for name in names
    }
    for panel in panels.values():
        await panel.start()
    path = tmp_path / "config.toml"
    notify = '[[notify]]\nname = "phone"\n'
    path.write_text(config_text(panels, defaults='check_within = "5m"\n', rules=notify))
    async with a_receiver() as receiver:
        house = House(path, panels, clock, {"PHONE_URL": receiver.url})
        await house.open()
        try:
            await _ten(house, receiver)
        finally:
            await house.close()
            for panel in panels.values():
                await panel.stop()


async def _ten(house: House, receiver) -> None:
    ids: dict[str, list[str]] = {}
    for name, panel in house.panels.items():
        ids[name] = [str(n) for n in panel.world.seed_orders(30, panel.now(), fate=SLOW)]
        await house.track(ids[name], name)
    await house.run(10 * MINUTE)
    blocked, odd = Sayings(house.panels["p3"]), Sayings(house.panels["p7"])
    blocked.refuse("Hesabınız askıya alındı")
    odd.answer("balance", {"balance": "plenty", "currency": "USD"})
    await house.run(30 * MINUTE)

    listed = msgspec.convert(await house.call("GET", "/v1/panels"), PanelList)
    states = {view.panel: str(view.state) for view in listed.panels if view.state != "up"}
    assert states == {"p3": "refusing", "p7": "degraded"}
    assert {view.panel for view in listed.panels if not view.up} == {"p3"}
    for name in ids:
        for state in ("up", "degraded", "limited", "refusing", "down"):
            expected = state == states.get(name, "up")
            assert await house.metric("panel_state", panel=name, state=state) == expected
    wrong = (await house.call("GET", "/v1/attention"))["attention"]
    assert [(item["kind"], item["panel"]) for item in wrong if item["severity"] != "info"] == [
        ("panel_refusing", "p3"),
        ("panel_degraded", "p7"),
    ]
    assert wrong[0]["sentence"].startswith("it refuses everything: Hesabınız askıya alındı")
    assert "a balance that can't be read: plenty" in wrong[1]["sentence"]
    page = await _page(house)
    assert page.count('"what">Panel refusing<') == 1
    assert page.count('"what">Panel degraded<') == 1
    assert "Hesabınız askıya alındı" in page
    assert "plenty" in page
    told = [notice for document in receiver.arrived for notice in document["notices"]]
    assert {(notice["event"], notice["panel"]) for notice in told} == {
        ("panel_down", "p3"),
        ("panel_degraded", "p7"),
    }
    texts = {notice["panel"]: notice["text"] for notice in told}
    assert texts["p3"].startswith("it refuses everything: Hesabınız askıya alındı")
    assert "plenty" in texts["p7"]
    for name in house.panels.keys() - {"p3"}:
        late = [house.clock() - checked_at(house, order, name) for order in ids[name]]
        assert max(late) <= 5 * MINUTE + 10.0


async def _page(house: House) -> str:
    url = f"http://127.0.0.1:{house.daemon.port}/"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


@pytest.mark.parametrize("what", ["refuses", "degraded"])
async def test_it_is_told_within_two_minutes_and_so_is_its_end(tmp_path: Path, what: str):
    async with a_receiver() as receiver:
        options = {"rules": '[[notify]]\nname = "phone"\n', "env": {"PHONE_URL": receiver.url}}
        options["defaults"] = OFTEN + 'balance_every = "30s"\n'
        async with a_talker(tmp_path, **options) as (house, panel):
            await house.place(2, fate=SLOW)
            await house.run(5 * MINUTE)
            if what == "refuses":
                panel.refuse("Conta suspensa")
            else:
                panel.answer("balance", {"balance": "lots"})
            await house.run(2.5 * MINUTE)
            event = "panel_down" if what == "refuses" else "panel_degraded"
            told = [notice for document in receiver.arrived for notice in document["notices"]]
            assert [(notice["event"], notice["stage"]) for notice in told] == [(event, "begun")]
            assert ("Conta suspensa" if what == "refuses" else "lots") in told[0]["text"]
            await house.run(30 * MINUTE)
            panel.as_usual()
            await house.run(5 * MINUTE)
            told = [notice for document in receiver.arrived for notice in document["notices"]]
            assert [(n["event"], n["stage"]) for n in told] == [(event, "begun"), (event, "over")]

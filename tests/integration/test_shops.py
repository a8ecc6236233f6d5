"""What shops may, what they pay for once, and what they get when panels do not answer."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.house import KEY, House, a_house
from tests.support.process import DaemonProcess
from tests.support.series import series
from tests.support.shops import QUICK, SHOP_KEY, Market, a_market, ask, until
from watcher.logs import redaction
from watcher.panels.profiles import shipped
from watcher.shop_api import lookup, ordering
from watcher.simulator import Fate, SimulatedPanel
from watcher.simulator.traits import Trait

LINK = "https://example.com/post/1"
ORDER = {"service": 1, "link": LINK, "quantity": 100}
RUNNING = Fate(per_minute=0.001, start_count=500)
FINISHED = Fate(per_minute=1e9, refill_takes=1e9, start_count=500)
NOT_KNOWN = "whether it did this is not known"


def placed(market: Market) -> int:
    return sum(panel.journal.links(carried_out=True).total() for panel in market.panels.values())


async def learn(market: Market) -> None:
    """The watcher has read what it can."""
    rule_engine = market.daemon.rule_engine
    await until(
        lambda: len(rule_engine.services) == len(rule_engine.balances) == len(market.panels)
    )


async def resolve(market: Market, **body: object) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{market.base}/v1/actions?state=unresolved") as answer:
            (action,) = (await answer.json())["actions"]
        path = f"{market.base}/v1/actions/{action['id']}/resolve"
        async with session.post(path, json=body) as answer:
            assert answer.status == 200


# --- the same order is one order -----------------------------------------------------------------


async def test_the_same_order_is_placed_once(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        same = await asyncio.gather(*(market.ask("add", **ORDER) for _ in range(5)))
        assert same == [{"order": 23501}] * 5
        for other in ({"quantity": 101}, {"link": f"{LINK}0"}, {"runs": 1}):
            assert (await market.ask("add", **{**ORDER, **other}))["order"] > 23501
        await market.restart()
        assert await market.ask("add", **ORDER) == {"order": 23501}
        assert placed(market) == 4


async def test_a_refused_order_can_be_tried_again(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        market.panel.world.set_balance(0, market.panel.now())
        refused = {"error": "Not enough funds on balance"}
        assert await market.ask("add", **ORDER) == refused
        assert await market.ask("add", **ORDER) == refused
        market.panel.world.set_balance(100, market.panel.now())
        assert await market.ask("add", **ORDER) == {"order": 23501}


async def test_the_guard_can_be_off(tmp_path: Path) -> None:
    shops = '[[shops]]\nname = "main"\nduplicate_within = "0s"\n'
    async with a_market(tmp_path, shops=shops) as market:
        orders = [await market.ask("add", **ORDER) for _ in range(3)]
        assert orders == [{"order": 23501}, {"order": 23502}, {"order": 23503}]


async def test_the_guard_ends(tmp_path: Path) -> None:
    shops = '[[shops]]\nname = "main"\nkey_env = "TEST_KEY"\nduplicate_within = "5m"\n'
    async with a_house(tmp_path, rules=shops) as house:
        first = await add_in(house)
        await house.run(299)
        assert await add_in(house) == first
        await house.run(2)
        assert await add_in(house) == {"order": 23502}


async def add_in(house: House) -> Any:
    """The clock stands still while the panel is asked."""
    url = f"http://127.0.0.1:{house.daemon.port}/api/v2"
    asking = asyncio.ensure_future(ask(url, KEY, "add", **ORDER))
    while not asking.done():
        await house.run(0)
        await asyncio.sleep(0.01)
    return asking.result()


# --- a panel that does not answer ----------------------------------------------------------------


@pytest.mark.parametrize("trait", [Trait.CLOSE_AFTER, Trait.EMPTY_BODY, Trait.HTML_504_AFTER])
async def test_an_order_whose_outcome_is_unknown_is_not_sent_again(
    tmp_path: Path, trait: Trait
) -> None:
    shops = '[[shops]]\nname = "main"\nduplicate_within = "1s"\n'
    async with a_market(tmp_path, shops=shops) as market:
        market.panel.switches.on(trait, action="add")
        assert NOT_KNOWN in (await market.ask("add", **ORDER))["error"]
        market.panel.switches.off()
        await asyncio.sleep(1.1)  # longer than the guard: what is unresolved holds
        assert NOT_KNOWN in (await market.ask("add", **ORDER))["error"]
        await market.restart()
        assert NOT_KNOWN in (await market.ask("add", **ORDER))["error"]
        assert placed(market) == 1
        await resolve(market, state="rejected")
        assert await market.ask("add", **ORDER) == {"order": 23502}


async def test_an_order_that_was_found_at_the_panel_answers_its_repetition(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        market.panel.switches.on(Trait.CLOSE_AFTER, action="add")
        await market.ask("add", **ORDER)
        market.panel.switches.off()
        await resolve(market, state="accepted", result="23501")
        assert await market.ask("add", **ORDER) == {"order": 23501}
        assert (await market.ask("status", order=23501))["charge"] == "0.09000"


async def test_what_could_not_be_sent_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shop has been told that nothing was ordered: it must not be ordered later.

    Not when the panel is back, not once every pause has passed, not after a restart.
    """
    monkeypatch.setattr(ordering, "ANSWER_WITHIN", 0.2)
    shops = '[[shops]]\nname = "main"\nkey_env = "TEST_KEY"\n'
    async with a_house(tmp_path, rules=shops) as house:
        await house.run(60)
        await house.panel.stop()
        assert await add_in(house) == {"error": ordering.NOT_SENT}
        await house.panel.start()
        for again in (house.restart, None):
            before = len(house.panel.journal)
            await house.run(7200)  # the longest pause of a breaker is a part of it
            assert len(house.panel.journal) > before  # the panel is asked again
            assert not house.panel.journal.requests("add")
            if again is not None:
                await again()
        (action,) = (await house.call("GET", "/v1/actions"))["actions"]
        assert (action["state"], action["answer"]) == ("rejected", ordering.NOT_SENT)
        monkeypatch.undo()
        assert await add_in(house) == {"order": 23501}


async def test_a_refill_whose_outcome_is_unknown_is_not_sent_again(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        (order,) = seeded(market.panel, 1, FINISHED)
        market.panel.switches.on(Trait.CLOSE_AFTER, action="refill")
        assert NOT_KNOWN in (await market.ask("refill", order=order))["error"]
        market.panel.switches.off()
        (row,) = await market.ask("refill", orders=order)
        assert "unresolved" in row["refill"]["error"]
        assert market.panel.journal.sent("refill") == {order: 1}


async def test_a_kill_between_sending_and_answering_orders_once(tmp_path: Path) -> None:
    shops = '[[shops]]\nname = "main"\nkey_env = "TEST_KEY"\n'
    async with SimulatedPanel(shipped()["standard"], key=KEY) as panel:
        daemon = DaemonProcess(tmp_path, {"standard": panel}, defaults=QUICK, rules=shops)
        url = f"http://127.0.0.1:{daemon.port}/api/v2"
        await daemon.start()
        panel.switches.on(Trait.STALL, amount=30.0, action="add")
        shop = asyncio.ensure_future(ask(url, KEY, "add", **ORDER))
        await until(lambda: panel.journal.links(carried_out=True).total() == 1)
        await daemon.kill()
        with pytest.raises(aiohttp.ClientError):
            await shop
        panel.switches.off()
        await daemon.start()
        try:
            for _ in range(3):
                assert NOT_KNOWN in (await ask(url, KEY, "add", **ORDER))["error"]
            assert panel.journal.links() == {LINK: 1}
        finally:
            await daemon.stop()


# --- reading costs the panel nothing -------------------------------------------------------------


async def test_what_is_read_costs_the_panel_nothing(tmp_path: Path) -> None:
    shops = '[[shops]]\nname = "main"\nkey_env = "TEST_KEY"\nrequests_per_minute = 1000\n'
    async with a_house(tmp_path, rules=shops) as house:
        ids = await house.place(100, fate=RUNNING)
        await house.run(120)
        url = f"http://127.0.0.1:{house.daemon.port}/api/v2"
        before = len(house.panel.journal)
        for _ in range(20):
            rows = await ask(url, KEY, "status", orders=",".join(ids))
            assert {row["status"] for row in rows.values()} == {"In progress"}
            for action in ("services", "balance"):
                assert "error" not in await ask(url, KEY, action)
            await ask(url, KEY, "refill_status", refills="1,2,3")
        due = dict(house.schedule.due)
        assert len(house.panel.journal) == before
        assert min(due.values()) > house.clock()  # nor was anything hastened


async def test_an_order_of_before_is_looked_up_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_market(tmp_path) as market:
        old = seeded(market.panel, 99, RUNNING)
        ids = ",".join(map(str, [*old, 424242]))
        rows = await market.ask("status", orders=ids)
        assert rows.pop("424242") == {"error": "Incorrect order ID"}
        assert {row["charge"] for row in rows.values()} != {None}
        assert len(market.panel.journal.requests("status")) == 1
        monkeypatch.setattr(lookup, "MOST_UNTRACKED", 0)
        assert (await market.ask("status", order=434343))["status"] == "Pending"
        assert "looked up" in (await market.ask("refill", order=434343))["error"]
        assert len(market.panel.journal.requests("status")) == 1


@pytest.mark.parametrize(
    "trait",
    [
        Trait.UNKNOWN_LEFT_OUT,
        Trait.UNKNOWN_AS_STRING,
        Trait.BAD_ID_FAILS_BATCH,
        Trait.LIST_WITH_IDS,
    ],
)
async def test_an_unknown_id_spoils_no_batch_however_the_panel_takes_it(
    tmp_path: Path, trait: Trait
) -> None:
    async with a_market(tmp_path, traits=[trait]) as market:
        old = seeded(market.panel, 30, RUNNING)
        rows = await market.ask("status", orders=",".join(map(str, [424242, *old])))
        assert rows.pop("424242") == {"error": "Incorrect order ID"}
        assert [row["start_count"] for row in rows.values()] == ["500"] * 30


async def test_an_archived_order_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        (order,) = seeded(market.panel, 1, FINISHED)
        await market.ask("status", order=order)
        text = market.path.read_text()
        closing = text.replace("[defaults]", '[defaults]\nguard_for = "1s"', 1)
        market.path.write_text(closing.replace("[daemon]", '[daemon]\nretain_for = "1s"', 1))
        await market.daemon.reload()
        store = market.daemon.store
        async with asyncio.timeout(20):
            while not await store.archive.archived("standard", [str(order)]):
                await asyncio.sleep(0.3)
                await market.daemon.reload()
        assert "archive" in (await market.ask("status", order=order))["error"]


async def test_an_order_not_checked_yet_is_pending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "LOOK_WITHIN", 0.05)
    async with a_market(tmp_path) as market:
        market.panel.switches.on(Trait.STALL_BEFORE, amount=5.0, action="status")
        order = (await market.ask("add", **ORDER))["order"]
        expected = {"charge": None, "start_count": None, "status": "Pending", "remains": "100"}
        assert await market.ask("status", order=order) == {**expected, "currency": None}
        (old,) = seeded(market.panel, 1, RUNNING)
        told = await market.ask("status", order=old)
        assert told == {**expected, "remains": None, "currency": None}
        for action in ("refill", "cancel"):
            assert "looked up" in str(await market.ask(action, orders=old))


def seeded(panel: SimulatedPanel, count: int, fate: Fate) -> list[int]:
    return list(panel.world.seed_orders(count, panel.now(), services=[1], age=60, fate=fate))


# --- several panels behind one key ---------------------------------------------------------------

TWO = """
[[shops]]
name = "main"
panels = ["standard", "smmxz"]
offsets = { standard = 0, smmxz = 1000 }
services = { 77 = "smmxz:2" }
[[shops]]
name = "other"
key_env = "TEST_KEY"
panels = ["smmxz"]
"""


async def test_several_panels_behind_one_key(tmp_path: Path) -> None:
    async with a_market(tmp_path, profiles=("standard", "smmxz"), shops=TWO) as market:
        await learn(market)
        here, there = market.panels.values()
        listed = [row["service"] for row in await market.ask("services")]
        assert listed == [*range(1, 18), 77, *range(1001, 1018)]
        assert (await market.ask("balance"))["balance"] == "2000.00000"

        orders = []
        for service in (1, 1001, 77):
            order = {"service": service, "link": LINK, "quantity": 100}
            orders.append((await market.ask("add", **order))["order"])
        assert len(set(orders)) == 3  # at the panels two of them have the same id
        assert here.journal.requests("add")[0].parameters["service"] == "1"
        assert [e.parameters["service"] for e in there.journal.requests("add")] == ["1", "2"]
        assert (await market.ask("add", service=5000, link=LINK))["error"] == "Incorrect service ID"

        rows = await market.ask("status", orders=",".join(map(str, [*orders, 23501, "x"])))
        assert [row.get("charge") for row in rows.values()] == [
            "0.09000",
            "0.09000",
            "0.24000",
            None,
            None,
        ]
        assert rows["23501"] == rows["x"] == {"error": "Incorrect order ID"}
        cancels = await market.ask("cancel", orders=",".join(map(str, [*orders, 23501])))
        assert [row["cancel"] for row in cancels] == [1, 1, 1, {"error": "Incorrect order ID"}]
        # The other shop has the panel's own ids, but the order there is the first shop's.
        told = await ask(market.url, KEY, "status", order=23501)
        assert told == {"error": "Incorrect order ID"}


async def test_refills_of_several_panels(tmp_path: Path) -> None:
    async with a_market(tmp_path, profiles=("standard", "smmxz"), shops=TWO) as market:
        await learn(market)
        orders = []
        for service, panel in zip((1, 1001), market.panels.values(), strict=True):
            order = {"service": service, "link": LINK, "quantity": 100}
            orders.append((await market.ask("add", **order))["order"])
            panel.world.force([23501], panel.now(), status="Completed", remains=0)
        refills = [(await market.ask("refill", order=order))["refill"] for order in orders]
        assert len(set(refills)) == 2
        rows = await market.ask("refill_status", refills=",".join([*refills, "1", "999"]))
        assert [row["status"] for row in rows][:2] == ["Pending", "Pending"]
        assert [row["status"] for row in rows][2:] == [{"error": "Refill not found"}] * 2


# --- who may what --------------------------------------------------------------------------------


async def test_a_key_may_what_its_rights_say(tmp_path: Path) -> None:
    shops = '[[shops]]\nname = "main"\nrights = ["read"]\n[[shops]]\nname = "till"\n'
    shops += 'key_env = "TEST_KEY"\nrights = ["order"]\n'
    async with a_market(tmp_path, shops=shops) as market:
        await learn(market)
        assert "balance" in await market.ask("balance")
        for action in ("add", "refill", "cancel"):
            assert await market.ask(action, **ORDER) == {"error": "This key may not order"}
        assert await ask(market.url, KEY, "balance") == {"error": "This key may not read"}
        assert await ask(market.url, KEY, "add", **ORDER) == {"order": 23501}
        for wrong in ("", "wrong", SHOP_KEY[:-1], "ü"):
            assert await market.ask("balance", key=wrong) == {"error": "Invalid API key"}


async def test_a_shop_that_asks_too_often_is_told_as_by_a_panel(tmp_path: Path) -> None:
    shops = '[[shops]]\nname = "main"\nrequests_per_minute = 3\n'
    async with a_market(tmp_path, shops=shops) as market:
        form = {"key": SHOP_KEY, "action": "refill_status", "refill": 1}
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                async with session.post(market.url, data=form) as answer:
                    assert answer.status == 200
            async with session.post(market.url, data=form) as answer:
                assert answer.status == 429
                assert int(answer.headers["Retry-After"]) > 10
                assert await answer.json() == {"error": "Rate limit exceeded"}
            async with session.get(f"{market.base}/metrics") as answer:
                text = await answer.text()
        counted = 'watcher_shop_requests_total{action="refill_status",shop="main"} 4.0'
        assert counted in text
        failed = 'watcher_shop_request_failures_total{action="refill_status",shop="main"} 4.0'
        assert failed in text


async def test_a_reload_takes_a_key_away(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        assert "error" not in await market.ask("refill_status", refills="1")
        market.path.write_text(
            market.path.read_text().replace('"main"', '"next"\nkey_env = "TEST_KEY"')
        )
        await market.daemon.reload()
        assert await market.ask("refill_status", refills="1") == {"error": "Invalid API key"}
        assert "error" not in await ask(market.url, KEY, "refill_status", refills="1")
        names = {s.labels.get("shop") for s in series(market.daemon.metrics)}
        assert names == {None, "next"}


# --- what is sent --------------------------------------------------------------------------------


async def post(market: Market, body: object, path: str = "", **headers: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{market.url}{path}", data=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def test_forms_come_as_clients_send_them(tmp_path: Path) -> None:
    """Also where a token guards the rest: shops have none."""
    async with a_market(tmp_path) as market:
        await learn(market)
        token = market.path.with_name("api.token")
        token.write_text("a-token-of-the-tests\n")
        token.chmod(0o600)
        text = market.path.read_text().replace("[daemon]", '[daemon]\ntoken_file = "api.token"')
        market.path.write_text(text)
        await market.daemon.reload()
        fields = {"key": SHOP_KEY, "action": "balance"}
        as_parts = aiohttp.FormData(fields, default_to_multipart=True)
        for body in (fields, as_parts, f"key={SHOP_KEY}&action=balance".encode()):
            assert "balance" in (await post(market, body))[1]
        async with aiohttp.ClientSession() as session:
            async with session.post(market.url, params=fields) as answer:
                assert "balance" in await answer.json()
            async with session.get(market.url, params=fields) as answer:
                assert "balance" in await answer.json()
            async with session.put(market.url, params=fields) as answer:
                assert await answer.json() == {"error": "Incorrect request"}
            async with session.get(f"{market.base}/v1/orders") as answer:
                assert answer.status == 401


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xfe\x00", {}, 200),
        (b"key=%ff", {}, 200),
        (b'{"key": "k", "action": "balance"}', {"Content-Type": "application/json"}, 200),
        (b"--x", {"Content-Type": "multipart/form-data; boundary=x"}, 200),
        (b"a" * 600_000, {}, 200),
        (b"[1, 2]", {"Content-Type": "application/json"}, 200),
        (b"{", {"Content-Type": "application/json"}, 200),
        (b"key=k", {"Host": "evil.example"}, 421),
        (b"key=k", {"Origin": "https://evil.example"}, 403),
        (b"key=k", {"Content-Encoding": "gzip"}, 200),
    ],
)
async def test_what_is_no_request_gets_an_error_as_panels_give_it(
    tmp_path: Path, body: bytes, headers: dict[str, str], status: int
) -> None:
    async with a_market(tmp_path) as market:
        for path in ("", "/"):
            got, answer = await post(market, body, path, **headers)
            assert got == status
            assert list(answer) == ["error"]
            assert isinstance(answer["error"], str)


@pytest.mark.parametrize(
    "sent",
    [
        {"action": ""},
        {"action": "explode"},
        {"action": "status"},
        {"action": "status", "orders": ""},
        {"action": "status", "orders": ",".join(map(str, range(101)))},
        {"action": "refill_status", "refills": ","},
        {"action": "cancel"},
    ],
    ids=str,
)
async def test_a_request_that_asks_nothing_is_incorrect(
    tmp_path: Path, sent: dict[str, str]
) -> None:
    async with a_market(tmp_path) as market:
        assert await market.ask(**sent) == {"error": "Incorrect request"}


HOSTILE = (
    "'; DROP TABLE orders;--",
    "<script>",
    "٣",
    "1e9",
    "-1",
    "9" * 400,
    "\x00",
    "a b",
    "🔥" * 80,
)


async def test_hostile_values_are_answered(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        for text in HOSTILE:
            for action in ("status", "refill", "cancel", "refill_status"):
                for name in ("order", "orders", "refill", "refills"):
                    answer = await market.ask(action, **{name: text})
                    assert "log" not in str(answer), (action, name, text)
            for name in ORDER:
                answer = await market.ask("add", **{**ORDER, name: text, "strange": text})
                assert set(answer) in ({"order"}, {"error"})
                assert "log" not in str(answer)


async def test_no_log_line_shows_a_shops_key(tmp_path: Path) -> None:
    async with a_market(tmp_path):
        assert SHOP_KEY not in str(redaction({}, "info", {"event": f"key={SHOP_KEY}"}))


async def test_a_shop_is_told_at_once_while_actions_are_paused(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        (panel,) = market.panels
        async with aiohttp.ClientSession() as session:

            async def turn(verb: str, **body: str) -> None:
                path = f"{market.base}/v1/panels/{panel}/{verb}"
                async with session.post(path, json=body) as answer:
                    assert answer.status == 200

            await turn("pause", what="actions", reason="they move")
            assert await market.ask("add", **ORDER) == {"error": ordering.NOT_SENT}
            assert placed(market) == 0
            await turn("resume")
            assert await market.ask("add", **ORDER) == {"order": 23501}
            assert placed(market) == 1

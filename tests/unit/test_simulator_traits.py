"""Every deviation that a simulated panel can show, over HTTP."""

from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import pytest

from tests.unit.simulator_kit import NOW, STANDARD, Orders, ask, joined, one_of_each
from watcher.simulator import Fate, SimulatedPanel, Trait

LINK = "https://example.com/post/1"


@pytest.fixture
async def panel() -> AsyncIterator[SimulatedPanel]:
    async with SimulatedPanel(STANDARD, clock=lambda: NOW) as panel:
        yield panel


@pytest.fixture
def orders(panel: SimulatedPanel) -> Orders:
    return one_of_each(panel)


async def row(panel: SimulatedPanel, order: int, *traits: Trait) -> dict[str, object]:
    body = (await ask(panel, "status", *traits, order=order)).body
    assert isinstance(body, dict)
    return body


# How refusals and acceptances travel


@pytest.mark.parametrize(
    ("trait", "http"),
    [
        (Trait.ERRORS_400, 400),
        (Trait.ERRORS_401, 401),
        (Trait.ERRORS_405, 405),
        (Trait.ERRORS_422, 422),
        (Trait.ERRORS_429, 429),
        (Trait.ERRORS_500, 500),
    ],
)
async def test_errors_leave_with_a_status(panel: SimulatedPanel, trait: Trait, http: int) -> None:
    refused = await ask(panel, "status", trait, order=7)
    assert refused[:2] == (http, {"error": "Incorrect order ID"})
    assert (await ask(panel, "balance", trait)).http == 200


async def test_acceptances_leave_with_201(panel: SimulatedPanel, orders: Orders) -> None:
    trait = Trait.ACCEPTED_201
    sent = {"service": 1, "link": LINK, "quantity": 50}
    assert (await ask(panel, "add", trait, **sent)).http == 201
    assert (await ask(panel, "refill", trait, order=orders.completed)).http == 201
    assert (await ask(panel, "refill", trait, order=orders.completed)).http == 200
    assert (await ask(panel, "status", trait, order=orders.completed)).http == 200


async def test_json_may_be_called_html(panel: SimulatedPanel) -> None:
    answer = await ask(panel, "balance", Trait.JSON_AS_HTML)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "balance" in answer.body


async def test_errors_may_be_codes(panel: SimulatedPanel) -> None:
    sent = {"service": 1, "link": LINK, "quantity": 10_000}
    trait = Trait.ERROR_CODES
    panel.world.set_balance("0", NOW)
    short = (await ask(panel, "add", trait, **sent)).body
    assert short == {"error": "neworder.error.not_enough_funds"}
    few = (await ask(panel, "add", trait, **{**sent, "quantity": 1})).body
    assert few == {"error": "neworder.error.min_quantity"}


async def test_a_link_may_be_taken(panel: SimulatedPanel) -> None:
    sent = {"service": 1, "link": LINK, "quantity": 50}
    assert "order" in (await ask(panel, "add", Trait.ONCE_A_LINK, **sent)).body
    text = "You have active order with this link. Please wait until order being completed."
    assert (await ask(panel, "add", Trait.ONCE_A_LINK, **sent)).body == {"error": text}
    both = (await ask(panel, "add", Trait.ONCE_A_LINK, Trait.ERROR_CODES, **sent)).body
    assert both == {"error": "neworder.error.link_duplicate"}
    assert "order" in (await ask(panel, "add", **sent)).body


async def test_a_rate_limit_has_many_forms(panel: SimulatedPanel) -> None:
    limited = Trait.RATE_LIMITED
    body = {"error": "Rate limit exceeded"}
    bare = await ask(panel, "balance", limited)
    assert bare[:2] == (429, body)
    assert "Retry-After" not in bare.headers
    seconds = await ask(panel, "balance", limited, Trait.RETRY_AFTER_SECONDS)
    assert seconds.headers["Retry-After"] == "30"
    dated = await ask(panel, "balance", limited, Trait.RETRY_AFTER_DATE)
    assert parsedate_to_datetime(dated.headers["Retry-After"]).timestamp() == NOW + 30
    assert (await ask(panel, "balance", limited, Trait.RATE_LIMIT_IN_200))[:2] == (200, body)


# Types


@pytest.mark.parametrize(
    ("trait", "fields"),
    [
        (Trait.COUNTS_AS_INTS, {"charge": "0.09000", "start_count": 500, "remains": 100}),
        (Trait.NUMBERS_AS_FLOATS, {"charge": 0.09, "start_count": 500.0, "remains": 100.0}),
        (Trait.NULL_CHARGE, {"charge": None}),
        (Trait.EMPTY_CHARGE, {"charge": ""}),
        (Trait.NULL_START_COUNT, {"start_count": None}),
        (Trait.EMPTY_START_COUNT, {"start_count": ""}),
        (Trait.NULL_REMAINS, {"remains": None}),
        (Trait.EMPTY_REMAINS, {"remains": ""}),
        (Trait.REMAINS_ABOVE_QUANTITY, {"remains": "103"}),
        (Trait.OTHER_CURRENCY, {"currency": "INR"}),
        (Trait.STATUS_LOWER_CASE, {"status": "in progress"}),
        (Trait.STATUS_UNKNOWN, {"status": "With the night shift"}),
    ],
)
async def test_a_running_order_has_odd_fields(
    panel: SimulatedPanel, orders: Orders, trait: Trait, fields: dict[str, object]
) -> None:
    usual = await row(panel, orders.running)
    odd = await row(panel, orders.running, trait)
    assert odd == {**usual, **fields}
    types = {name: type(value) for name, value in odd.items() if name in fields}
    assert types == {name: type(value) for name, value in fields.items()}


async def test_start_count_may_have_another_name(panel: SimulatedPanel, orders: Orders) -> None:
    odd = await row(panel, orders.running, Trait.START_COUNTER)
    assert odd["start_counter"] == "500"
    assert "start_count" not in odd


async def test_remains_may_contradict_the_status(panel: SimulatedPanel, orders: Orders) -> None:
    assert (await row(panel, orders.completed, Trait.NEGATIVE_REMAINS))["remains"] == "-3"
    assert (await row(panel, orders.partial, Trait.PARTIAL_WITHOUT_REMAINS))["remains"] == "0"
    assert (await row(panel, orders.partial, Trait.NEGATIVE_REMAINS))["remains"] == "50"


async def test_ids_may_be_strings(panel: SimulatedPanel, orders: Orders) -> None:
    sent = {"service": 1, "link": LINK, "quantity": 50}
    body = (await ask(panel, "add", Trait.STRING_IDS, **sent)).body
    assert body == {"order": str(orders.canceled + 1)}
    body = (await ask(panel, "refill", Trait.STRING_IDS, orders=orders.completed)).body
    assert body == [{"order": str(orders.completed), "refill": "1"}]
    services = (await ask(panel, "services", Trait.STRING_IDS)).body
    assert services[0]["service"] == "1"


async def test_order_may_be_called_order_id(panel: SimulatedPanel, orders: Orders) -> None:
    sent = {"service": 1, "link": LINK, "quantity": 50}
    body = (await ask(panel, "add", Trait.ORDER_ID, **sent)).body
    assert body == {"order_id": orders.canceled + 1}
    body = (await ask(panel, "cancel", Trait.ORDER_ID, orders=orders.running)).body
    assert body == [{"order_id": orders.running, "cancel": 1}]


async def test_the_balance_may_be_in_another_currency(panel: SimulatedPanel) -> None:
    assert (await ask(panel, "balance", Trait.OTHER_CURRENCY)).body["currency"] == "INR"


# Words of status


@pytest.mark.parametrize(
    ("trait", "words"),
    [
        (Trait.STATUS_NUMBERS, ["0", "5", "1", "2", "3", "4"]),
        (
            Trait.STATUS_LANGUAGE,
            ["Pendiente", "Procesando", "En curso", "Completado", "Parcial", "Cancelado"],
        ),
        (
            Trait.STATUS_SUBSCRIPTION,
            ["Paused", "Processing", "Active", "Completed", "Partial", "Expired"],
        ),
    ],
)
async def test_statuses_in_other_words(
    panel: SimulatedPanel, orders: Orders, trait: Trait, words: list[str]
) -> None:
    assert [(await row(panel, order, trait))["status"] for order in orders] == words


async def test_a_panel_has_several_synonyms(panel: SimulatedPanel) -> None:
    many = panel.world.seed_orders(12, NOW, services=[1], age=60, fate=Fate(per_minute=1e9))
    rows = (await ask(panel, "status", Trait.STATUS_SYNONYMS, orders=joined(*many))).body
    assert {row["status"] for row in rows.values()} == {"done", "success", "finished"}


async def test_number_statuses_are_numbers_where_counts_are(
    panel: SimulatedPanel, orders: Orders
) -> None:
    odd = await row(panel, orders.completed, Trait.STATUS_NUMBERS, Trait.COUNTS_AS_INTS)
    assert odd["status"] == 2


# Switches


async def test_a_trait_shows_for_one_action_and_some_requests(panel: SimulatedPanel) -> None:
    panel.switches.on(Trait.ERRORS_400, action="status", times=2)

    async def status(action: str) -> int:
        form = {"key": "wrong", "action": action}
        async with aiohttp.ClientSession() as session, session.post(panel.url, data=form) as answer:
            return answer.status

    asked = ["balance", "status", "balance", "status", "status"]
    assert [await status(action) for action in asked] == [200, 400, 200, 400, 200]
    assert not panel.switches.is_on(Trait.ERRORS_400)


async def send(panel: SimulatedPanel, trait: Trait, **options: object) -> tuple[int, str]:
    """One request as `options` have it, to a panel with this trait alone."""
    panel.switches.off()
    panel.switches.on(trait)
    options = {"data": {"key": "demo", "action": "balance"}} | options
    async with (
        aiohttp.ClientSession() as session,
        session.post(panel.url, allow_redirects=False, **options) as answer,
    ):
        return answer.status, await answer.text()


@pytest.mark.parametrize(
    ("trait", "refused", "wanted"),
    [
        (
            Trait.WANTS_JSON,
            (400, "The key field is required."),
            {"data": None, "json": {"key": "demo", "action": "balance"}},
        ),
        (
            Trait.WANTS_USER_AGENT,
            (403, "Just a moment..."),
            {"headers": {"User-Agent": "Mozilla/5.0 (X11)"}},
        ),
        (
            Trait.WANTS_HEADER,
            (401, "X-Panel-Token is missing"),
            {"headers": {"X-Panel-Token": "any"}},
        ),
        (
            Trait.WANTS_FIELD,
            (422, "The source field is required."),
            {"data": {"key": "demo", "action": "balance", "source": "api"}},
        ),
    ],
)
async def test_what_panels_want_of_requests(
    panel: SimulatedPanel, trait: Trait, refused: tuple[int, str], wanted: dict[str, object]
) -> None:
    status, text = await send(panel, trait)
    assert status == refused[0]
    assert refused[1] in text
    assert panel.journal.requests()[-1].outcome == trait.value
    status, text = await send(panel, trait, **wanted)
    assert (status, "balance" in text) == (200, True)


async def test_a_redirection_to_the_slash(panel: SimulatedPanel) -> None:
    panel.switches.on(Trait.REDIRECTS_SLASH)
    form = {"key": "demo", "action": "balance"}
    async with aiohttp.ClientSession() as session:
        async with session.post(panel.url, data=form, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (301, f"{panel.url}/")
        async with session.post(f"{panel.url}/", data=form) as answer:
            assert "balance" in await answer.json()


async def test_json_is_read_only_where_it_is_wanted(panel: SimulatedPanel) -> None:
    sent = {"data": None, "json": {"key": "demo", "action": "balance"}}
    _, text = await send(panel, Trait.JSON_AS_HTML, **sent)
    assert "Invalid API key" in text
    for odd in ("[1]", "{", '"x"'):
        headers = {"Content-Type": "application/json"}
        _, text = await send(panel, Trait.WANTS_JSON, data=odd, headers=headers)
        assert "Incorrect request" in text


async def test_a_trait_may_show_now_and_then(panel: SimulatedPanel) -> None:
    panel.switches.on(Trait.OTHER_CURRENCY, every=3)
    shown = [Trait.OTHER_CURRENCY in panel.switches.show("balance") for _ in range(6)]
    assert shown == [False, False, True, False, False, True]


async def test_traits_are_given_at_the_start_and_switched_off() -> None:
    both = [Trait.OTHER_CURRENCY, Trait.STRING_IDS]
    async with SimulatedPanel(STANDARD, traits=both) as panel:
        assert set(panel.switches.show("balance")) == set(both)
        panel.switches.off(Trait.STRING_IDS)
        assert set(panel.switches.show("balance")) == {Trait.OTHER_CURRENCY}


@pytest.mark.parametrize("trait", Trait)
def test_a_trait_is_found_by_its_name_and_described(trait: Trait) -> None:
    assert Trait(trait.value) is trait
    assert trait.name.lower() == trait.value
    assert len(trait.description) > 5


def test_every_trait_is_tried() -> None:
    files = Path(__file__).parent.glob("test_simulator_*.py")
    tests = "".join(file.read_text() for file in files)
    assert [trait for trait in Trait if f"Trait.{trait.name}" not in tests] == []

"""What holds in every simulated world, whatever is done to it."""

import contextlib
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from watcher.panels.protocol.refusals import RefusedAnswer
from watcher.simulator.fate import DAY, MINUTE, Ending, Fate
from watcher.simulator.sim_orders import OrderRow
from watcher.simulator.world import World

T0 = 1_700_000_000.0
LINK = "https://example.com/post"
FORWARD = ("Pending", "Processing", "In progress")
FINAL = ("Completed", "Partial", "Canceled")

seconds = st.floats(0, 40 * DAY)
fates = st.builds(
    Fate,
    ending=st.sampled_from(Ending),
    pending=st.floats(0, DAY),
    processing=st.floats(0, DAY),
    per_minute=st.floats(0.01, 1e6),
    share=st.floats(0, 1),
    linger=st.floats(0, DAY),
    start_count=st.integers(0, 10**9),
    drop=st.floats(0, 1),
    drop_after=seconds,
    refill_takes=seconds,
    refill_granted=st.booleans(),
    cancel_takes=seconds,
)
moments = st.lists(seconds, min_size=1, max_size=12).map(sorted)


def rows(world: World, order: int, times: list[float]) -> list[OrderRow]:
    return [world.status(order, T0 + at) for at in times]


def follow(
    fate: Fate, quantity: int, times: list[float], cancel_at: float | None
) -> list[OrderRow]:
    world = World(balance="1000000")
    sent = {"service": "1", "link": LINK, "quantity": str(quantity)}
    order = world.add(sent, T0, fate=fate)
    if cancel_at is None:
        return rows(world, order, times)
    before = rows(world, order, [at for at in times if at < cancel_at])
    with contextlib.suppress(RefusedAnswer):
        world.cancel(order, T0 + cancel_at)
    return before + rows(world, order, [at for at in times if at >= cancel_at])


@given(fates, st.integers(50, 10_000), moments, st.none() | seconds)
def test_an_order_only_moves_forward(
    fate: Fate, quantity: int, times: list[float], cancel_at: float | None
) -> None:
    seen = follow(fate, quantity, times, cancel_at)
    places = [FORWARD.index(row.status) if row.status in FORWARD else 3 for row in seen]
    assert places == sorted(places)
    remains = [row.remains for row in seen]
    assert remains == sorted(remains, reverse=True)
    ends = [row for row in seen if row.status in FINAL]
    assert all(row == ends[0] for row in ends)


@given(fates, st.integers(50, 10_000), moments, st.none() | seconds)
def test_a_row_is_consistent(
    fate: Fate, quantity: int, times: list[float], cancel_at: float | None
) -> None:
    paid = Decimal("0.90") * quantity / 1000
    for row in follow(fate, quantity, times, cancel_at):
        assert 0 <= row.remains <= quantity
        assert 0 <= row.charge <= paid
        if row.status == "Completed":
            assert row.remains == 0
        if row.status == "Canceled":
            assert (row.remains, row.charge) == (quantity, 0)
        if row.status == "Partial":
            assert 0 < row.remains < quantity
        if row.status not in ("Partial", "Canceled"):
            assert row.charge == paid


doings = st.lists(
    st.tuples(st.sampled_from(["add", "drip", "cancel", "refill", "nothing"]), seconds, fates),
    max_size=20,
)


@given(st.integers(0, 2**64), doings)
def test_money_is_neither_made_nor_lost(seed: int, what: list[tuple[str, float, Fate]]) -> None:
    world = World(seed=seed, balance="3")
    now, orders = T0, list(world.seed_orders(5, T0, age=DAY))
    whole = world.balance(now) + world.spent(now)
    for index, (doing, pause, fate) in enumerate(what):
        now += pause
        with contextlib.suppress(RefusedAnswer):
            do(world, doing, orders, index, fate, now)
        assert world.balance(now) + world.spent(now) == whole
        assert world.balance(now) >= 0


def do(world: World, doing: str, orders: list[int], index: int, fate: Fate, now: float) -> None:
    sent = {"service": "1", "link": LINK, "quantity": str(50 + 7 * index)}
    order = orders[index % len(orders)]
    if doing == "add":
        orders.append(world.add(sent, now, fate=fate))
    if doing == "drip":
        orders.append(world.add({**sent, "runs": "3", "interval": "9"}, now, fate=fate) + 1)
    if doing == "cancel":
        world.cancel(order, now)
    if doing == "refill":
        world.refill(order, now)


@given(fates, st.integers(50, 10_000), moments)
def test_a_count_stays_between_start_and_goal(
    fate: Fate, quantity: int, times: list[float]
) -> None:
    world = World(balance="1000000")
    sent = {"service": "1", "link": LINK, "quantity": str(quantity)}
    order = world.add(sent, T0, fate=fate)
    for at in times:
        count = world.count(order, T0 + at)
        assert fate.start_count <= count <= fate.start_count + quantity


@given(
    st.dictionaries(
        st.sampled_from(["service", "link", "quantity", "runs", "interval", "comments", "posts"]),
        st.text("0129٣ -_xé\n", max_size=12) | st.integers(-5, 10**18).map(str),
    )
)
def test_any_parameters_make_an_order_or_are_refused(sent: dict[str, str]) -> None:
    world = World()
    try:
        order = world.add(sent, T0)
    except RefusedAnswer:
        assert world.balance(T0) == 1000
    else:
        assert world.status(order, T0 + MINUTE)

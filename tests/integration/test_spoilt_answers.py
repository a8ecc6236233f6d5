"""What becomes of an action at each way to spoil an answer: one state is right, never a second try.

Real HTTP to a small server, single and in batches, for submissions, refills and cancels.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.clockwork import time_passes
from tests.support.raw_panel import RawPanel, Request, Respond, a_raw_panel, http, stall
from watcher.daemon.action_sender import ActionSender
from watcher.model import Action, ActionState, Kind, Outcome
from watcher.panels.breaker import Breaker
from watcher.panels.client import PanelClient
from watcher.panels.gateway import PanelGateway
from watcher.panels.pacing import Pace
from watcher.panels.profiles import shipped
from watcher.panels.rate import Rate, start_of

TIMEOUT = 20.0  # seconds
ACCEPTED, REJECTED = ActionState.ACCEPTED, ActionState.REJECTED
PLANNED, UNRESOLVED = ActionState.PLANNED, ActionState.UNRESOLVED
KINDS = [Kind.SUBMIT, Kind.REFILL, Kind.CANCEL]


def sending(make: Callable[[bytes], bytes], *, stalls: bool = False) -> Respond:
    """Sends what it makes of the usual answer; then it stalls or hangs up."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(make(usual(request)))
        await writer.drain()
        if stalls:
            await stall()
        writer.close()

    return respond


def saying(body: Any, status: str = "200 OK", headers: str = "") -> Respond:
    return sending(lambda usual: http(body, status, headers))


def with_status(status: str, headers: str = "") -> Respond:
    """The panel acts, and its answer has an error's status."""
    return sending(lambda usual: http(usual, status, headers))


async def reset(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + usual(request)[:-1])
    while not writer.is_closing():
        writer.write(b" " * 1000)
        await writer.drain()
        await time_passes(TIMEOUT / 4)


def too_long(usual: bytes) -> bytes:
    return http(usual + b" " * (5 * 2**20))


# What is spoilt, and the one state that is right afterwards.
SPOILT: dict[str, tuple[Respond, ActionState]] = {
    "as usual": (sending(http), ACCEPTED),
    "a stall before the answer": (sending(lambda usual: b"", stalls=True), UNRESOLVED),
    "a stall after the head": (
        sending(lambda usual: http(usual)[: -len(usual)], stalls=True),
        UNRESOLVED,
    ),
    "a stall amid the body": (sending(lambda usual: http(usual)[:-3], stalls=True), UNRESOLVED),
    "a stall after the whole answer": (sending(http, stalls=True), ACCEPTED),
    "closed before the answer": (sending(lambda usual: b""), UNRESOLVED),
    "closed amid the body": (sending(lambda usual: http(usual)[:-3]), UNRESOLVED),
    "reset": (reset, UNRESOLVED),
    "endless": (endless, UNRESOLVED),
    "too long": (sending(too_long), UNRESOLVED),
    "cut JSON": (sending(lambda usual: http(usual[:-1])), UNRESOLVED),
    "not JSON": (saying(b"OK"), UNRESOLVED),
    "a page": (saying(b"<html><title>Just a moment...</title></html>"), UNRESOLVED),
    "empty": (saying(b""), UNRESOLVED),
    "204": (saying(b"", "204 No Content"), UNRESOLVED),
    "null": (saying(b"null"), UNRESOLVED),
    "an empty object": (saying({}), UNRESOLVED),
    "an empty list": (saying([]), UNRESOLVED),
    "a number": (saying(4711), UNRESOLVED),
    "wrong types": (saying({"order": [], "refill": {}, "cancel": 1.5}), UNRESOLVED),
    "no word of it": (saying({"foo": 1}), UNRESOLVED),
    "other orders": (
        saying([{"order": 98, "refill": 5, "cancel": 1}, {"order": 99, "refill": 6}]),
        UNRESOLVED,
    ),
    "a warning before": (sending(lambda u: http(b"<br>\nWarning: x\n" + u)), ACCEPTED),
    "a warning before what is cut": (
        sending(lambda u: http(b"<br>\nWarning: x\n" + u[:-1])),
        UNRESOLVED,
    ),
    "a breakdown": (saying({"error": "Internal server error"}), UNRESOLVED),
    "a redirect": (saying(b"", "302 Found", "location: /login\r\n"), UNRESOLVED),
    "a redirect after acting": (with_status("302 Found", "location: /\r\n"), ACCEPTED),
    "403 after acting": (with_status("403 Forbidden"), ACCEPTED),
    "403 without a word": (saying(b"", "403 Forbidden"), UNRESOLVED),
    "403 with a page": (saying(b"<html>Blocked</html>", "403 Forbidden"), UNRESOLVED),
    "5xx after acting": (with_status("503 Busy"), ACCEPTED),
    "5xx without a word": (saying(b"", "500 Oops"), UNRESOLVED),
    "5xx with a refusal": (saying({"error": "Too early"}, "500 Oops"), UNRESOLVED),
    "5xx with a page": (saying(b"<html>Bad gateway</html>", "502 Bad Gateway"), UNRESOLVED),
    "429 after acting": (with_status("429 Too Many Requests"), ACCEPTED),
    "429 with a word of success": (saying({"success": True}, "429 Many"), UNRESOLVED),
    "429 that breaks off": (sending(lambda u: http(u, "429 Many")[:-3]), UNRESOLVED),
    "429 that stalls": (sending(lambda u: http(u, "429 Many")[:-3], stalls=True), UNRESOLVED),
    "429 with other rows": (
        saying([{"order": 98}, {"order": 99, "refill": 5}], "429 Many"),
        UNRESOLVED,
    ),
    "429 with nothing": (saying(b"", "429 Many"), PLANNED),
    "429 with a page": (saying(b"<html>429 Too Many Requests</html>", "429 Many"), PLANNED),
    "429 with an error": (saying({"error": "slow down"}, "429 Many"), PLANNED),
    "a rate limit in a 200": (saying({"error": "Rate limit exceeded"}), PLANNED),
    "a bad key": (saying({"error": "Invalid API key"}), PLANNED),
    "402 with a refusal": (saying({"error": "Not enough funds"}, "402 Pay"), REJECTED),
    "a refusal": (saying({"error": "Not enough funds"}), REJECTED),
}


def usual(request: Request) -> bytes:
    """What a panel answers that does what it is asked."""
    form = request.form
    if form["action"] == "add":
        return b'{"order": "bVJizQKZab"}'
    if form["action"] == "refill" and "order" in form:
        return b'{"refill": 200}'
    ids = form["orders"].split(",")
    return json.dumps([{"order": int(id_), form["action"]: 200 + int(id_)} for id_ in ids]).encode()


class Log:
    """The intent log of this test: it lets all be sent, and keeps what came of it."""

    is_settled = True

    def __init__(self) -> None:
        self.claimable: list[Action] = []
        self.outcomes: list[Outcome] = []

    def take_planned(self, panel: str) -> bool:
        return True

    async def count_planned(self, panel: str) -> dict[Kind, int]:
        return Counter(action.kind for action in self.claimable)

    async def planned(self, panel: str, *, after: int, limit: int) -> list[tuple[int, Kind]]:
        return [(action.id, action.kind) for action in self.claimable if action.id > after]

    async def claim(self, ids: Sequence[int], *, now: float) -> list[Action]:
        claimed = [action for action in self.claimable if action.id in ids]
        self.claimable = [action for action in self.claimable if action not in claimed]
        return claimed

    async def settle(self, learnt: Sequence[Outcome] = ()) -> None:
        self.outcomes.extend(learnt)


class Bench:
    """A worker at a panel; `now` is its clock."""

    def __init__(self, panel: RawPanel, client: PanelClient) -> None:
        self.panel = panel
        self.now = 1000.0
        self.sent = 0
        self.log = Log()
        breaker = Breaker(lambda: 0.5)
        gateway = PanelGateway(
            "p",
            client,
            Pace(Rate(6000, start_of(6000, stated=True, remembered=None))),
            breaker,
            lambda: self.now,
        )
        self.worker = ActionSender(
            gateway=gateway,
            store=SimpleNamespace(actions=self.log),  # type: ignore[arg-type]
            outcomes=self.log,  # type: ignore[arg-type]
            mailboxes=self.log,  # type: ignore[arg-type]
        )

    @property
    def forms(self) -> list[dict[str, str]]:
        return [request.form for request in self.panel.requests]

    async def send(self, kind: Kind, count: int) -> list[Outcome]:
        """What becomes of so many actions that are sent once."""
        first = 1 + self.sent
        self.sent += count
        new = [
            Action(
                id=number,
                kind=kind,
                panel="p",
                order=None if kind is Kind.SUBMIT else str(number),
                params={"service": "1"} if kind is Kind.SUBMIT else None,
                planned_at=0.0,
            )
            for number in range(first, first + count)
        ]
        self.log.claimable = [*self.log.claimable, *new]
        known = len(self.log.outcomes)
        while (at := await self.worker.run_once(self.now)) is not None and at <= self.now:
            pass  # a run is one request
        return self.log.outcomes[known:]


@asynccontextmanager
async def a_bench(respond: Respond) -> AsyncIterator[Bench]:
    async with (
        a_raw_panel(respond) as panel,
        PanelClient(
            name="p",
            url=panel.url,
            key="0123456789abcdef0123456789abcdef",
            profile=shipped()["standard"],
            timeout=TIMEOUT,
            on_request=lambda action, seconds, reason: None,
        ) as client,
    ):
        yield Bench(panel, client)


def states(outcomes: Sequence[Outcome]) -> list[ActionState]:
    return [outcome.state for outcome in outcomes]


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("kind", KINDS)
async def test_one_alone(how: str, kind: Kind) -> None:
    respond, right = SPOILT[how]
    async with a_bench(respond) as bench:
        (outcome,) = await bench.send(kind, 1)
        assert outcome.state is right, outcome.answer
        assert outcome.answer, "what the panel said is kept"
        assert len(bench.panel.requests) == 1
        await bench.worker.run_once(bench.now + 1e6)
        assert len(bench.panel.requests) == 1, "nothing is sent again by itself"


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("kind", [Kind.REFILL, Kind.CANCEL])
async def test_several_at_once(how: str, kind: Kind) -> None:
    respond, right = SPOILT[how]
    if how in ("a refusal", "402 with a refusal"):
        right = PLANNED  # alone, to learn which one it was
    async with a_bench(respond) as bench:
        outcomes = await bench.send(kind, 3)
        assert states(outcomes) == [right] * 3, outcomes[0].answer
        assert [form.get("orders") for form in bench.forms] == ["1,2,3"]
        assert all(outcome.answer for outcome in outcomes)


@pytest.mark.parametrize("kind", [Kind.REFILL, Kind.CANCEL])
@pytest.mark.parametrize("status", ["200 OK", "429 Many", "503 Busy", "302 Found"])
async def test_an_id_that_is_left_out_is_unresolved(kind: Kind, status: str) -> None:
    rows = [{"order": 1, kind.value: 201}, {"order": 3, kind.value: 203}]
    async with a_bench(saying(rows, status)) as bench:
        outcomes = await bench.send(kind, 3)
        assert states(outcomes) == [ACCEPTED, UNRESOLVED, ACCEPTED]
        assert "does not name this order" in (outcomes[1].answer or "")


@pytest.mark.parametrize("kind", [Kind.REFILL, Kind.CANCEL])
async def test_each_row_of_a_batch_is_its_own(kind: Kind) -> None:
    rows = [
        {"order": 1, kind.value: 201},
        {"order": 2, kind.value: {"error": "Too early"}},
        {"order": 3, kind.value: {"error": "Internal server error"}},
        {"order": 4, kind.value: "Wer weiss"},
        {"order": 5, kind.value: 205, "error": "but"},
        {"order": 6, kind.value: "requested"},
    ]
    async with a_bench(saying(rows)) as bench:
        outcomes = await bench.send(kind, 6)
    assert states(outcomes) == [ACCEPTED, REJECTED, UNRESOLVED, UNRESOLVED, UNRESOLVED, ACCEPTED]
    assert [outcome.result for outcome in outcomes] == ["201", None, None, None, None, None]
    assert "Wer weiss" in (outcomes[3].answer or "")


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_reaches_the_panel(kind: Kind) -> None:
    async with a_bench(sending(http)) as bench:
        pass
    async with bench.worker._gateway.client:
        outcomes = await bench.send(kind, 1)
    assert states(outcomes) == [PLANNED]
    assert bench.panel.requests == []


class TestOneByOne:
    """A panel whose answers to batches can't be matched is asked one by one from then on."""

    @pytest.mark.parametrize(
        ("body", "state"),
        [
            ({"refill": "1"}, ACCEPTED),
            ({"success": "All will be refilled"}, ACCEPTED),
            ({"refill": 4711}, UNRESOLVED),
            ([{"refill": 1}, {"refill": 2}, {"refill": 3}], UNRESOLVED),
            ([{"order": 2, "refill": 4711}], None),
            ({}, UNRESOLVED),
        ],
    )
    async def test_learnt_and_kept(self, body: Any, state: ActionState | None) -> None:
        async with a_bench(saying(body)) as bench:
            outcomes = await bench.send(Kind.REFILL, 3)
            assert state is None or states(outcomes) == [state] * 3
            bench.now += 86_400.0  # the next day
            await bench.send(Kind.REFILL, 2)
            asked = [form.get("orders") or form["order"] for form in bench.forms]
            assert asked == ["1,2,3", "4", "5"]
            await bench.send(Kind.CANCEL, 2)
            assert bench.forms[-1]["orders"] == "6,7", "cancels may be answered otherwise"
            bench.now += 40 * 86_400.0
            await bench.send(Kind.REFILL, 2)
            assert bench.forms[-1]["orders"] == "8,9", "it is tried again some day"

    async def test_not_learnt_from_what_says_nothing_of_the_form(self) -> None:
        for how in (
            "empty",
            "a stall before the answer",
            "a page",
            "429 with nothing",
            "a refusal",
        ):
            async with a_bench(SPOILT[how][0]) as bench:
                await bench.send(Kind.CANCEL, 2)
                assert not bench.worker._one_by_one_until

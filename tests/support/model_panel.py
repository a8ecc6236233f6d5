"""A panel in memory that really acts, and keeps a record by which a double send can be seen."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from tests.support.audit import Rows
from watcher.errors import BadKey, NotSent, PanelError, RateLimited, Refused, RemoteFault, TimedOut
from watcher.model import (
    DELIVERED,
    REFILL_FINAL,
    ActionState,
    Kind,
    Observation,
    RefillStatus,
    RowError,
    Status,
)
from watcher.panels.client import PanelClient
from watcher.panels.protocol import RefillObservation, StatusAnswer


class Fate(Enum):
    """What becomes of a request, or of a write to the database."""

    WELL = "well"
    STORE_FAILS = "the database refuses"
    NOT_SENT = "no connection"
    TOO_FAST = "rate limit"
    BAD_KEY = "key refused"
    REFUSED = "refused as a whole"
    LOST_BEFORE = "cut before the panel acted"
    LOST_AFTER = "cut after the panel acted"
    NONSENSE = "acted, answered nonsense"
    LEFT_OUT = "acted, the answer names no order"
    PARTLY = "some refused, some left out"


_NOTHING_DONE: dict[Fate, Callable[[], PanelError]] = {
    Fate.NOT_SENT: NotSent,
    Fate.TOO_FAST: lambda: RateLimited(retry_after=2.0),
    Fate.BAD_KEY: BadKey,
    Fate.REFUSED: lambda: Refused("Incorrect request"),
    Fate.LOST_BEFORE: TimedOut,
}
_TELLS_NOTHING: dict[Fate, Callable[[], PanelError]] = {
    Fate.LOST_AFTER: TimedOut,
    Fate.NONSENSE: RemoteFault,
}
_SENDING = """
SELECT actions.id, actions.rule, actions.order_id, params FROM actions
JOIN panels ON panels.id = actions.panel
WHERE panels.name = '{}' AND kind = '{}' AND state = 'sending'
"""
_RUNNING = """
SELECT refill_id FROM refills JOIN panels ON panels.id = refills.panel
WHERE panels.name = '{}' AND order_id = '{}'
AND status IN ('pending', 'in_progress', 'unknown')
"""
TOO_SOON = RowError("refill was requested less than 24 hours ago")
DISABLED = RowError("Refill is disabled for this service")


class ModelPanel:
    """What one panel holds and all that it has done, by the action that asked for it.

    `told` is the state that an action must have once its answer is on record.
    """

    def __init__(self, name: str, orders: Sequence[str], log: Rows) -> None:
        self.name = name
        self.orders = {
            order: Observation(status=Status.PENDING, status_text="Pending") for order in orders
        }
        self.refills: dict[str, tuple[str, RefillStatus]] = {}
        self.done: dict[int, str] = {}
        self.may_have_done: Counter[int] = Counter()
        self.told: dict[int, ActionState] = {}
        self.breaches: list[str] = []
        self.tells_of_refills = True  # at all times; else rules can't know that one runs
        self._log = log

    def arrive(self, kind: Kind, asked: Sequence[Any]) -> list[int]:
        """The actions that a request is about: each on record as being sent, before it is."""
        found = []
        for item in asked:
            sending = [
                (action, rule)
                for action, rule, order, params in self._log.rows(_SENDING.format(self.name, kind))
                if (json.loads(params or "{}") if kind is Kind.SUBMIT else order) == item
            ]
            if len(sending) != 1:
                self.breaches.append(f"{kind} of {item} is sent, on record as sending: {sending}")
            for action, rule in sending[:1]:
                found.append(action)
                knows = rule and self.tells_of_refills
                running = self._log.rows(_RUNNING.format(self.name, item)) if knows else ()
                if kind is Kind.REFILL and running:
                    self.breaches.append(f"{rule} asks for a refill of {item}, {running} runs")
                if self.may_have_done[action]:
                    self.breaches.append(f"action {action} ({kind} of {item}) is sent twice")
        return found

    def act(self, kind: Kind, action: int, item: Any) -> str | RowError:
        """Carry it out, unless it makes no sense."""
        if kind is Kind.SUBMIT:
            result = str(100 + len(self.done))
            self.orders[result] = Observation(status=Status.PENDING, status_text="Pending")
        elif kind is Kind.REFILL:
            running = [o for o, status in self.refills.values() if status not in REFILL_FINAL]
            if self.orders[item].status not in DELIVERED or item in running:
                return RowError("The refill task is not completed for this order")
            result = str(900 + len(self.refills))
            self.refills[result] = item, RefillStatus.PENDING
        else:
            result = "1"
        self.done[action] = result
        return result


class ModelClient(PanelClient):
    """The panel's API as the daemon sees it; `point` says what becomes of each request."""

    def __init__(
        self, panel: ModelPanel, point: Callable[[], Awaitable[Fate]], **usual: Any
    ) -> None:
        super().__init__(name=panel.name, **usual)
        self._panel = panel
        self._point = point

    async def open(self) -> None:
        """There is nothing to open."""

    async def changed_statuses(self, ids: Sequence[str], marks: Sequence[int]) -> StatusAnswer:
        fate = await self._read()
        rows: dict[str, Observation | RowError] = {}
        for number, order in enumerate(ids):
            known = self._panel.orders.get(order)
            rows[order] = known if known else RowError("Incorrect order ID")
            _spoil(rows, order, number, fate, "Incorrect order ID")
        found = {order: hash(row) for order, row in rows.items() if isinstance(row, Observation)}
        old = [at for at, order in enumerate(ids) if order in found and found[order] == marks[at]]
        for at in old:
            del rows[ids[at]]
        await self._point()
        return StatusAnswer(
            rows, old, {order: mark for order, mark in found.items() if order in rows}
        )

    async def refill_statuses(self, ids: Sequence[str]) -> dict[str, RefillObservation | RowError]:
        fate = await self._read()
        rows: dict[str, RefillObservation | RowError] = {}
        for number, refill in enumerate(ids):
            _, status = self._panel.refills[refill]
            rows[refill] = RefillObservation(status, status.value)
            _spoil(rows, refill, number, fate, "Refill not found")
        await self._point()
        return rows

    async def refill(self, ids: Sequence[str]) -> dict[str, str | RowError]:
        return await self._act(Kind.REFILL, ids)

    async def cancel(self, ids: Sequence[str]) -> dict[str, str | RowError]:
        return await self._act(Kind.CANCEL, ids)

    async def add(self, params: Mapping[str, str]) -> str:
        (row,) = (await self._act(Kind.SUBMIT, [dict(params)])).values()
        assert isinstance(row, str)
        return row

    async def _read(self) -> Fate:
        fate = await self._point()
        if fate in _NOTHING_DONE or fate in _TELLS_NOTHING:
            raise (_NOTHING_DONE | _TELLS_NOTHING)[fate]()
        return fate

    async def _act(self, kind: Kind, asked: Sequence[Any]) -> dict[str, str | RowError]:
        panel = self._panel
        fate = await self._point()
        actions = panel.arrive(kind, asked)
        if fate in _NOTHING_DONE:
            self._note_nothing_done(actions, fate)
            raise _NOTHING_DONE[fate]()
        rows: dict[str, str | RowError] = {}
        for number, (action, item) in enumerate(zip(actions, asked, strict=False)):
            order = item if isinstance(item, str) else ""
            left_out = False
            if fate is Fate.PARTLY and number % 2 == 0 and kind is not Kind.SUBMIT:
                rows[order] = DISABLED if order == "3" else TOO_SOON
            else:
                rows[order] = panel.act(kind, action, item)
                left_out = fate is Fate.LEFT_OUT or (fate is Fate.PARTLY and number % 4 == 3)
            silent = fate in _TELLS_NOTHING or left_out
            panel.told[action] = _state(None if silent else rows[order])
            panel.may_have_done[action] += 1
            if left_out:
                del rows[order]
        if fate in _TELLS_NOTHING or (kind is Kind.SUBMIT and not rows):
            raise _TELLS_NOTHING.get(fate, RemoteFault)()
        await self._point()
        return rows

    def _note_nothing_done(self, actions: Sequence[int], fate: Fate) -> None:
        unknown = fate is Fate.LOST_BEFORE
        for action in actions:
            self._panel.may_have_done[action] += unknown
            self._panel.told[action] = ActionState.UNRESOLVED if unknown else ActionState.PLANNED
        if fate is Fate.REFUSED and len(actions) == 1:
            self._panel.told[actions[0]] = ActionState.REJECTED


def _spoil(rows: dict[str, Any], name: str, number: int, fate: Fate, refusal: str) -> None:
    if fate is Fate.PARTLY and number % 2 == 0:
        rows[name] = RowError(refusal)
    elif fate is Fate.LEFT_OUT or (fate is Fate.PARTLY and number % 4 == 3):
        del rows[name]


def _state(row: str | RowError | None) -> ActionState:
    if row is None:
        return ActionState.UNRESOLVED
    return ActionState.REJECTED if isinstance(row, RowError) else ActionState.ACCEPTED

"""The intent log's worker: the only place that sends what costs or changes something.

1. Take planned actions of one kind, as many as one request may carry.
2. Commit them as `sending`, before the first byte leaves.
3. Send, once.
4. Record what became of each. Without proof either way an action is `unresolved`, for a person
   to settle; only proof that the panel did nothing makes it `planned` again.
"""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from itertools import islice

import structlog

from watcher.daemon.outcomes import OutcomeWriter
from watcher.errors import BadKey, NotSent, PanelError, RateLimited, Refused, Unsendable
from watcher.model import (
    Accepted,
    Action,
    ActionState,
    Kind,
    Outcome,
    RowError,
    Unclear,
    Verdict,
)
from watcher.orders.schedule import MIN_GAP, RetryDelay
from watcher.orders.watchlist import Watchlist
from watcher.panels.gateway import PanelGateway
from watcher.panels.pacing import RequestLane
from watcher.panels.protocol.action_answers import NOT_NAMED
from watcher.store import Store

log = structlog.get_logger()

_AGAIN = (10.0, 600.0)  # seconds until what was not done is sent again: the first, the longest
_CALLS = {Kind.SUBMIT: "add", Kind.REFILL: "refill", Kind.CANCEL: "cancel"}
_ONE_BY_ONE_FOR = 30 * 86400.0  # seconds, after a batch whose answer can't be matched


class ActionSender:
    """Sends one panel's actions."""

    def __init__(
        self,
        *,
        gateway: PanelGateway,
        store: Store,
        watchlist: Watchlist,
        outcomes: OutcomeWriter,
    ) -> None:
        self._gateway = gateway
        self._store = store
        self._watchlist = watchlist
        self._outcomes = outcomes
        self._planned: dict[int, Action] = {}  # by id, in the order they are to be sent
        self._patience: RetryDelay[int] = RetryDelay(_AGAIN)
        self._one_by_one_until: dict[Kind, float] = {}
        self._alone: set[int] = set()  # refused in a batch: sent alone, to learn which one it was
        self._keyless: set[int] = set()  # told that the key is bad, which a read has to confirm

    def add(self, actions: Iterable[Action]) -> None:
        """Planned actions of this panel, to be sent in turn."""
        self._planned.update({action.id: action for action in actions})

    def begin_anew(self) -> None:
        """Send at once what waits for a pause to be over."""
        self._patience.forget_all()

    def pending(self, kind: Kind) -> int:
        """How many actions of the kind wait to be sent."""
        return sum(action.kind is kind for action in self._planned.values())

    async def run_once(self, now: float) -> float | None:
        """Send what is planned, as fast as the pace allows; returns when to come again."""
        while self._planned:
            await self._outcomes.settle()  # nothing more is sent while that does not succeed
            batch = self._next_batch(now)
            if not batch:
                return self._next_at(now)
            again_at = self._gateway.take(now, RequestLane.ACT)
            if again_at is not None:
                return again_at
            await self._send(batch, now)
            now = self._gateway.clock()
        return None

    def _next_at(self, now: float) -> float | None:
        """When the first of the actions may be sent again that the panel has not taken."""
        return min((self._patience.until(number, now) for number in self._planned), default=None)

    def _next_batch(self, now: float) -> list[Action]:
        """The first action and those that can go with it; they stay in the queue."""
        ready = (a for a in self._planned.values() if self._patience.until(a.id, now) <= now)
        first = next(ready, None)
        if first is None:
            return []
        limit = 1 if first.id in self._alone else self._limit(first.kind)
        same = (a for a in ready if a.kind is first.kind and a.id not in self._alone)
        return [first, *islice(same, limit - 1)]

    def _limit(self, kind: Kind) -> int:
        if kind is Kind.SUBMIT or self._gateway.clock() < self._one_by_one_until.get(kind, 0.0):
            return 1
        return max(1, self._gateway.client.limit(kind.value))

    async def _send(self, batch: Sequence[Action], now: float) -> None:
        claimed = await self._store.actions.claim([action.id for action in batch], now=now)
        for action in batch:
            self._planned.pop(action.id, None)  # one that was withdrawn is gone already
        if not claimed:
            return
        await self._outcomes.settle(await self._outcomes_of(claimed))

    async def _outcomes_of(self, actions: Sequence[Action]) -> list[Outcome]:
        """Send, and say how each ended. Only a cancelled task leaves them `sending`."""
        try:
            rows = await self._gateway.ask(_CALLS[actions[0].kind], self._request(actions))
        except (NotSent, RateLimited) as error:
            return self._again(actions, error)
        except (Refused, Unsendable) as error:
            if isinstance(error, BadKey) and self._may_be_the_panel(actions):
                return self._again(actions, error)
            return self._refused(actions, error)
        except Exception as error:  # whatever it was, the panel may have acted
            if not isinstance(error, PanelError):
                log.exception("action.bug", panel=self._gateway.name)
            return [_outcome(action, ActionState.UNRESOLVED, str(error)) for action in actions]
        verdicts = [rows.get(_key(action)) for action in actions]
        if len(actions) > 1 and any(map(_is_unmatched, verdicts)):
            self._ask_one_by_one(actions[0].kind)
        return [_read(action, row) for action, row in zip(actions, verdicts, strict=True)]

    def _ask_one_by_one(self, kind: Kind) -> None:
        """Answers of this panel to batches of the kind do not tell what became of each."""
        until = self._gateway.clock() + _ONE_BY_ONE_FOR
        if self._one_by_one_until.get(kind, 0.0) < until - _ONE_BY_ONE_FOR:
            log.warning("actions.one_by_one", panel=self._gateway.name, kind=kind.value)
        self._one_by_one_until[kind] = until

    def _request(self, actions: Sequence[Action]) -> Awaitable[Mapping[str, Verdict]]:
        first = actions[0]
        if first.kind is Kind.SUBMIT:
            return self._submit(first)
        ids = [action.order or "" for action in actions]
        client = self._gateway.client
        return client.refill(ids) if first.kind is Kind.REFILL else client.cancel(ids)

    async def _submit(self, action: Action) -> Mapping[str, Verdict]:
        return {_key(action): await self._gateway.client.add(action.params or {})}

    def _again(self, actions: Sequence[Action], error: PanelError) -> list[Outcome]:
        """Nothing was done: each waits for its pause, and is sent again."""
        for action in actions:
            self._patience.learnt_nothing(action.id, self._gateway.clock())
        return [_planned_again(action, error) for action in actions]

    def _may_be_the_panel(self, actions: Sequence[Action]) -> bool:
        """Whether a bad key is not yet known to be these actions' own fault.

        A read that follows tells; where it is answered, the actions are sent once more.
        """
        ids = {action.id for action in actions}
        if self._gateway.health.refuses or not ids <= self._keyless:
            self._keyless |= ids
            return True
        return False

    def _refused(self, actions: Sequence[Action], error: Refused | Unsendable) -> list[Outcome]:
        """A refusal of the whole request, or one that can't be sent: proof of nothing done."""
        if len(actions) == 1:
            return [_outcome(actions[0], ActionState.REJECTED, str(error))]
        self._alone.update(action.id for action in actions)
        return [_planned_again(action, error) for action in actions]

    def note(self, action: Action) -> None:
        """How the action ended is on record."""
        if action.state is ActionState.PLANNED:
            self._planned[action.id] = action
            return
        self._planned.pop(action.id, None)
        self._patience.forget(action.id)
        self._alone.discard(action.id)
        self._keyless.discard(action.id)
        if action.kind is Kind.CANCEL and action.state is ActionState.ACCEPTED and action.order:
            now = self._gateway.clock()
            self._watchlist.panel(action.panel).hasten(action.order, now + MIN_GAP, now)
        _log(action)


def _key(action: Action) -> str:
    """What the client's answer has the action's verdict under."""
    return action.order or ""


def _is_unmatched(row: Verdict | None) -> bool:
    return row is None or isinstance(row, Unclear) or (isinstance(row, Accepted) and row.whole)


def _read(action: Action, row: Verdict | None) -> Outcome:
    """Only a refusal in the panel's words is a rejection; what is left out is not."""
    if row is None:
        return _outcome(action, ActionState.UNRESOLVED, NOT_NAMED)
    if isinstance(row, Unclear):
        return _outcome(action, ActionState.UNRESOLVED, row.text)
    if isinstance(row, RowError):
        return _outcome(action, ActionState.REJECTED, row.text)
    if isinstance(row, Accepted):
        return _outcome(action, ActionState.ACCEPTED, row.text)
    return Outcome(action=action, state=ActionState.ACCEPTED, result=row, answer=row)


def _outcome(action: Action, state: ActionState, answer: str) -> Outcome:
    return Outcome(action=action, state=state, answer=answer)


def _planned_again(action: Action, error: PanelError | Unsendable) -> Outcome:
    return _outcome(action, ActionState.PLANNED, str(error))


def _log(action: Action) -> None:
    at_level = log.warning if action.state is ActionState.UNRESOLVED else log.info
    at_level(
        f"action.{action.state.value}",
        action=action.id,
        kind=action.kind.value,
        panel=action.panel,
        order=action.order,
        rule=action.rule,
        answer=action.answer,
    )

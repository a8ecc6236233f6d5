"""Sends planned actions: the only place that sends what costs or changes something.

1. Read planned actions of one kind, as many as one request may carry.
2. Commit them as `sending`, before the first byte leaves.
3. Send, once.
4. Record the outcome of each. Without proof either way an action is `unresolved`, for a person to
   resolve; only proof that the panel did nothing makes it `planned` again.
"""

from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from itertools import islice

import structlog

from watcher.daemon.action_outcomes import OutcomeWriter
from watcher.daemon.mailboxes import Mailboxes
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
from watcher.orders.schedule import RetryDelay
from watcher.panels.gateway import PanelGateway
from watcher.panels.pacing import RequestLane
from watcher.panels.protocol.action_answers import NOT_NAMED
from watcher.store import Store

log = structlog.get_logger()

_PAGE = 300  # planned actions that are read for the next request
_AGAIN = (10.0, 600.0)  # seconds until an action that was not done is sent again: first, longest
_CALLS = {Kind.SUBMIT: "add", Kind.REFILL: "refill", Kind.CANCEL: "cancel"}
_ONE_BY_ONE_FOR = 30 * 86400.0  # seconds, after a batch whose answer can't be matched


class ActionSender:
    """Sends one panel's actions. Planned actions are kept in the database only.

    They are read when the mailbox says that they have changed, and as long as some are left.
    """

    def __init__(
        self, *, gateway: PanelGateway, store: Store, outcomes: OutcomeWriter, mailboxes: Mailboxes
    ) -> None:
        self._gateway = gateway
        self._store = store
        self._outcomes = outcomes
        self._mailboxes = mailboxes
        self._pending: Counter[Kind] = Counter()  # planned actions at the last count
        self._is_counted = False
        self._patience: RetryDelay[int] = RetryDelay(_AGAIN)
        self._one_by_one_until: dict[Kind, float] = {}
        self._alone: set[int] = set()  # refused in a batch: sent alone to find the refused one
        self._keyless: set[int] = set()  # refused for a bad key, which a read has to confirm

    def begin_anew(self) -> None:
        """End the pauses of actions that wait to be sent again."""
        self._patience.forget_all()

    def pending(self, kind: Kind) -> int:
        """Return how many actions of the kind waited to be sent at the last count."""
        return self._pending[kind]

    async def run_once(self, now: float) -> float | None:
        """Send planned actions if the pace allows it, one request a run; return when to run next.

        A stop waits for the run, and not for all that is planned.
        """
        if not await self._is_something_planned():
            return None
        await self._outcomes.settle()  # if this fails, nothing more is sent
        batch, next_at = await self._next_batch(now)
        if not batch:
            return next_at
        again_at = self._gateway.take(now, RequestLane.ACT)
        if again_at is not None:
            return again_at
        await self._send(batch, now)
        return self._gateway.clock()

    async def _is_something_planned(self) -> bool:
        """Return whether actions are planned; read the database only if they have changed."""
        if self._mailboxes.take_planned(self._gateway.name):
            self._is_counted = False
        if not self._is_counted:
            self._pending = Counter(await self._store.actions.count_planned(self._gateway.name))
            self._is_counted = True
            if not self._pending and self._outcomes.is_settled:  # also of withdrawn actions
                self._forget(*self._alone, *self._keyless)
                self._patience.forget_all()
        return self._pending.total() > 0

    async def _next_batch(self, now: float) -> tuple[list[int], float | None]:
        """Return the first action that may be sent now, with those that fit in its request.

        If there is none, return when the first of the actions in a pause may be sent.
        """
        after, next_at = 0, None
        while page := await self._store.actions.planned(
            self._gateway.name, after=after, limit=_PAGE
        ):
            until = {number: self._patience.until(number, now) for number, _ in page}
            ready = [(number, kind) for number, kind in page if until[number] <= now]
            if ready:
                return self._together(ready), None
            first = min(until.values())
            next_at = first if next_at is None else min(first, next_at)
            after = page[-1][0]
        self._is_counted = next_at is not None  # else count again
        return [], next_at

    def _together(self, ready: Sequence[tuple[int, Kind]]) -> list[int]:
        """Return the first action, and those of its kind that fit in one request with it."""
        first, kind = ready[0]
        limit = 1 if first in self._alone else self._limit(kind)
        same = (n for n, its in ready[1:] if its is kind and n not in self._alone)
        return [first, *islice(same, limit - 1)]

    def _limit(self, kind: Kind) -> int:
        if kind is Kind.SUBMIT or self._gateway.clock() < self._one_by_one_until.get(kind, 0.0):
            return 1
        return max(1, self._gateway.client.limit(kind.value))

    async def _send(self, batch: Sequence[int], now: float) -> None:
        claimed = await self._store.actions.claim(batch, now=now)
        self._pending -= Counter(action.kind for action in claimed)
        if len(claimed) < len(batch):  # some were withdrawn meanwhile
            self._is_counted = False
        if claimed:
            await self._outcomes.settle(await self._outcomes_of(claimed))

    async def _outcomes_of(self, actions: Sequence[Action]) -> list[Outcome]:
        """Send; return how each ended. Only a cancelled task leaves actions `sending`."""
        outcomes = await self._ask(actions)
        over = (o.action.id for o in outcomes if o.state is not ActionState.PLANNED)
        self._forget(*over)
        return outcomes

    async def _ask(self, actions: Sequence[Action]) -> list[Outcome]:
        try:
            rows = await self._gateway.ask(_CALLS[actions[0].kind], self._request(actions))
        except (NotSent, RateLimited) as error:
            return self._again(actions, error)
        except (Refused, Unsendable) as error:
            if isinstance(error, BadKey) and self._may_be_the_panel(actions):
                return self._again(actions, error)
            return self._refused(actions, error)
        except Exception as error:  # after any other error the panel may have acted
            if not isinstance(error, PanelError):
                log.exception("action.bug", panel=self._gateway.name)
            return [_outcome(action, ActionState.UNRESOLVED, str(error)) for action in actions]
        verdicts = [rows.get(_key(action)) for action in actions]
        if len(actions) > 1 and any(map(_is_unmatched, verdicts)):
            self._ask_one_by_one(actions[0].kind)
        return [_read(action, row) for action, row in zip(actions, verdicts, strict=True)]

    def _forget(self, *numbers: int) -> None:
        """Forget the pauses of actions that are not sent again."""
        for number in numbers:
            self._patience.forget(number)
            self._alone.discard(number)
            self._keyless.discard(number)

    def _ask_one_by_one(self, kind: Kind) -> None:
        """Send one by one: answers to batches of this kind can't be matched to actions."""
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
        """Plan each again after a pause: the panel did nothing."""
        for action in actions:
            self._patience.failed(action.id, self._gateway.clock())
        return [_planned_again(action, error) for action in actions]

    def _may_be_the_panel(self, actions: Sequence[Action]) -> bool:
        """Return whether a refusal for a bad key may concern everything, not only these actions.

        A following read decides; if that is answered, the actions are sent once more.
        """
        ids = {action.id for action in actions}
        if self._gateway.health.refuses or not ids <= self._keyless:
            self._keyless |= ids
            return True
        return False

    def _refused(self, actions: Sequence[Action], error: Refused | Unsendable) -> list[Outcome]:
        """Reject a single action; plan those of a batch again, each alone."""
        if len(actions) == 1:
            return [_outcome(actions[0], ActionState.REJECTED, str(error))]
        self._alone.update(action.id for action in actions)
        return [_planned_again(action, error) for action in actions]


def _key(action: Action) -> str:
    """Return the key of the action's verdict in the client's answer."""
    return action.order or ""


def _is_unmatched(row: Verdict | None) -> bool:
    return row is None or isinstance(row, Unclear) or (isinstance(row, Accepted) and row.whole)


def _read(action: Action, row: Verdict | None) -> Outcome:
    """Return the outcome of one row. Only a refusal in the panel's words is a rejection."""
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

"""The notification outbox: active alerts, and queued messages to each target."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from watcher.alerts import Alert, AlertKind, AlertNotice, KnownAlert
from watcher.store.base import Rows, StorePart, batched
from watcher.store.dialect import insert_or_ignore, upsert
from watcher.store.schema import notify_targets, outbox, troubles

_UPSERT = upsert(troubles, ("event", "panel", "subject", "text", "began_at", "told_at", "gone_at"))


class Message(msgspec.Struct, frozen=True):
    """A message of notices, queued for one target."""

    id: int
    target: str
    notices: list[AlertNotice]
    queued_at: float
    next_at: float
    attempts: int
    error: str | None


class Outbox(StorePart):
    """The tables `notify_targets`, `troubles` and `outbox`."""

    async def know_targets(self, names: Collection[str], *, now: float) -> dict[str, float]:
        """Return since when each target exists; a new one exists from now on."""

        def work(connection: Connection) -> dict[str, float]:
            if names:
                connection.execute(
                    insert_or_ignore(notify_targets), [{"name": n, "since": now} for n in names]
                )
            return {row.name: row.since for row in connection.execute(select(notify_targets))}

        return await self._db.write("targets", work)

    async def forget_targets(self, but: Collection[str]) -> None:
        """Remove all state of other targets than these."""

        def work(connection: Connection) -> None:
            for column in (notify_targets.c.name, troubles.c.target, outbox.c.target):
                connection.execute(delete(column.table).where(column.not_in(but)))

        await self._db.write("targets", work)

    async def known_alerts(self) -> dict[str, list[KnownAlert]]:
        """Return the active and recently ended alerts, as each target knows them."""

        def made(rows: Rows) -> dict[str, list[KnownAlert]]:
            known: dict[str, list[KnownAlert]] = {}
            for row in rows:
                alert = Alert(AlertKind(row.event), row.panel, row.text, row.subject)
                one = KnownAlert(alert, row.began_at, row.told_at, row.gone_at)
                known.setdefault(row.target, []).append(one)
            return known

        return await self._read("known_troubles", select(troubles), made)

    async def keep_notices(
        self,
        known: Iterable[tuple[str, KnownAlert]],
        gone: Sequence[tuple[str, str]],
        messages: Sequence[tuple[str, Sequence[AlertNotice]]],
        *,
        now: float,
    ) -> None:
        """Write what targets know of alerts and queue messages to them, all or nothing.

        `gone` lists (target, alert key) pairs to remove.
        """
        there = [_alert_row(target, one) for target, one in known]
        queued = [_message_row(target, notices, now) for target, notices in messages]

        def work(connection: Connection) -> None:
            if there:
                connection.execute(_UPSERT, there)
            for some in batched(gone):
                which = tuple_(troubles.c.target, troubles.c.key).in_(some)
                connection.execute(delete(troubles).where(which))
            if queued:
                connection.execute(insert(outbox), queued)

        await self._db.write("keep_notices", work)

    async def waiting(self, target: str, limit: int, due: float | None = None) -> list[Message]:
        """Return the target's oldest queued messages; with `due`, only those due by then."""
        statement = select(outbox).where(outbox.c.state == "queued", outbox.c.target == target)
        if due is not None:
            statement = statement.where(outbox.c.next_at <= due)
        oldest = statement.order_by(outbox.c.id).limit(limit)
        return await self._read("messages", oldest, lambda rows: [_message(row) for row in rows])

    async def queued(self) -> dict[str, tuple[int, float]]:
        """Return for each target how many messages are queued, and when the next is due."""
        statement = (
            select(
                outbox.c.target,
                func.count().label("waiting"),
                func.min(outbox.c.next_at).label("next_at"),
            )
            .where(outbox.c.state == "queued")
            .group_by(outbox.c.target)
        )
        return await self._read(
            "queued",
            statement,
            lambda rows: {row.target: (row.waiting, row.next_at) for row in rows},
        )

    async def given_up(self) -> dict[str, int]:
        """Return how many messages to each target were given up."""
        statement = (
            select(outbox.c.target, func.count())
            .where(outbox.c.state == "dead")
            .group_by(outbox.c.target)
        )
        return await self._read(
            "given_up", statement, lambda rows: {row[0]: row[1] for row in rows}
        )

    async def delivered(self, ids: Collection[int]) -> None:
        """Mark the messages as delivered."""
        await self._set(ids, state="sent", error=None)

    async def put_off(self, ids: Collection[int], error: str, next_at: float) -> None:
        """Record a failed attempt and schedule the next one."""
        await self._set(ids, attempts=outbox.c.attempts + 1, error=error, next_at=next_at)

    async def hurry(self, target: str, now: float) -> None:
        """Make all queued messages of the target due now."""
        late = update(outbox).where(
            outbox.c.target == target, outbox.c.state == "queued", outbox.c.next_at > now
        )
        await self._db.write("outbox", lambda c: c.execute(late.values(next_at=now)))

    async def give_up(self, ids: Collection[int], error: str) -> None:
        """Give up the messages: no further attempts."""
        await self._set(ids, state="dead", attempts=outbox.c.attempts + 1, error=error)

    async def forget_messages(self, before: float) -> None:
        """Remove delivered or given-up messages that were queued before then."""
        old = delete(outbox).where(outbox.c.state != "queued", outbox.c.queued_at < before)
        await self._db.write("forget_messages", lambda c: c.execute(old))

    async def _set(self, ids: Collection[int], **values: object) -> None:
        statement = update(outbox).where(outbox.c.id.in_(ids)).values(**values)
        await self._db.write("outbox", lambda c: c.execute(statement))


def _message(row: Any) -> Message:
    return Message(
        row.id,
        row.target,
        msgspec.json.decode(row.body, type=list[AlertNotice]),
        row.queued_at,
        row.next_at,
        row.attempts,
        row.error,
    )


def _alert_row(target: str, known: KnownAlert) -> dict[str, object]:
    alert = known.alert
    return {
        "target": target,
        "key": alert.key,
        "event": alert.event,
        "panel": alert.panel,
        "subject": alert.subject,
        "text": alert.text,
        "began_at": known.began_at,
        "told_at": known.notified_at,
        "gone_at": known.gone_at,
    }


def _message_row(target: str, notices: Sequence[AlertNotice], now: float) -> dict[str, object]:
    return {
        "target": target,
        "state": "queued",
        "body": msgspec.json.encode(notices).decode(),
        "queued_at": now,
        "next_at": now,
        "attempts": 0,
    }

"""What happened lately that people may be told of, once: found where it is on record anyway."""

from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.alerts import Alert, AlertKind
from watcher.model import ActionState, Kind, Phase, RefillStatus, RuleAction
from watcher.store.base import StorePart
from watcher.store.schema import (
    RESTORED,
    actions,
    firings,
    order_states,
    orders,
    refills,
    service_changes,
    services,
)

_PAGE = 1000  # of a kind at once
_FIRED = (
    select(firings, orders.c.panel, orders.c.order_id)
    .join(orders, orders.c.key == firings.c.key)
    .where(
        firings.c.action == RuleAction.NOTIFY.value,
        firings.c.dry_run.is_(False),
        firings.c.detail != RESTORED,
    )
)
_REJECTED = (
    select(refills, actions.c.rule)
    .outerjoin(actions, actions.c.id == refills.c.action)
    .where(refills.c.status == RefillStatus.REJECTED.value)
)
_REFUSED = select(actions).where(
    actions.c.kind == Kind.REFILL.value, actions.c.state == ActionState.REJECTED.value
)
_CHANGED = (
    select(service_changes, services.c.name)
    .outerjoin(
        services,
        (services.c.panel == service_changes.c.panel)
        & (services.c.id == service_changes.c.service),
    )
    .where(service_changes.c.field.in_(("rate", "gone")))
)
_OPEN = (
    select(orders.c.panel, orders.c.service)
    .join(order_states, order_states.c.key == orders.c.key)
    .where(order_states.c.phase == Phase.OPEN.value)
    .distinct()
)


class Moment(msgspec.Struct, frozen=True):
    """Something that happened; `service` names one that it concerns.

    `rule` is the one that asked for a refill which was refused.
    """

    at: float
    trouble: Alert
    service: tuple[str, str] | None = None  # panel, service id
    rule: str | None = None


class RecentEvents(StorePart):
    """Read from `firings`, `refills`, `actions` and `service_changes`."""

    async def moments(self, since: float, wanted: AbstractSet[AlertKind]) -> list[Moment]:
        """What of the wanted kinds came on record since then."""

        async def fetch(connection: AsyncConnection) -> list[Moment]:
            found: list[Moment] = []

            async def add(statement: Select[Any], at: Any, key: Any, moment: Any) -> None:
                rows = _since(connection, statement, at, key, since)
                moments = [moment(row) async for row in rows]
                found.extend(one for one in moments if one is not None)

            if AlertKind.RULE_FIRED in wanted:
                await add(_FIRED, firings.c.at, firings.c.id, self._fired)
            if AlertKind.REFILL_REJECTED in wanted:
                await add(_REJECTED, refills.c.finished_at, refills.c.key, self._rejected)
                await add(_REFUSED, actions.c.settled_at, actions.c.id, self._refused)
            if wanted & {AlertKind.PRICE_RISE, AlertKind.SERVICE_GONE}:
                await add(_CHANGED, service_changes.c.at, service_changes.c.id, self._changed)
            return [moment for moment in found if moment.trouble.event in wanted]

        return await self._db.read("moments", fetch)

    async def open_services(self) -> set[tuple[str, str]]:
        """(panel, service id) of all open orders. Reads every one of them."""
        names = self._db.panels.names

        async def fetch(connection: AsyncConnection) -> set[tuple[str, str]]:
            rows = await connection.execute(_OPEN)
            return {(names[panel], service) for panel, service in rows if service is not None}

        return await self._db.read("open_services", fetch)

    def _fired(self, row: Any) -> Moment:
        text = f"rule {row['rule']!r} fires for order {row['order_id']}: {row['detail']}"
        subject = f"{row['rule']}/{row['order_id']}/{row['id']}"
        return self._moment(row, row["at"], AlertKind.RULE_FIRED, text, subject)

    def _rejected(self, row: Any) -> Moment:
        words = f": {row['status_text']}" if row["status_text"] else ""
        text = f"refill {row['refill_id']} of order {row['order_id']} was rejected{words}"
        subject = f"{row['order_id']}/{row['refill_id']}"
        moment = self._moment(row, row["finished_at"], AlertKind.REFILL_REJECTED, text, subject)
        return msgspec.structs.replace(moment, rule=row["rule"])

    def _refused(self, row: Any) -> Moment:
        words = f": {row['answer']}" if row["answer"] else ""
        text = f"the panel refused to refill order {row['order_id']}{words}"
        subject = f"{row['order_id']}/action {row['id']}"
        moment = self._moment(row, row["settled_at"], AlertKind.REFILL_REJECTED, text, subject)
        return msgspec.structs.replace(moment, rule=row["rule"])

    def _changed(self, row: Any) -> Moment | None:
        service = f"service {row['service']} ({row['name'] or 'without a name'})"
        event, text = AlertKind.SERVICE_GONE, f"{service} is no longer listed"
        if row["field"] == "rate":
            if not _has_risen(row["old"], row["new"]):
                return None
            event = AlertKind.PRICE_RISE
            text = f"{service} costs {row['new']} for 1,000; it was {row['old']}"
        moment = self._moment(row, row["at"], event, text, f"{row['service']}/{row['id']}")
        return msgspec.structs.replace(moment, service=(moment.trouble.panel, row["service"]))

    def _moment(self, row: Any, at: float, event: AlertKind, text: str, subject: str) -> Moment:
        return Moment(at, Alert(event, self._db.panels.names[row["panel"]], text, subject))


async def _since(
    connection: AsyncConnection, statement: Select[Any], at: Any, key: Any, since: float
) -> AsyncIterator[Any]:
    """The rows from then on, page by page: many may have come at one moment."""
    page = statement.where(at >= since)
    while True:
        found = await connection.execute(page.order_by(at, key).limit(_PAGE))
        rows = found.mappings().all()
        for row in rows:
            yield row
        if len(rows) < _PAGE:
            return
        page = statement.where(tuple_(at, key) > tuple_(rows[-1][at.name], rows[-1][key.name]))


def _has_risen(old: str | None, new: str | None) -> bool:
    return old is not None and new is not None and Decimal(new) > Decimal(old)

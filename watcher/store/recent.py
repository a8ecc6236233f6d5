"""What happened recently: read for notifications and for the status page."""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, Integer, Select, cast, func, or_, select, tuple_

from watcher.alerts import AlertKind, Moment
from watcher.model import Action, ActionState, Kind, Phase, RefillStatus, RuleAction
from watcher.store.action_rows import ACTION, fetch_actions
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
from watcher.store.services import ServiceChange, to_change

_DAY = 86400.0
_PAGE = 1000  # rows of each kind per page
_FIRED = (
    select(firings, orders.c.panel, orders.c.order_id, orders.c.reference)
    .join(orders, orders.c.key == firings.c.key)
    .where(
        firings.c.action == RuleAction.NOTIFY.value,
        firings.c.dry_run.is_(False),
        firings.c.detail != RESTORED,
    )
)
_REJECTED = (
    select(refills, actions.c.rule, orders.c.reference)
    .outerjoin(actions, actions.c.id == refills.c.action)
    .outerjoin(
        orders, (orders.c.panel == refills.c.panel) & (orders.c.order_id == refills.c.order_id)
    )
    .where(refills.c.status == RefillStatus.REJECTED.value)
)
_REFUSED = (
    select(actions, orders.c.reference)
    .outerjoin(
        orders, (orders.c.panel == actions.c.panel) & (orders.c.order_id == actions.c.order_id)
    )
    .where(actions.c.kind == Kind.REFILL.value, actions.c.state == ActionState.REJECTED.value)
)
_CHANGED = select(service_changes, services.c.name).outerjoin(
    services,
    (services.c.panel == service_changes.c.panel) & (services.c.id == service_changes.c.service),
)
_TOLD = _CHANGED.where(service_changes.c.field.in_(("rate", "gone")))
_SHOWN = _CHANGED.where(
    or_(
        *(
            service_changes.c.field == name
            for name in ("rate", "new", "gone", "back", "min", "max", "refill", "cancel")
        )
    )
)
_OPEN = (
    select(orders.c.panel, orders.c.service)
    .join(order_states, order_states.c.key == orders.c.key)
    .where(order_states.c.phase == Phase.OPEN.value)
    .distinct()
)


class NamedChange(msgspec.Struct, frozen=True):
    """A change in a price list, with the service's present name."""

    change: ServiceChange
    name: str


class FiringCounts(msgspec.Struct, frozen=True):
    """How often a rule fired recently, and how often it would have without dry run."""

    did: int = 0
    would: int = 0
    last_at: float | None = None


class Latest(msgspec.Struct, frozen=True, kw_only=True):
    """The most recent records of each kind."""

    unresolved: list[Action]
    latest: list[Action]
    changes: list[NamedChange]
    fired: dict[str, FiringCounts]


class Recent(StorePart):
    """Reads from `firings`, `refills`, `actions` and `service_changes`."""

    async def moments(self, since: float, wanted: AbstractSet[AlertKind]) -> list[Moment]:
        """Return what was recorded since then, of the wanted kinds."""
        kinds: list[tuple[Select[Any], Any, Any, Callable[[Any], Moment | None]]] = []
        if AlertKind.RULE_FIRED in wanted:
            kinds.append((_FIRED, firings.c.at, firings.c.id, self._fired))
        if AlertKind.REFILL_REJECTED in wanted:
            kinds.append((_REJECTED, refills.c.finished_at, refills.c.key, self._rejected))
            kinds.append((_REFUSED, actions.c.settled_at, actions.c.id, self._refused))
        if wanted & {AlertKind.PRICE_RISE, AlertKind.SERVICE_GONE}:
            kinds.append((_TOLD, service_changes.c.at, service_changes.c.id, self._changed))

        def fetch(connection: Connection) -> list[Moment]:
            found = (
                moment(row)
                for statement, at, key, moment in kinds
                for row in _since(connection, statement, at, key, since)
            )
            return [moment for moment in found if moment is not None and moment.event in wanted]

        return await self._db.read("moments", fetch)

    async def open_services(self) -> set[tuple[str, str]]:
        """Return (panel, service id) of all open orders. Reads every one of them."""
        names = self._db.panels.names
        return await self._read(
            "open_services",
            _OPEN,
            lambda rows: {
                (names[panel], service) for panel, service in rows if service is not None
            },
        )

    async def latest(self, now: float, *, few: int = 10) -> Latest:
        """Return the last `few` records of each kind; firing counts cover 24 hours."""
        newest = ACTION.order_by(actions.c.id.desc()).limit(few)
        open_ones = newest.where(actions.c.state == ActionState.UNRESOLVED.value)
        changes = _SHOWN.order_by(service_changes.c.id.desc()).limit(few)
        names = self._db.panels.names

        def work(connection: Connection) -> Latest:
            return Latest(
                unresolved=fetch_actions(connection, names, open_ones),
                latest=fetch_actions(connection, names, newest),
                changes=[
                    NamedChange(to_change(row, names[row["panel"]]), row["name"] or "")
                    for row in connection.execute(changes).mappings()
                ],
                fired=_firing_counts(connection, now - _DAY),
            )

        return await self._db.read("glimpse", work)

    def _fired(self, row: Any) -> Moment:
        return self._moment(
            row, AlertKind.RULE_FIRED, row["id"], row["at"], text=row["detail"], rule=row["rule"]
        )

    def _rejected(self, row: Any) -> Moment:
        told = {"text": row["status_text"], "refill": row["refill_id"], "rule": row["rule"]}
        return self._moment(row, AlertKind.REFILL_REJECTED, row["key"], row["finished_at"], **told)

    def _refused(self, row: Any) -> Moment:
        told = {"text": row["answer"], "rule": row["rule"]}
        return self._moment(row, AlertKind.REFILL_REJECTED, row["id"], row["settled_at"], **told)

    def _changed(self, row: Any) -> Moment | None:
        is_price = row["field"] == "rate"
        if is_price and not _has_risen(row["old"], row["new"]):
            return None
        return Moment(
            event=AlertKind.PRICE_RISE if is_price else AlertKind.SERVICE_GONE,
            panel=self._db.panels.names[row["panel"]],
            at=row["at"],
            number=row["id"],
            service=(self._db.panels.names[row["panel"]], row["service"]),
            name=row["name"] or "",
            old=row["old"],
            new=row["new"],
        )

    def _moment(self, row: Any, event: AlertKind, number: int, at: float, **told: Any) -> Moment:
        panel = self._db.panels.names[row["panel"]]
        of_order = {"order": row["order_id"], "reference": row["reference"]}
        return Moment(event=event, panel=panel, at=at, number=number, **of_order, **told)


def _since(
    connection: Connection, statement: Select[Any], at: Any, key: Any, since: float
) -> Iterator[Any]:
    """Yield the rows from then on, page by page: many may have the same time."""
    page = statement.where(at >= since)
    while True:
        found = connection.execute(page.order_by(at, key).limit(_PAGE))
        rows = found.mappings().all()
        yield from rows
        if len(rows) < _PAGE:
            return
        page = statement.where(tuple_(at, key) > tuple_(rows[-1][at.name], rows[-1][key.name]))


def _has_risen(old: str | None, new: str | None) -> bool:
    return old is not None and new is not None and Decimal(new) > Decimal(old)


def _firing_counts(connection: Connection, since: float) -> dict[str, FiringCounts]:
    would = cast(firings.c.dry_run, Integer)
    statement = (
        select(firings.c.rule, func.sum(1 - would), func.sum(would), func.max(firings.c.at))
        .where(firings.c.at >= since)
        .group_by(firings.c.rule)
    )
    rows = connection.execute(statement)
    return {rule: FiringCounts(int(did), int(dry), at) for rule, did, dry, at in rows}

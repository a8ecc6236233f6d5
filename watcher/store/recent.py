"""What happened recently: read for notifications and for the status page."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, Integer, Select, cast, func, or_, select, tuple_

from watcher.alerts import AlertKind, Moment
from watcher.model import Action, ActionState, Kind, Phase, RefillStatus, RuleAction
from watcher.store.action_rows import ACTION, fetch_actions
from watcher.store.base import Rows, StorePart
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
    select(refills, actions.c.rule, actions.c.reason, orders.c.reference)
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
    .where(
        actions.c.kind == Kind.REFILL.value,
        actions.c.state == ActionState.REJECTED.value,
        actions.c.sent_at.is_not(None),  # what was withdrawn, or not sent, no panel refused
    )
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
    """How often a rule fired recently, and how often it would have without dry run.

    `refused` is how many of its refills the panels refused or rejected meanwhile.
    """

    did: int = 0
    would: int = 0
    last_at: float | None = None
    refused: int = 0


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

    async def latest(
        self, now: float, *, few: int = 10, panels: Collection[str] | None = None
    ) -> Latest:
        """Return the last `few` records of each kind; firing counts cover 24 hours.

        `panels` are those that the caller may see, None for all of them.
        """
        of_actions, of_prices = (
            self._within(table.c.panel, panels) for table in (actions, service_changes)
        )
        newest = ACTION.where(*of_actions).order_by(actions.c.id.desc()).limit(few)
        open_ones = newest.where(actions.c.state == ActionState.UNRESOLVED.value)
        changes = _SHOWN.where(*of_prices).order_by(service_changes.c.id.desc()).limit(few)
        names = self._db.panels.names

        def work(connection: Connection) -> Latest:
            return Latest(
                unresolved=fetch_actions(connection, names, open_ones),
                latest=fetch_actions(connection, names, newest),
                changes=self._named(connection.execute(changes)),
                fired=self._firing_counts(connection, now - _DAY, panels),
            )

        return await self._db.read("glimpse", work)

    def _firing_counts(
        self, connection: Connection, since: float, panels: Collection[str] | None
    ) -> dict[str, FiringCounts]:
        would = cast(firings.c.dry_run, Integer)
        statement = (
            select(firings.c.rule, func.sum(1 - would), func.sum(would), func.max(firings.c.at))
            .where(firings.c.at >= since)
            .group_by(firings.c.rule)
        )
        if panels is not None:
            # An expression has no index: else every order of the panels would be read, not only
            # those of the last firings.
            panel = func.coalesce(orders.c.panel, -1)
            statement = statement.join(orders, orders.c.key == firings.c.key)
            statement = statement.where(*self._within(panel, panels))
        rows = connection.execute(statement)
        counts = {rule: FiringCounts(int(did), int(dry), at) for rule, did, dry, at in rows}
        for rule, refused in self._refusal_counts(connection, since, panels).items():
            known = counts.get(rule, FiringCounts())
            counts[rule] = msgspec.structs.replace(known, refused=refused)
        return counts

    def _refusal_counts(
        self, connection: Connection, since: float, panels: Collection[str] | None
    ) -> Counter[str]:
        """Return how many refills of each rule the panels refused or rejected since then."""
        within = actions.c.rule.is_not(None), *self._within(actions.c.panel, panels)
        counts: Counter[str] = Counter()
        for refusals, at in ((_REFUSED, actions.c.settled_at), (_REJECTED, refills.c.finished_at)):
            statement = (
                refusals.where(at >= since, *within)
                .with_only_columns(actions.c.rule, func.count(), maintain_column_froms=True)
                .group_by(actions.c.rule)
            )
            for rule, number in connection.execute(statement):
                counts[rule] += number
        return counts

    async def price_changes(self, panels: Sequence[str], few: int) -> list[NamedChange]:
        """Return the last changes in the panels' price lists, newest first."""
        numbers = [self._panel(panel) for panel in panels]
        changes = _CHANGED.where(service_changes.c.panel.in_(numbers))
        newest = changes.order_by(service_changes.c.id.desc()).limit(few)
        return await self._read("service_changes", newest, self._named)

    def _named(self, rows: Rows) -> list[NamedChange]:
        names = self._db.panels.names
        return [
            NamedChange(to_change(row, names[row["panel"]]), row["name"] or "")
            for row in rows.mappings()
        ]

    def _fired(self, row: Any) -> Moment:
        return self._moment(
            row, AlertKind.RULE_FIRED, row["id"], row["at"], text=row["detail"], rule=row["rule"]
        )

    def _rejected(self, row: Any) -> Moment:
        told = {"text": row["status_text"], "is_routine": _is_routine(row)}
        told["refill"] = row["refill_id"]
        return self._moment(row, AlertKind.REFILL_REJECTED, row["key"], row["finished_at"], **told)

    def _refused(self, row: Any) -> Moment:
        told = {"text": row["answer"], "is_routine": _is_routine(row)}
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


def _is_routine(row: Any) -> bool:
    """Return whether a rule or a shop asked for the refill, and not a person."""
    return row["rule"] is not None or (row["reason"] or "").startswith("shop ")


def _has_risen(old: str | None, new: str | None) -> bool:
    return old is not None and new is not None and Decimal(new) > Decimal(old)

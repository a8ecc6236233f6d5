"""Answers shops as a panel does: the watcher's own `/api/v2`.

Reads are answered from memory and the database; the panels are not asked.
"""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal

from watcher.common.clock import Clock
from watcher.config import ActiveConfig, Shop
from watcher.daemon.commands import OrderCommands
from watcher.daemon.panel_workers import PanelWorkers
from watcher.errors import NotLed, RequestError
from watcher.model import Balance, Kind
from watcher.orders.watchlist import Watchlist
from watcher.panels.protocol.refusals import Refusal, RefusedAnswer
from watcher.panels.protocol.serve import identity, listed
from watcher.rules.engine import RuleEngine
from watcher.shop_api import encoding
from watcher.shop_api.encoding import ShopError
from watcher.shop_api.lookup import OrderLookup
from watcher.shop_api.ordering import Ordering
from watcher.store import Store

MOST_IDS = 100
RIGHTS = {  # action -> the right that it needs
    "services": "read",
    "balance": "read",
    "status": "read",
    "refill_status": "read",
    "add": "order",
    "refill": "order",
    "cancel": "order",
}
ACTIONS = tuple(RIGHTS)

Sent = Mapping[str, str]


class ShopHandlers:
    """The handlers of the panel API, for all shops."""

    def __init__(
        self,
        *,
        store: Store,
        watchlist: Watchlist,
        rule_engine: RuleEngine,
        commands: OrderCommands,
        panel_workers: Mapping[str, PanelWorkers],
        config: ActiveConfig,
        clock: Clock,
        is_clustered: bool,
    ) -> None:
        self._store, self._is_clustered = store, is_clustered
        self._rule_engine = rule_engine
        self._panel_workers = panel_workers
        self._lookup = OrderLookup(
            store=store,
            watchlist=watchlist,
            commands=commands,
            panel_workers=panel_workers,
            config=config,
            clock=clock,
        )
        self._ordering = Ordering(
            commands=commands, lookup=self._lookup, panel_workers=panel_workers, clock=clock
        )
        self._answers: Mapping[str, Callable[[Shop, Sent], Awaitable[object]]] = {
            "services": self._services,
            "balance": self._balance,
            "status": self._status,
            "refill_status": self._refill_status,
            "add": self._add,
            "refill": self._refill,
            "cancel": self._cancel,
        }

    async def answer(self, shop: Shop, sent: Sent) -> object:
        """Return the answer, which may be an error; raises StoreError."""
        action = sent.get("action", "")
        if action not in self._answers:
            return encoding.error(Refusal.REQUEST.text)
        if RIGHTS[action] not in shop.rights:
            return encoding.error(f"This key may not {RIGHTS[action]}")
        try:
            return await self._answers[action](shop, sent)
        except NotLed:
            raise
        except (RefusedAnswer, RequestError) as error:
            return encoding.error(str(error))

    async def by_panel(self, shop: Shop, sent: Sent) -> dict[str, Sent]:
        """Return what a request asks of each panel's leader, as a request of its own.

        It is empty if any node can answer the request. Ids that are not known are of panel "".
        """
        action = sent.get("action", "")
        if action == "add":
            place = shop.service(sent.get("service", "").strip())
            return {} if place is None else {place[0]: sent}
        if action not in ("status", "refill", "cancel"):
            return {}
        texts = listed(sent.get("orders", sent.get("order", "")))[:MOST_IDS]
        found = await self._lookup.panels(shop, texts)
        if len(found) == 1:
            return dict.fromkeys(found, sent)
        rest = {name: value for name, value in sent.items() if name != "order"}
        return {panel: {**rest, "orders": ",".join(some)} for panel, some in found.items()}

    async def _services(self, shop: Shop, sent: Sent) -> object:
        rows = [
            (own_id, encoding.service_row(own_id, stored.service))
            for panel in shop.panels
            for stored in await self._store.services.of_panel(panel)
            if stored.gone_at is None
            for own_id in shop.own_ids(panel, stored.service.id)
        ]
        if not rows:  # panels give an empty list to a wrong key
            raise RequestError("The price list is not known yet")
        return [row for _, row in sorted(rows, key=lambda pair: (len(pair[0]), pair[0]))]

    async def _balance(self, shop: Shop, sent: Sent) -> object:
        """Return the sum of the balances in the currency of the first panel."""
        balances = self._rule_engine.balances
        if self._is_clustered:  # memory has those of the panels that this node leads
            latest = await self._store.balances.latest()
            balances = {name: balance for name, (_, balance) in latest.items()}
        known = [balances[name] for name in shop.panels if name in balances]
        if not known:
            raise RequestError("The balance is not known yet")
        same = [left.amount for left in known if left.currency == known[0].currency]
        return encoding.balance(Balance(sum(same, Decimal(0)), known[0].currency))

    async def _status(self, shop: Shop, sent: Sent) -> object:
        texts, is_list = _ids(sent, "order", "orders")
        found = await self._lookup.orders(shop, texts)
        rows = {text: encoding.status_row(order) for text, order in found.items()}
        return rows if is_list else rows[texts[0]]

    async def _refill_status(self, shop: Shop, sent: Sent) -> object:
        texts, is_list = _ids(sent, "refill", "refills")
        found = await self._lookup.refills(shop, texts)
        words = {text: encoding.refill_word(refill) for text, refill in found.items()}
        if is_list:
            return encoding.rows("refill", "status", words)
        (word,) = words.values()
        return word if isinstance(word, dict) else {"status": word}

    async def _add(self, shop: Shop, sent: Sent) -> object:
        return {"order": identity(await self._ordering.add(shop, sent))}

    async def _refill(self, shop: Shop, sent: Sent) -> object:
        self._check_able(shop, Kind.REFILL)
        texts, is_list = _ids(sent, "order", "orders")
        results = await self._ordering.act(shop, Kind.REFILL, texts)
        if is_list:
            answers = {
                text: encoding.error(result) if isinstance(result, ShopError) else identity(result)
                for text, result in results.items()
            }
            return encoding.rows("order", "refill", answers)
        (result,) = results.values()
        return encoding.error(result) if isinstance(result, ShopError) else {"refill": result}

    async def _cancel(self, shop: Shop, sent: Sent) -> object:
        self._check_able(shop, Kind.CANCEL)
        results = await self._ordering.act(shop, Kind.CANCEL, _ids(sent, "order", "orders")[0])
        answers = {
            text: encoding.error(result) if isinstance(result, ShopError) else 1
            for text, result in results.items()
        }
        return encoding.rows("order", "cancel", answers)

    def _check_able(self, shop: Shop, kind: Kind) -> None:
        """Refuse an action that no panel of the key supports, as panels do."""
        panel_workers = [
            self._panel_workers[name] for name in shop.panels if name in self._panel_workers
        ]
        if not any(workers.config.profile.can(kind) for workers in panel_workers):
            raise RefusedAnswer(Refusal.REQUEST)


def _ids(sent: Sent, one: str, many: str) -> tuple[list[str], bool]:
    """Return the ids of the request, each once, and whether the answer is a list."""
    is_list = many in sent
    texts = listed(sent.get(many if is_list else one, ""))
    if not 1 <= len(texts) <= MOST_IDS:
        raise RefusedAnswer(Refusal.REQUEST)
    return list(dict.fromkeys(texts)), is_list or len(texts) > 1

"""Answers shops as a panel does: the watcher's own `/api/v2`.

What is read is answered from what the watcher knows, and costs the panels nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal

from watcher.book import Book
from watcher.clocks import Clock
from watcher.config import ActiveConfig, Shop
from watcher.errors import RequestError
from watcher.intake import Intake
from watcher.judge import Judge
from watcher.model import Balance, Kind
from watcher.panels.protocol.refusals import Refusal, Refused
from watcher.panels.protocol.serve import identity, listed
from watcher.shops import spelling
from watcher.shops.finder import Finder
from watcher.shops.spelling import Fault
from watcher.shops.till import Till
from watcher.station import Station
from watcher.store import Store

MOST_IDS = 100
RIGHTS = {  # what an action needs
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


class Desk:
    """Where all shops ask."""

    def __init__(
        self,
        *,
        store: Store,
        book: Book,
        judge: Judge,
        intake: Intake,
        stations: Mapping[str, Station],
        config: ActiveConfig,
        clock: Clock,
    ) -> None:
        self._store = store
        self._judge = judge
        self._stations = stations
        self._finder = Finder(
            store=store, book=book, intake=intake, stations=stations, config=config, clock=clock
        )
        self._till = Till(intake=intake, finder=self._finder, stations=stations, clock=clock)
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
        """The answer, an error among them; raises StoreError where the database can't do it."""
        action = sent.get("action", "")
        if action not in self._answers:
            return spelling.error(Refusal.REQUEST.text)
        if RIGHTS[action] not in shop.rights:
            return spelling.error(f"This key may not {RIGHTS[action]}")
        try:
            return await self._answers[action](shop, sent)
        except (Refused, RequestError) as error:
            return spelling.error(str(error))

    async def _services(self, shop: Shop, sent: Sent) -> object:
        rows = [
            (own_id, spelling.service_row(own_id, stored.service))
            for panel in shop.panels
            for stored in await self._store.services(panel)
            if stored.gone_at is None
            for own_id in shop.own_ids(panel, stored.service.id)
        ]
        if not rows:  # an empty list is what panels give to a wrong key
            raise RequestError("The price list is not known yet")
        return [row for _, row in sorted(rows, key=lambda pair: (len(pair[0]), pair[0]))]

    async def _balance(self, shop: Shop, sent: Sent) -> object:
        """Of several panels what is left at all of them, in the currency of the first."""
        known = [self._judge.balances[name] for name in shop.panels if name in self._judge.balances]
        if not known:
            raise RequestError("The balance is not known yet")
        same = [left.amount for left in known if left.currency == known[0].currency]
        return spelling.balance(Balance(sum(same, Decimal(0)), known[0].currency))

    async def _status(self, shop: Shop, sent: Sent) -> object:
        texts, is_list = _ids(sent, "order", "orders")
        found = await self._finder.orders(shop, texts)
        rows = {text: spelling.status_row(order) for text, order in found.items()}
        return rows if is_list else rows[texts[0]]

    async def _refill_status(self, shop: Shop, sent: Sent) -> object:
        texts, is_list = _ids(sent, "refill", "refills")
        found = await self._finder.refills(shop, texts)
        words = {text: spelling.refill_word(refill) for text, refill in found.items()}
        if is_list:
            return spelling.rows("refill", "status", words)
        (word,) = words.values()
        return word if isinstance(word, dict) else {"status": word}

    async def _add(self, shop: Shop, sent: Sent) -> object:
        return {"order": identity(await self._till.add(shop, sent))}

    async def _refill(self, shop: Shop, sent: Sent) -> object:
        self._check_able(shop, Kind.REFILL)
        texts, is_list = _ids(sent, "order", "orders")
        results = await self._till.act(shop, Kind.REFILL, texts)
        if is_list:
            told = {
                text: spelling.error(result) if isinstance(result, Fault) else identity(result)
                for text, result in results.items()
            }
            return spelling.rows("order", "refill", told)
        (result,) = results.values()
        return spelling.error(result) if isinstance(result, Fault) else {"refill": result}

    async def _cancel(self, shop: Shop, sent: Sent) -> object:
        self._check_able(shop, Kind.CANCEL)
        results = await self._till.act(shop, Kind.CANCEL, _ids(sent, "order", "orders")[0])
        told = {
            text: spelling.error(result) if isinstance(result, Fault) else 1
            for text, result in results.items()
        }
        return spelling.rows("order", "cancel", told)

    def _check_able(self, shop: Shop, kind: Kind) -> None:
        """What no panel behind the key can do is an unknown action, as there."""
        stations = [self._stations[name] for name in shop.panels if name in self._stations]
        if not any(station.config.profile.can(kind) for station in stations):
            raise Refused(Refusal.REQUEST)


def _ids(sent: Sent, one: str, many: str) -> tuple[list[str], bool]:
    """Return the ids that are asked about, each once, and whether the answer is about several."""
    is_list = many in sent
    texts = listed(sent.get(many if is_list else one, ""))
    if not 1 <= len(texts) <= MOST_IDS:
        raise Refused(Refusal.REQUEST)
    return list(dict.fromkeys(texts)), is_list or len(texts) > 1

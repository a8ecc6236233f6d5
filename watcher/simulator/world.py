"""State of a simulated panel: its orders, refills and balance over simulated time.

1. An order's fate is drawn from the seed and its id.
2. An order's row is computed from its fate when it is requested; no task runs in between.
3. Refunds are in the account, each with its time.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from watcher.panels.protocol.refusals import Refusal, RefusedAnswer
from watcher.panels.protocol.serve import whole
from watcher.simulator.accounts import SimAccount
from watcher.simulator.catalog import PRICE_LIST, SimService
from watcher.simulator.fate import NEVER, Fate, draw, fraction
from watcher.simulator.forms import Wanted, read_form
from watcher.simulator.overrides import Overrides
from watcher.simulator.series import EXPIRED, Series, SeriesRow, series_row
from watcher.simulator.sim_orders import (
    COMPLETED,
    FINAL,
    NOTHING,
    OrderRow,
    SimOrder,
    delivered_at,
    ends_at,
    refundable,
    row_at,
)
from watcher.simulator.sim_refills import SimRefills

SEEDED_LINK = "https://example.com/seeded"


class World:
    """Orders, refills and money. The caller passes the time: seconds that never decrease.

    `next_fates` are the fates of the next orders that are added, for tests.
    """

    def __init__(
        self,
        services: Sequence[SimService] = PRICE_LIST,
        *,
        seed: int = 0,
        balance: Decimal | str = "1000.00000",
        currency: str = "USD",
        first_order: int = 23501,
    ) -> None:
        self.services = {service.service: service for service in services}
        self._unlisted: set[int] = set()
        self.seed = seed
        self.currency = currency
        self.next_fates: deque[Fate] = deque()
        self._ledger = SimAccount(Decimal(balance), self._refund)
        self._next = first_order
        self._orders: dict[int, SimOrder] = {}
        self._series: dict[int, Series] = {}
        self._cancels: dict[int, float] = {}
        self._links: dict[str, list[int]] = {}
        self._overrides = Overrides()
        self._refills = SimRefills()

    def add(
        self,
        sent: Mapping[str, str],
        now: float,
        *,
        fate: Fate | None = None,
        once_a_link: bool = False,
    ) -> int:
        """Place an order as a customer does; return its id."""
        service = self._service(sent.get("service", ""))
        wanted = read_form(service, sent)
        if once_a_link and self._is_active(wanted.link, now):
            raise RefusedAnswer(Refusal.DUPLICATE)
        orders = self._orders_of(service, wanted, now)
        self._ledger.spend(sum((order.paid for order in orders), NOTHING), now)
        if fate is None and self.next_fates:
            fate = self.next_fates.popleft()
        number = self._next
        if wanted.is_series:
            self._begin_series(service, wanted, orders, now)
        for order in orders:
            order.fate = fate
            self._register(order)
        self._links.setdefault(wanted.link, []).append(number)
        return number

    def seed_orders(
        self,
        count: int,
        now: float,
        *,
        services: Sequence[int] | None = None,
        quantity: int | None = None,
        age: float = 0.0,
        fate: Fate | None = None,
    ) -> range:
        """Add paid orders placed over the last `age` seconds; return their ids."""
        chosen = [self.services[s] for s in services] if services else self._plain_services()
        # A million orders share a few hundred objects.
        prices: dict[tuple[int, int], Decimal] = {}
        first = self._next
        for index in range(count):
            service = chosen[index % len(chosen)]
            wanted = quantity or self._usual_quantity(service)
            key = service.service, wanted
            if key not in prices:
                prices[key] = service.price(wanted)
            placed = now - age * (count - index) / count
            order = SimOrder(service.service, SEEDED_LINK, wanted, prices[key], placed, fate)
            self._register(order, settled_until=now)
        return range(first, self._next)

    def price_list(self) -> list[SimService]:
        """Return the services that can be ordered."""
        return [s for number, s in self.services.items() if number not in self._unlisted]

    def change_rate(self, service: int, rate: Decimal) -> None:
        """Change a service's price from the next order on."""
        self.services[service] = msgspec.structs.replace(self.services[service], rate=rate)

    def unlist(self, *services: int) -> None:
        """Take only these services off the price list; without any, list all again."""
        self._unlisted = set(services)

    def knows(self, order: int, now: float) -> bool:
        found = self._orders.get(order)
        return found is not None and found.placed <= now

    def knows_refill(self, refill: int) -> bool:
        return refill in self._refills

    def order(self, order: int, now: float) -> SimOrder:
        if not self.knows(order, now):
            raise RefusedAnswer(Refusal.ORDER)
        return self._orders[order]

    def completed(self, services: Collection[int], now: float) -> list[int]:
        """Return the completed orders of these services."""
        wanted = [n for n, o in self._orders.items() if o.service in services and o.placed <= now]
        return [number for number in wanted if self._word(number, now) == COMPLETED]

    def fate(self, order: int) -> Fate:
        found = self._orders[order]
        return found.fate or draw(self.services[found.service].habits, self.seed, order)

    def status(self, order: int, now: float) -> OrderRow | SeriesRow:
        """Return the order's row by its fate, without overrides."""
        found = self.order(order, now)
        if order in self._series:
            return series_row(self._series[order], lambda part: self._word(part, now), now)
        return self._row(order, found, now)

    def row(self, order: int, now: float) -> object:
        """Return the fields that the panel answers for the order, with overrides."""
        return self._overrides.over(order, self.status(order, now).fields())

    def count(self, order: int, now: float) -> int:
        """Return the link's public count, which is not part of the panel's API."""
        found, fate, ended = self.order(order, now), self.fate(order), self._ended(order)
        delivered = delivered_at(found, fate, min(now, ended))
        since = self._refills.restored_at(order, now) or ended
        lost = int(delivered * fate.drop) if now >= since + fate.drop_after else 0
        return fate.start_count + delivered - lost

    def refill(self, order: int, now: float) -> int:
        """Accept a refill, which takes effect later; return its id."""
        service = self.services[self.order(order, now).service]
        if order in self._series:
            raise RefusedAnswer(Refusal.NOT_COMPLETED)
        self._refills.check(order, service, self._word(order, now), self._ended(order), now)
        return self._refills.create(order, self.fate(order), now)

    def refill_status(self, refill: int, now: float) -> str:
        return self._refills.status(refill, now)

    def cancel(self, order: int, now: float) -> int:
        """Accept a cancel, which takes effect later or never; return its id."""
        found = self.order(order, now)
        if not self.services[found.service].cancel:
            raise RefusedAnswer(Refusal.CANCEL_DISABLED)
        if order in self._series or self._word(order, now) in FINAL:
            raise RefusedAnswer(Refusal.CANCEL_FINISHED)
        if order in self._cancels:
            raise RefusedAnswer(Refusal.CANCEL_RUNNING)
        fate = self.fate(order)
        self._cancels[order] = now + fate.cancel_takes
        if self._cancels[order] < ends_at(found, fate):
            self._ledger.expect(order, self._cancels[order])
        return len(self._cancels)

    def balance(self, now: float) -> Decimal:
        return self._ledger.balance(now)

    def set_balance(self, balance: Decimal | str, now: float) -> None:
        self._ledger.set(Decimal(balance), now)

    def spent(self, now: float) -> Decimal:
        """Return the cost of all orders at that time; its sum with the balance is constant."""
        charges = (self._row(order, found, now).charge for order, found in self._orders.items())
        return sum(charges, NOTHING)

    def force(self, orders: int | Iterable[int], now: float, **fields: object) -> None:
        """Override fields of the orders' rows; the balance doesn't change."""
        self._overrides.force(self._known(orders, now), now, fields)

    def garble(self, orders: int | Iterable[int], now: float, answer: object) -> None:
        """Answer this value instead of the orders' rows."""
        self._overrides.garble(self._known(orders, now), now, answer)

    def release(self, orders: int | Iterable[int], now: float) -> None:
        """Undo `force` and `garble`."""
        self._overrides.release(self._known(orders, now))

    def _known(self, orders: int | Iterable[int], now: float) -> list[int]:
        numbers = [orders] if isinstance(orders, int) else list(orders)
        for number in numbers:
            self.order(number, now)
        return numbers

    def _service(self, text: str) -> SimService:
        service = self.services.get(whole(text) or 0)
        if service is None or service.service in self._unlisted:
            raise RefusedAnswer(Refusal.SERVICE)
        return service

    def _plain_services(self) -> list[SimService]:
        return [s for s in self.services.values() if s.type != "Subscriptions"]

    def _usual_quantity(self, service: SimService) -> int:
        # Few distinct values, so that equal prices share memory.
        most = min(service.max, service.min * 100)
        steps = int(fraction(self.seed, self._next) * 10)
        return service.min + (most - service.min) * steps // 10

    def _is_active(self, link: str, now: float) -> bool:
        ended = FINAL | {EXPIRED}
        return any(self._word(order, now) not in ended for order in self._links.get(link, ()))

    def _orders_of(self, service: SimService, wanted: Wanted, now: float) -> list[SimOrder]:
        """Return the orders that a form creates, except those after its expiry."""
        orders, choices = [], wanted.most - wanted.least + 1
        for number, after in enumerate(wanted.times, self._next + 1):
            quantity = wanted.least + int(fraction(self.seed, number) * choices)
            paid = service.price(quantity)
            orders.append(SimOrder(service.service, wanted.link, quantity, paid, now + after))
        orders = [order for order in orders if order.placed < wanted.expires]
        if not orders:
            raise RefusedAnswer(Refusal.PARAMETER, "expiry")
        return orders

    def _begin_series(
        self, service: SimService, wanted: Wanted, orders: Sequence[SimOrder], now: float
    ) -> None:
        """Give the series an id before those of its orders; only the orders cost and end."""
        number = self._register(SimOrder(service.service, wanted.link, 0, NOTHING, now, Fate()))
        times = {number + index: order.placed for index, order in enumerate(orders, 1)}
        self._series[number] = Series(times, len(wanted.times), wanted.expiry, wanted.expires)

    def _register(self, order: SimOrder, settled_until: float = -NEVER) -> int:
        """Assign the order its id; refunds before `settled_until` are not paid again."""
        number = self._next
        self._next += 1
        self._orders[number] = order
        fate = self.fate(number)
        if refundable(order, fate) and ends_at(order, fate) > settled_until:
            self._ledger.expect(number, ends_at(order, fate))
        return number

    def _refund(self, order: int, at: float) -> Decimal:
        # A cancel ended the order at another time.
        if order in self._overrides or self._ended(order) != at:
            return NOTHING
        found = self._orders[order]
        return found.paid - self._row(order, found, at).charge

    def _row(self, order: int, found: SimOrder, now: float) -> OrderRow:
        return row_at(found, self.fate(order), now, self._cancels.get(order, NEVER))

    def _word(self, order: int, now: float) -> str:
        forced = self._overrides.status(order)
        return forced[0] if forced else self.status(order, now).status

    def _ended(self, order: int) -> float:
        forced = self._overrides.status(order)
        if forced:
            return forced[1]
        cancel_at = self._cancels.get(order, NEVER)
        return ends_at(self._orders[order], self.fate(order), cancel_at)

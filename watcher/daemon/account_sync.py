"""Reads one panel's balance and price list at intervals; probes the panel after refusals."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from watcher.daemon.reviews import Reviews
from watcher.errors import PanelError, RateLimited
from watcher.model import Status
from watcher.orders.schedule import RetryDelay
from watcher.orders.watchlist import Watchlist
from watcher.panels.gateway import PanelGateway
from watcher.panels.health import BALANCE, SERVICES, STATUS
from watcher.panels.pacing import RequestLane
from watcher.panels.rate import RememberedRate
from watcher.rules.engine import RuleEngine
from watcher.store import Store

log = structlog.get_logger()

# Seconds after a failure, or the interval if that is shorter: panels allow the balance 30 times a
# minute and the price list 10 times an hour.
_BALANCE_AGAIN, _SERVICES_AGAIN = 60.0, 600.0
_LONGEST_AGAIN = 3600.0  # after many failures in a row; the interval if that is shorter
_REMEMBER_EVERY = 60.0
_AFTER_CRASH = (5.0, 300.0)  # seconds: the first and the longest
_ORDERS_TRIED = 10  # one by one, while the panel refuses everything


class AccountSync:
    """Reads balance and price list. Each task returns when it wants to run next."""

    def __init__(
        self,
        *,
        gateway: PanelGateway,
        store: Store,
        watchlist: Watchlist,
        reviews: Reviews,
        rule_engine: RuleEngine,
        balance_every: float,
        services_every: float,
    ) -> None:
        self._gateway = gateway
        self._store = store
        self._watchlist = watchlist
        self._reviews = reviews
        self._rule_engine = rule_engine
        self._balance = _Interval(balance_every, _BALANCE_AGAIN)
        self._services = _Interval(services_every, _SERVICES_AGAIN)
        self.balance_at = 0.0
        self._remembered: RememberedRate | None = None
        self._to_review = False
        self._is_wanted = False  # a person asked to try the panel at once
        self._probed = 0
        self._crashes: RetryDelay[None] = RetryDelay(_AFTER_CRASH)

    async def balance(self, now: float) -> float | None:
        """Read the balance; if it changed, review every order if a rule uses it."""
        return await self._paced(now, self._read_balance, self._balance)

    async def services(self, now: float) -> float | None:
        """Read the price list; if it changed, review every order if a rule uses services."""
        return await self._paced(now, self._read_services, self._services)

    async def probe(self, now: float) -> float | None:
        """Send a request that shows whether the panel refuses everything, if one is needed.

        After a refusal in doubt it is a request of another kind; while the panel refuses
        everything, of any kind. Its answer is used, except statuses, which are the poller's.
        """
        until = self._crashes.until(None, now)
        if until > now:
            return until
        order = self._some_order(now)
        call = self._gateway.health.probe(now, has_orders=order is not None)
        if call is None and self._is_wanted:
            call = self._any_call(has_orders=order is not None)
        self._is_wanted = False
        if call is None:
            return None
        again_at = self._gateway.take(now, RequestLane.PROBE)
        if again_at is not None:
            return again_at
        self._probed += 1
        try:
            with suppress(PanelError):  # the gateway calls `on_probe` if another is needed
                await self._read(call, order, now)
        except Exception:  # unexpected, so the panel's health does not show it
            self._crashes.failed(None, now)
            raise
        self._crashes.forget(None)
        return self._gateway.breaker.open_until()

    def retry(self) -> None:
        """Try the panel at once: the next `probe` asks it something in any case."""
        self._gateway.resume()
        self._is_wanted = True
        self._crashes.forget_all()
        for interval in (self._balance, self._services):
            interval.begin_anew()

    async def _read(self, call: str, order: str | None, now: float) -> None:
        if call == BALANCE:
            await self._read_balance(now)
        elif call == SERVICES:
            await self._read_services(now)
        elif order is not None:
            known = self._watchlist.order(self._gateway.name, order)
            was_known = known is not None and known.status is not Status.UNKNOWN
            asked = self._gateway.client.statuses([order])
            await self._gateway.ask(STATUS, asked, order=order, was_known=was_known)

    def _some_order(self, now: float) -> str | None:
        """Return an order that is checked soon, a different one each time."""
        soon = self._watchlist.panel(self._gateway.name).upcoming(_ORDERS_TRIED, now)
        return soon[self._probed % len(soon)][1] if soon else None

    def _any_call(self, *, has_orders: bool) -> str | None:
        """Return the cheapest call that the panel supports."""
        limit = self._gateway.client.limit
        if limit(BALANCE):
            return BALANCE
        return STATUS if has_orders else SERVICES if limit(SERVICES) else None

    async def rate(self, now: float) -> float | None:
        """Save the learnt request rate; return when to run next."""
        learnt = self._gateway.pace.rate.learnt
        if learnt != self._remembered:
            await self._store.schedule.save_rate(self._gateway.name, learnt, now=now)
            self._remembered = learnt
        return now + _REMEMBER_EVERY

    async def _paced(
        self, now: float, read: Callable[[float], Awaitable[None]], interval: "_Interval"
    ) -> float:
        again_at = interval.paused_until(now) or self._gateway.take(now)
        if again_at is not None:
            return again_at
        try:
            await read(now)
        except RateLimited as error:
            return max(interval.failed(now), now + interval.again, now + (error.retry_after or 0.0))
        except PanelError:
            return interval.failed(now)
        except BaseException:  # the answer was not recorded: no reason to ask sooner
            interval.failed(now)
            raise
        return interval.succeeded(now)

    async def _read_balance(self, now: float) -> None:
        name = self._gateway.name
        balance = await self._gateway.ask(BALANCE, self._gateway.client.balance())
        await self._store.balances.save(name, balance, now=now)
        changed = self._rule_engine.balances.get(name) != balance
        self._rule_engine.balances[name] = balance
        self.balance_at = now
        await self._review(now, changed and self._rule_engine.wants_balances())

    async def _know(self, name: str) -> None:
        """Load the stored price list into the rules: a changed flag clears an earlier refusal."""
        services = await self._store.services.of_panel(name)
        # No await from here on: rules must not see half a list.
        self._rule_engine.forget_services(name)
        for stored in services:
            self._rule_engine.know_service(name, stored.service, stored.refill_disabled_text)

    async def _read_services(self, now: float) -> None:
        name = self._gateway.name
        services, problems = await self._gateway.ask(SERVICES, self._gateway.client.services())
        if not services:  # panels answer a bad key so: don't remove the services
            log.warning("services.empty", panel=name)
            return
        is_first = not self._rule_engine.services.get(name)
        changes = await self._store.services.save(name, services, now=now)
        await self._know(name)
        if problems:
            log.warning("services.bad_rows", panel=name, count=len(problems), first=problems[0])
        if changes:
            log.info("services.changed", panel=name, services=len(services), changes=len(changes))
        await self._review(now, (is_first or bool(changes)) and self._rule_engine.wants_services())

    async def _review(self, now: float, is_wanted: bool) -> None:
        """Review every order; if that fails, again after the next reading."""
        self._to_review |= is_wanted
        if not self._to_review:
            return
        self._to_review = False  # first: the other reading may set it during the review
        try:
            await self._reviews.review(self._watchlist.panel(self._gateway.name).orders(), now)
        except BaseException:
            self._to_review = True
            raise


class _Interval:
    """Times one call: every `every` seconds, later after failures."""

    def __init__(self, every: float, again: float) -> None:
        self._every = every
        self.again = again
        first = min(every, again)
        self._patience: RetryDelay[None] = RetryDelay(
            (first, max(first, min(every, _LONGEST_AGAIN)))
        )

    def paused_until(self, now: float) -> float | None:
        """Return until when not to ask again, after failures."""
        until = self._patience.until(None, now)
        return until if until > now else None

    def begin_anew(self) -> None:
        self._patience.forget_all()

    def failed(self, now: float) -> float:
        return self._patience.failed(None, now)

    def succeeded(self, now: float) -> float:
        self._patience.forget(None)
        return now + self._every

"""Request handlers of a simulated panel: check key and form, act on the world, encode."""

from collections.abc import Callable, Mapping
from email.utils import formatdate
from math import ceil
from typing import NamedTuple

import msgspec

from watcher.panels.profiles import Profile
from watcher.panels.protocol.refusals import Refusal, RefusedAnswer
from watcher.panels.protocol.serve import several, whole
from watcher.simulator import answers
from watcher.simulator.journal import JournalEntry
from watcher.simulator.request_limits import RequestLimits
from watcher.simulator.switches import Shown
from watcher.simulator.traits import Trait
from watcher.simulator.world import World

ERROR_HTTP = {  # errors_400 → 400
    trait: int(trait.removeprefix("errors_")) for trait in Trait if trait.startswith("errors_")
}

_PAGE = (
    "<!DOCTYPE html><html><head><title>{0}</title></head>"
    "<body><h1>{0}</h1><script>/* {0} */</script></body></html>"
)


class Reply(NamedTuple):
    """A response before transport faults."""

    body: bytes
    http: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


class ApiRequest(NamedTuple):
    """A parsed request."""

    sent: Mapping[str, str]
    entry: JournalEntry
    shown: Shown
    now: float


def page(title: str, http: int) -> Reply:
    return Reply(_PAGE.format(title).encode(), http, "text/html")


PAGES = {
    Trait.HTML_200: page("Just a moment...", 200),
    Trait.HTML_BLOCKED: page("Access denied: your IP address is blocked", 403),
    Trait.HTML_503: page("Maintenance", 503),
}


class ApiHandlers:
    """The handlers of one panel; no IO, each request brings its time."""

    def __init__(self, profile: Profile, key: str, world: World, limits: RequestLimits) -> None:
        self._profile = profile
        self.key = key
        self._world = world
        self._limits = limits
        self._actions: Mapping[str, Callable[[ApiRequest], object]] = {
            "services": self._services,
            "add": self._add,
            "status": self._status,
            "refill": self._refill,
            "refill_status": self._refill_status,
            "cancel": self._cancel,
            "balance": self._balance,
        }

    def reply(
        self, sent: Mapping[str, str], entry: JournalEntry, shown: Shown, now: float, wall: float
    ) -> Reply:
        """Return the response; record the outcome in the journal entry."""
        between = self._between(entry, shown, wall)
        if between is not None:
            return between
        asked = ApiRequest(sent, entry, shown, now)
        try:
            body = self._act(asked)
        except RefusedAnswer as refused:
            return _refusal(refused, asked)
        entry.outcome = "answered"
        created = Trait.ACCEPTED_201 in shown and entry.action in ("add", "refill")
        http = 201 if created and entry.carried_out else 200
        return Reply(msgspec.json.encode(body), http)

    def refuse(self, refusal: Refusal, entry: JournalEntry, shown: Shown) -> Reply:
        """Return the response to a malformed request."""
        return _refusal(RefusedAnswer(refusal), ApiRequest({}, entry, shown, 0.0))

    def _between(self, entry: JournalEntry, shown: Shown, wall: float) -> Reply | None:
        """Return the response if a rate limit or a fault stops the request first."""
        wait = self._limits.ask(entry.action, wall)
        wait = wait or shown.get(Trait.RATE_LIMITED, 0.0)
        if wait or Trait.RATE_LIMITED in shown:
            entry.outcome = Trait.RATE_LIMITED.value
            return _limited(wait, shown, wall)
        for trait in shown:
            if trait in PAGES or trait in (Trait.CLOSE_BEFORE, Trait.RESET):
                entry.outcome = trait.value
                return PAGES.get(trait, Reply(b""))
        return None

    def _act(self, asked: ApiRequest) -> object:
        action = asked.entry.action
        if asked.sent.get("key") != self.key:
            if action == "services" and Trait.EMPTY_FOR_BAD_KEY in asked.shown:
                return []
            raise RefusedAnswer(Refusal.KEY)
        if action not in self._actions:
            raise RefusedAnswer(Refusal.REQUEST)
        return self._actions[action](asked)

    def _need(self, capability: str) -> None:
        if not self._profile.can(capability):
            raise RefusedAnswer(Refusal.REQUEST)

    def _services(self, asked: ApiRequest) -> object:
        self._need("services")
        services = self._world.price_list()
        return answers.price_list(services, self._profile.service_fields, asked.shown)

    def _balance(self, asked: ApiRequest) -> object:
        self._need("balance")
        balance = format(self._world.balance(asked.now), "f")
        money = answers.currency(self._world.currency, asked.shown)
        return {"balance": balance, "currency": money}

    def _add(self, asked: ApiRequest) -> object:
        self._need("add")
        once = Trait.ONCE_A_LINK in asked.shown
        order = self._world.add(asked.sent, asked.now, once_a_link=once)
        asked.entry.carried_out = (order,)
        return answers.added(order, asked.shown)

    def _status(self, asked: ApiRequest) -> object:
        money = answers.currency(self._world.currency, asked.shown)

        def row(order: int) -> object:
            quantity = self._world.order(order, asked.now).quantity
            raw = self._world.row(order, asked.now)
            return answers.status_row(raw, order, quantity, money, asked.shown)

        texts = self._batch(asked, "status", "order", Refusal.ORDER)
        if texts is None:
            return row(_number(_one(asked, "order"), Refusal.ORDER))
        return answers.status_batch(_each(texts, row, Refusal.ORDER), asked.shown)

    def _refill(self, asked: ApiRequest) -> object:
        texts = self._batch(asked, "refill", "order", Refusal.ORDER)

        def refill(order: int) -> object:
            if Trait.REFILL_PROMISED in asked.shown and self._world.knows(order, asked.now):
                raise RefusedAnswer(Refusal.REFILL_DISABLED)
            number = self._world.refill(order, asked.now)
            asked.entry.carried_out += (order,)
            return answers.refill_id(number, texts is not None, asked.shown)

        if texts is None:
            return {"refill": refill(_number(_one(asked, "order"), Refusal.ORDER))}
        results = _each(texts, refill, Refusal.ORDER)
        return answers.action_batch(results, "order", "refill", asked.shown)

    def _refill_status(self, asked: ApiRequest) -> object:
        def word(refill: int) -> object:
            status = self._world.refill_status(refill, asked.now)
            return answers.refill_word(status, refill, asked.shown)

        texts = self._batch(asked, "refill_status", "refill", Refusal.REFILL_UNKNOWN)
        if texts is None:
            return {"status": word(_number(_one(asked, "refill"), Refusal.REFILL_UNKNOWN))}
        results = _each(texts, word, Refusal.REFILL_UNKNOWN)
        return answers.action_batch(results, "refill", "status", asked.shown)

    def _cancel(self, asked: ApiRequest) -> object:
        self._need("cancel")

        def cancel(order: int) -> object:
            number = self._world.cancel(order, asked.now)
            asked.entry.carried_out += (order,)
            return answers.cancel_value(number, asked.shown)

        many = "orders" in asked.sent
        texts = self._several(asked, "orders", Refusal.ORDER) if many else [_one(asked, "order")]
        return answers.cancels(_each(texts, cancel, Refusal.ORDER), asked.shown)

    def _batch(
        self, asked: ApiRequest, capability: str, name: str, unknown: Refusal
    ) -> list[str] | None:
        """Return the ids of a batch; None if the request has a single id."""
        many = f"{name}s" in asked.sent
        self._need(f"multi_{capability}" if many else capability)
        return self._several(asked, f"{name}s", unknown) if many else None

    def _several(self, asked: ApiRequest, name: str, unknown: Refusal) -> list[str]:
        texts, most, shown = several(asked.sent[name]), self._profile.batch, asked.shown
        if Trait.BATCH_CUT in shown:
            texts = texts[:most]
        if not 1 <= len(texts) <= most:
            raise RefusedAnswer(Refusal.REQUEST)
        # If a trait refuses a batch, nothing of it is carried out.
        known = [self._knows(text, unknown, asked.now) for text in texts]
        if Trait.ALL_UNKNOWN_400 in shown and not any(known):
            raise RefusedAnswer(unknown, http=400)
        if Trait.BAD_ID_FAILS_BATCH in shown and not all(known):
            raise RefusedAnswer(unknown)
        return texts

    def _knows(self, text: str, unknown: Refusal, now: float) -> bool:
        number = whole(text)
        if number is None:
            return False
        if unknown is Refusal.ORDER:
            return self._world.knows(number, now)
        return self._world.knows_refill(number)


def _each(
    texts: list[str], act: Callable[[int], object], unknown: Refusal
) -> list[tuple[str, object | RefusedAnswer]]:
    """Return each id with its result or its refusal."""
    results: list[tuple[str, object | RefusedAnswer]] = []
    for text in texts:
        try:
            results.append((text, act(_number(text, unknown))))
        except RefusedAnswer as refused:
            results.append((text, refused))
    return results


def _one(asked: ApiRequest, name: str) -> str:
    text = asked.sent.get(name, "").strip()
    if not text:
        raise RefusedAnswer(Refusal.REQUEST)
    return text


def _number(text: str, unknown: Refusal) -> int:
    number = whole(text)
    if number is None:
        raise RefusedAnswer(unknown)
    return number


def _refusal(refused: RefusedAnswer, asked: ApiRequest) -> Reply:
    asked.entry.outcome = refused.text
    codes = [ERROR_HTTP[trait] for trait in asked.shown if trait in ERROR_HTTP]
    body = msgspec.json.encode(answers.error(refused, asked.shown))
    return Reply(body, codes[-1] if codes else refused.http)


def _limited(wait: float, shown: Shown, wall: float) -> Reply:
    body = msgspec.json.encode(answers.error(RefusedAnswer(Refusal.RATE), shown))
    if Trait.RATE_LIMIT_IN_200 in shown:
        return Reply(body)
    seconds, headers = ceil(wait), {}
    if Trait.RETRY_AFTER_SECONDS in shown:
        headers["Retry-After"] = str(seconds)
    if Trait.RETRY_AFTER_DATE in shown:
        headers["Retry-After"] = formatdate(ceil(wall) + seconds, usegmt=True)
    return Reply(body, 429, headers=headers)

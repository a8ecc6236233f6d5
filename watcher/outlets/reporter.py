"""Looks for what is wrong, and puts what people have to be told of it into the outbox."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from watcher.config import NotifyTarget
from watcher.judge import Judge
from watcher.outlets.troubles import found, is_low
from watcher.store import Moment, Spent, Store
from watcher.survey import Survey
from watcher.telling.notices import MOMENTS, REFUSES, Event, Known, Notice, Trouble, Watch
from watcher.wording import counted

EVERY = 10.0  # seconds: what comes up meanwhile is one message
_LATE = 600.0  # seconds by which a moment may come on record after it happened
_FIRST_LOOK = 6 * 3600.0  # seconds that are looked back at a start


class Reporter:
    """What each of the targets knows of."""

    def __init__(
        self,
        *,
        store: Store,
        judge: Judge,
        survey: Survey,
        on_queued: Callable[[str], None],
        now: float,
    ) -> None:
        self._store = store
        self._judge = judge
        self._survey = survey
        self._on_queued = on_queued
        self._started_at = now
        self._targets: Sequence[NotifyTarget] = ()
        self._since: Mapping[str, float] = {}
        self._watches: dict[str, Watch] = {}
        self._look_since = now - _FIRST_LOOK
        self._services_seen: set[str] = set()  # changes of price lists that were looked at
        self._low: dict[str, float] = {}  # balances that were low when `_spent` was read
        self._spent: dict[str, Spent] = {}

    def take_over(
        self,
        targets: Sequence[NotifyTarget],
        since: Mapping[str, float],
        known: Mapping[str, Sequence[Known]],
    ) -> None:
        """From now on tell these, which are there `since` then and know that much."""
        before = self._watches
        self._targets, self._since = targets, since
        self._watches = {}
        for target in targets:
            old = before.get(target.name)
            knows = old.known.values() if old else known.get(target.name, ())
            kept = [one for one in knows if one.trouble.event in target.on]
            self._watches[target.name] = Watch(target.repeat_every, kept)

    async def run_once(self, now: float) -> float:
        """Look once, and write what follows from it; returns when to come again."""
        wanted = frozenset[Event]().union(*(target.on for target in self._targets))
        troubles = await self._troubles(now)
        moments, lists = await self._moments(wanted & MOMENTS)
        watches, known, gone, messages = {}, [], [], []
        hindsight = self._judge.hindsight
        for target in self._targets:
            name, before = target.name, self._watches[target.name]
            watch = watches[name] = Watch(target.repeat_every, before.known.values(), hindsight)
            since = hindsight.past(self._since[name], now)
            new = (moment for moment in moments if moment.at >= since)
            theirs = [*troubles, *(moment.trouble for moment in new if _tells(target, moment))]
            notices = watch.look([t for t in theirs if t.event in target.on], now)
            known += [(name, one) for one in _changed(before, watch)]
            gone += [(name, key) for key in before.known.keys() - watch.known.keys()]
            if notices:
                messages.append((name, notices))
        await self._keep(known, gone, messages, now)
        self._watches, self._services_seen = watches, lists
        self._look_since = now - _LATE
        return now + EVERY

    async def _keep(
        self,
        known: Sequence[tuple[str, Known]],
        gone: Sequence[tuple[str, str]],
        messages: Sequence[tuple[str, Sequence[Notice]]],
        now: float,
    ) -> None:
        if known or gone or messages:
            await self._store.keep_notices(known, gone, messages, now=now)
        for name, _ in messages:
            self._on_queued(name)

    async def _troubles(self, now: float) -> list[Trouble]:
        panels = self._survey.panels()
        lasting = await self._lasting({p.name: p.balance or 0.0 for p in panels if is_low(p)}, now)
        names = [panel.name for panel in panels]
        held = list(self._held(names, now))
        since, down = self._judge.hindsight.past(self._started_at, now), self._down()
        return list(found(panels, held, lasting, now, since=since, down=down))

    def _down(self) -> Collection[str]:
        """Panels that were told to be down, and not for refusing everything."""
        return {
            known.trouble.panel
            for watch in self._watches.values()
            for known in watch.known.values()
            if known.trouble.event is Event.PANEL_DOWN
            and known.trouble.subject != REFUSES
            and known.told_at is not None
        }

    async def _lasting(self, low: dict[str, float], now: float) -> dict[str, float | None]:
        """How many seconds these balances last; spending is read anew when one has changed."""
        if not low.items() <= self._low.items():
            self._spent = await self._store.aside.read(lambda look: look.spendings(now))
        self._low = low
        none = Spent(0.0, 0.0)
        return {name: self._spent.get(name, none).lasts(balance) for name, balance in low.items()}

    def _held(self, panels: Sequence[str], now: float) -> Iterator[tuple[str, str, str]]:
        for rule in self._judge.rules:
            for panel in panels:
                until = self._judge.held_until(rule, panel)
                if until is not None and until > now:
                    yield (
                        rule.name,
                        panel,
                        f"it wanted more than {counted(rule.per_hour, 'order')} an hour",
                    )
        for name, cause in self._judge.switched_off.items():
            yield name, "", f"it fails, until a reload: {cause}"

    async def _moments(self, wanted: AbstractSet[Event]) -> tuple[list[Moment], set[str]]:
        """What happened lately; of price lists, what concerns services with open orders.

        The keys of all changes of price lists come with it: they need no second look.
        """
        if not wanted:
            return [], set()
        moments = await self._store.moments(self._look_since, wanted)
        lists = [moment for moment in moments if moment.service is not None]
        unseen = [moment for moment in lists if moment.trouble.key not in self._services_seen]
        at_work = await self._store.open_services() if unseen else set()
        told = [moment for moment in unseen if moment.service in at_work]
        told += [moment for moment in moments if moment.service is None]
        return told, {moment.trouble.key for moment in lists}


def _tells(target: NotifyTarget, moment: Moment) -> bool:
    """Whether a target that wants such moments wants this one.

    What a panel does not owe it refuses: of a rule that leaves that to the panel one hears only
    where somebody has asked for it.
    """
    return target.on_rules_refusals or moment.rule is None


def _changed(before: Watch, after: Watch) -> Iterator[Known]:
    """What a restart must know; that a text differs by a minute is not worth writing."""
    for key, one in after.known.items():
        old = before.known.get(key)
        if old is None or msgspec.structs.replace(one, trouble=old.trouble) != old:
            yield one

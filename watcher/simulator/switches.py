"""Switches that turn a panel's traits on and off while it runs."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec

from watcher.simulator.traits import AMOUNTS, Trait

Shown = Mapping[Trait, float]


class Switch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A trait that is on, for one action or all.

    With `times` it turns off after so many requests; with `every` 3 it applies to each third one.
    `amount` is the trait's seconds or bytes, if it has any.
    """

    trait: Trait
    action: str | None = None
    times: int | None = None
    every: Annotated[int, msgspec.Meta(ge=1)] = 1
    amount: float | None = None
    seen: int = 0

    def shows(self, action: str) -> bool:
        """Count a request; return whether the trait applies to it."""
        if self.action not in (None, action) or self.times == 0:
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Switchboard:
    """All switches of a panel."""

    def __init__(self, traits: Iterable[Trait] = ()) -> None:
        self._switches = [Switch(trait=trait) for trait in traits]

    def on(
        self,
        trait: Trait,
        *,
        action: str | None = None,
        times: int | None = None,
        every: int = 1,
        amount: float | None = None,
    ) -> None:
        self.add(Switch(trait=trait, action=action, times=times, every=every, amount=amount))

    def add(self, switch: Switch) -> None:
        self._switches.append(switch)

    def off(self, *traits: Trait) -> None:
        """Switch these traits off, or all if none is given."""
        self._switches = [s for s in self._switches if traits and s.trait not in traits]

    def is_on(self, trait: Trait) -> bool:
        return any(s.trait is trait and s.times != 0 for s in self._switches)

    def show(self, action: str) -> Shown:
        """Return the traits that apply to a request, with their amounts."""
        return {
            s.trait: AMOUNTS.get(s.trait, 0.0) if s.amount is None else s.amount
            for s in self._switches
            if s.shows(action)
        }

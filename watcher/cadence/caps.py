"""How long an order waits for its check at the most, and how this is made good after a start."""

import msgspec

from watcher.model import Phase

GUARDED_WITHIN = 12 * 3600.0  # seconds: no finished order waits longer, if the budget allows it
# Of the budget, which caps may take at the most: caps that no budget can meet would ruin it.
SHARES = {Phase.OPEN: 0.2, Phase.GUARDED: 0.1}
LATE_SHARES = {Phase.OPEN: 0.5, Phase.GUARDED: 0.1}  # the same after a start
_BLIND = 0.05  # of its cap, in which an open order is asked about when its last check is not known
_FIRST = 0.25  # of its cap, which an order that was late at a start waits then at the least
_GOLDEN = (5.0**0.5 - 1.0) / 2.0  # its multiples, without their whole part, lie evenly in 0 to 1


class Limits(msgspec.Struct, frozen=True, gc=False):
    """Of the orders of one phase at one panel. All in seconds; `began` and `calm_at` Unix time."""

    began: float  # the start
    cap: float
    late_within: float  # the start's late orders are asked about in this time,
    blind_within: float  # and those of which is not on record when they were asked about
    calm_at: float  # who is asked about before waits differently long for the next time,
    least: float  # for so long at the least

    def latest(self, slot: int, asked: float) -> float:
        """When the order is to be asked about again that was asked about then (NaN: not known)."""
        if asked >= self.began:
            return asked + self._after(asked)
        spread = slot * 619 % 1024 / 1024
        if asked != asked:
            return self.began + self.blind_within * spread
        return max(asked + self.cap, self.began + self.late_within * spread)

    def _after(self, asked: float) -> float:
        """Where most were late and asked about at once, their caps would come together ever after.

        So their next ones come apart, but not those of one request: the next is full, too.
        """
        if asked >= self.calm_at:
            return self.cap
        return self.least + (self.cap - self.least) * (asked * _GOLDEN % 1.0)


def cap_of(phase: Phase, within: float, watched: int, ids_per_minute: float) -> float:
    """Seconds that one of so many orders waits at the most, the wish being `within`."""
    if phase is Phase.GUARDED:
        within = max(within, GUARDED_WITHIN)
    return max(within, _seconds(watched, SHARES[phase], ids_per_minute))


def limits_of(
    phase: Phase, *, began: float, cap: float, gap: float, joined: int, late: int, ids: float
) -> Limits:
    """`late`: so many of those that joined at the start had waited for longer than their cap.

    Those whose last check nobody knows are among them. `ids`: a minute.
    """
    late_within = min(cap, _seconds(late, LATE_SHARES[phase], ids))
    is_open = phase is Phase.OPEN
    is_rush = is_open and 2 * late > joined
    return Limits(
        began=began,
        cap=cap,
        late_within=late_within,
        blind_within=max(late_within, cap * _BLIND) if is_open else cap,
        calm_at=began + cap if is_rush else began,
        least=min(cap, max(gap, _FIRST * cap)),
    )


def _seconds(orders: int, share: float, ids_per_minute: float) -> float:
    return 60.0 * orders / (share * max(ids_per_minute, 1e-9))

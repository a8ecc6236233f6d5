"""What the machine over the whole daemon draws from, and how it compares memories."""

from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.support.model_panel import Fate
from watcher.config import Config, Secrets, parse
from watcher.model import Observation, RefillStatus, Status
from watcher.rules.engine import RuleEngine

ORDERS = ("1", "2", "3")
PANEL = "p"
HOUR = 3600.0

BASE = """
[panels.p]
url = "https://p.example/api/v2"
requests_per_minute = 60000
guard_for = "{guard}"
"""
UNTOLD = """
lacks = ["refill_status"]
refill_gives_up_after = "1d"
"""
REFILL = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed' && order.finished_ago > duration('1h')"
every = "{every}"
attempts = {attempts}
dry_run = {dry}
"""
CANCEL = """
[[rules]]
name = "cancel"
action = "cancel"
when = "order.status in ['pending', 'in_progress'] && order.idle > duration('24h')"
every = "3h"
attempts = 2
per_hour = 2
"""
DROP = """
[[rules]]
name = "drop"
action = "refill"
when = "order.drop > 0.2 && order.refills < 2"
every = "1m"
"""
NOTIFY = """
[[rules]]
name = "tell"
action = "notify"
when = "order.status == 'partial' || order.refills == 1"
every = "1h"
attempts = 3
"""


@cache
def configurations() -> tuple[Config, ...]:
    """What reloads choose from."""
    often = REFILL.format(every="1h", attempts=3, dry="false")
    seldom = REFILL.format(every="1d", attempts=1, dry="false")
    tried = REFILL.format(every="1h", attempts=3, dry="true")
    texts = (
        BASE.format(guard="30d") + often + CANCEL + DROP + NOTIFY,
        BASE.format(guard="30d") + NOTIFY + DROP + seldom,
        BASE.format(guard="3d") + tried + CANCEL,
        BASE.format(guard="3d"),
        BASE.format(guard="30d") + UNTOLD + often + CANCEL,
    )
    return tuple(parse(text, Secrets({"P_KEY": "key"}, Path()), Path()) for text in texts)


faults = st.lists(st.one_of(st.just(Fate.WELL), st.sampled_from(Fate)), min_size=1, max_size=6)
fates = st.one_of(st.just(()), faults)
# What leaves open whether the panel has acted: where double sends come from.
_UNCLEAR = (Fate.LOST_BEFORE, Fate.LOST_AFTER, Fate.NONSENSE, Fate.LEFT_OUT, Fate.PARTLY)
_odd = st.one_of(st.sampled_from(_UNCLEAR), st.sampled_from(Fate))
points = st.one_of(st.none(), st.integers(0, 8))
how = st.tuples(fates, points)  # a task goes so far (None: to its end), and hears this on the way
# The same for a task that acts: it passes a few points before its request, and most go wrong.
acting = st.tuples(
    st.one_of(st.just(()), st.lists(st.one_of(st.just(Fate.WELL), _odd), min_size=1, max_size=6)),
    points,
)
orders = st.sampled_from(ORDERS)
WELL: tuple[tuple[()], None] = ((), None)
refill_statuses = st.one_of(st.just(RefillStatus.COMPLETED), st.sampled_from(RefillStatus))
seen = st.builds(
    Observation,
    status=st.one_of(st.just(Status.COMPLETED), st.sampled_from(Status)),
    status_text=st.sampled_from([None, "Word"]),
    remains=st.sampled_from([None, 0, 40, 100]),
    start_count=st.sampled_from([None, 10]),
)
moves = st.dictionaries(st.integers(0, 4), seen, min_size=1, max_size=4)
refill_moves = st.dictionaries(st.integers(0, 2), refill_statuses, max_size=2)


def tells_of_refills(config: Config) -> bool:
    return config.panels[PANEL].profile.can("refill_status")


def agreed(breaches: list[str]) -> None:
    assert not breaches, "; ".join(breaches)


def memory(rule_engine: RuleEngine, watched: set[tuple[str, str]]) -> dict[str, Any]:
    """All that the rule engine goes by."""
    return {
        "open": {key: frozenset(kinds) for key, kinds in rule_engine._open_actions.items()},
        "running": {key: frozenset(ids) for key, ids in rule_engine._refills_running.items()},
        "cancels": rule_engine._cancels_accepted & watched,
        "past": {k: p for k, p in rule_engine.memory._past.items() if k[2:] in watched and p.count},
        "unresolved": dict(rule_engine.unresolved),
        "disabled": dict(rule_engine.refill_disabled),
    }

"""A simulated panel, one order of each kind, and requests with some traits."""

from typing import NamedTuple

import aiohttp

from watcher.panels.profiles import shipped
from watcher.simulator import Ending, Fate, SimulatedPanel, Trait

STANDARD = shipped()["standard"]
NOW = 1_700_000_000.0


class Answer(NamedTuple):
    """What came back."""

    http: int
    body: object
    headers: dict[str, str]


class Orders(NamedTuple):
    """One order of each kind, of service 1 unless its name says otherwise."""

    pending: int
    processing: int
    running: int
    completed: int
    partial: int
    canceled: int


def one_of_each(panel: SimulatedPanel) -> Orders:
    fates = (
        Fate(pending=1e9),
        Fate(processing=1e9),
        Fate(per_minute=0.001, start_count=500),
        Fate(per_minute=1e9, start_count=500),
        Fate(per_minute=1e9, ending=Ending.PARTIAL, share=0.5),
        Fate(ending=Ending.CANCELED),
    )
    place = panel.world.seed_orders
    return Orders(
        *(place(1, NOW, services=[1], quantity=100, age=60, fate=fate)[0] for fate in fates)
    )


async def ask(panel: SimulatedPanel, action: str, *traits: Trait, **sent: object) -> Answer:
    """One request while the panel has these traits and no others."""
    panel.switches.off()
    for trait in traits:
        panel.switches.on(trait)
    form = {"key": "demo", "action": action, **sent}
    async with aiohttp.ClientSession() as session, session.post(panel.url, data=form) as answer:
        return Answer(answer.status, await answer.json(content_type=None), dict(answer.headers))


def joined(*ids: object) -> str:
    return ",".join(map(str, ids))

"""Plays a scenario with the real daemon process: killed at chosen points and at drawn times.

1. The daemon watches panels whose time runs sixty times as fast as the clock.
2. Blows are dealt out by the seed. After each that ends the daemon, the oracle looks at what is
   left, and a new one starts.
3. Nothing is wrong any more until every open order was asked about. Then the daemon stops as it is
   told to, and the oracle looks once more.
"""

import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.acceptance.harness.blows import Blow, deal, strike
from tests.acceptance.harness.scenario import PROCESS_EVERY
from tests.acceptance.harness.siege import Siege
from tests.acceptance.harness.verdict import Verdict, peak


def blows_of(seed: int) -> list[Blow]:
    """What is dealt out to the seed's scenario."""
    return deal(seed, seed % 100 // PROCESS_EVERY)


def play_process(seed: int) -> Verdict:
    """Play the seed's scenario."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_play(seed, Path(directory)))


async def _play(seed: int, directory: Path) -> Verdict:
    siege = Siege(seed, directory)
    injected: Counter[str] = Counter()
    began = time.perf_counter()
    try:
        await siege.begin()
        for blow in blows_of(seed):
            injected[str(blow)] += 1
            await strike(blow, siege)
        await siege.finish()
    except Exception as error:  # noqa: BLE001  the others are played all the same
        siege.found.append(f"the scenario ended early: {error!r}, after {list(injected)}")
    finally:
        await siege.end()
    return Verdict(
        seed=seed,
        kind="process",
        violations=siege.found,
        injected=dict(injected),
        seen=dict(siege.seen),
        seconds=time.perf_counter() - began,
        peak_mib=peak(),
    )

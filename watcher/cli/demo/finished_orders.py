"""Finished orders of the demo's panels, of which some later lose part of their count."""

from collections import deque
from collections.abc import Mapping

from watcher.cli.demo.scenario import REFILLABLE
from watcher.simulator import SimulatedPanel

_KEPT = 200  # per panel


class FinishedOrders:
    """Completed orders by panel, of services with refills; each is taken once."""

    def __init__(self, panels: Mapping[str, SimulatedPanel]) -> None:
        self._panels = panels
        self._placed: deque[tuple[str, int]] = deque()
        self._finished = {
            name: deque(panel.world.completed(REFILLABLE, panel.now()), maxlen=_KEPT)
            for name, panel in panels.items()
        }

    def placed(self, panel: str, order: int, service: int) -> None:
        """Note an order that may be taken once it is completed."""
        if service in REFILLABLE:
            self._placed.append((panel, order))

    def take(self, panel: str) -> int | None:
        """Return the most recently ended order that was not taken yet; None if there is none."""
        self._sort_out()
        return self._finished[panel].pop() if self._finished[panel] else None

    def _sort_out(self) -> None:
        for _ in range(len(self._placed)):
            name, order = self._placed.popleft()
            panel = self._panels[name]
            status = panel.world.status(order, panel.now()).status
            if status == "Completed":
                self._finished[name].append(order)
            elif status not in ("Partial", "Canceled"):
                self._placed.append((name, order))

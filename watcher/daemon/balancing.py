"""Decides which node leads which panel. Pure; every node comes to the same result.

A panel goes to the node with the fewest panels, of those whose configuration has it. A node that
has at least two panels more than another hands one over.
"""

from collections.abc import Collection, Sequence

from watcher.store.nodes import Node


def to_claim(name: str, nodes: Sequence[Node], free: Collection[str]) -> list[str]:
    """Return the panels that the node is to claim, of those that nobody leads."""
    counts = {node.name: len(node.panels) for node in nodes}
    claimed = []
    for panel in sorted(free):
        able = [node.name for node in nodes if panel in node.keys]
        if not able:
            continue
        chosen = min(able, key=lambda one: (counts[one], one))
        counts[chosen] += 1
        if chosen == name:
            claimed.append(panel)
    return claimed


def to_hand_over(name: str, nodes: Sequence[Node]) -> tuple[str, Node] | None:
    """Return the next panel that the node is to hand over, and to whom; None if there is none."""
    mine = next((node for node in nodes if node.name == name), None)
    for panel in mine.panels if mine else ():
        able = [node for node in nodes if panel in node.keys and node is not mine]
        least = min(able, key=lambda node: (len(node.panels), node.name), default=None)
        if mine and least and len(least.panels) + 2 <= len(mine.panels):
            return panel, least
    return None

"""Callers of a cluster: they ask any node, give up, and settle what nobody knows."""

import random
from collections import Counter
from typing import Any

from tests.acceptance.harness.cluster import PANELS, Cluster
from tests.support.audit import ids_of

LINK = "https://example.com/{}/{}"


class People:
    """Act by the API of any node; remember what they were told."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.keys: dict[str, tuple[str, str]] = {}
        self.settled: set[int] = set()
        self.confirmed: set[int] = set()
        # Requests that must never arrive: actions that were settled as not done, having looked.
        self.ruled_out: Counter[tuple[str, str, str]] = Counter()
        self.seen: Counter[str] = Counter()
        self._cluster, self._seed = cluster, seed
        self._chance = random.Random(f"people {seed}")

    async def act(self, what: str) -> None:
        await getattr(self, f"_{what}")()

    async def track(self, panel: str, count: int) -> bool:
        """Orders placed elsewhere; what the API has confirmed must be there for ever."""
        simulated = self._cluster.panels[panel]
        ids = simulated.world.seed_orders(count, simulated.now(), services=[1], quantity=500)
        orders = [{"panel": panel, "order": n, "service": 1, "quantity": 500} for n in ids]
        status, said = await self._call("POST", "/v1/orders", {"orders": orders})
        is_told = status == 200 and not said["rejected"]
        if is_told:
            self._cluster.tracked[panel].update(ids)
        return is_told

    async def provoke(self, panel: str, operation: str) -> None:
        """Let the panel's leader have an action of that kind to send."""
        if operation == "add":
            await self._submit(panel)
        elif operation == "cancel":
            await self._ask(panel, "cancel", ("pending", "in_progress", "processing"))
        else:
            await self._ask(panel, "refill", ("completed",))

    async def retry(self, panel: str) -> None:
        """Let the panel be asked at once, whatever pause it has."""
        await self._call("POST", f"/v1/panels/{panel}/retry")

    async def settle(self) -> None:
        """Look at the panels, and settle what is unresolved by what is true there.

        What was rejected so is asked for again at once, as an impatient person does.
        """
        status, said = await self._call("GET", "/v1/actions?state=unresolved&limit=1000")
        for action in said["actions"] if status == 200 else ():
            if action["kind"] == "submit":
                await self._settle_submission(action)
            else:
                await self._settle(action)

    # --- what they do ---

    async def _refills(self) -> None:
        await self.provoke(self._panel(), "refill")

    async def _submit(self, panel: str = "") -> None:
        key = f"key-{self._seed}-{len(self.keys)}"
        link = LINK.format(self._seed, len(self.keys))
        self.keys[key] = (panel or self._panel(), link)
        await self._submit_once(key)

    async def _submit_once(self, key: str) -> None:
        panel, link = self.keys[key]
        body = {"panel": panel, "service": 3, "link": link, "quantity": 100}
        headers = {"Idempotency-Key": key}
        status, said = await self._call("POST", "/v1/submit", body, headers=headers)
        if status in (201, 202):
            self.confirmed.add(said["action"]["id"])

    async def _track(self) -> None:
        await self.track(self._panel(), 5)

    async def _look(self) -> None:
        await self._call("GET", "/v1/orders?limit=5")
        await self._call("GET", "/v1/panels")

    async def _ask(self, panel: str, what: str, statuses: tuple[str, ...]) -> None:
        chosen = await self._candidates(panel, what, statuses)
        for order in self._chance.sample(chosen, min(3, len(chosen))):
            status, said = await self._call("POST", f"/v1/orders/{panel}/{order}/{what}")
            if status == 202:
                self.confirmed.add(said["action"]["id"])

    async def _candidates(self, panel: str, what: str, statuses: tuple[str, ...]) -> list[str]:
        """Orders in one of these statuses with no action of the kind."""
        words = ", ".join(f"'{status}'" for status in statuses)
        return sorted(
            order
            for (order,) in await self._cluster.find(
                "SELECT order_id FROM orders JOIN order_states USING (key)"
                f" JOIN panels ON panels.id = orders.panel WHERE panels.name = '{panel}'"
                f" AND order_states.status IN ({words}) AND NOT EXISTS (SELECT 1 FROM actions"
                f" WHERE actions.panel = panels.id AND kind = '{what}'"
                " AND actions.order_id = orders.order_id)"
            )
        )

    # --- settling ---

    async def _settle(self, action: dict[str, Any]) -> None:
        panel, kind, order = action["panel"], action["kind"], action["order"]
        arrived = self._arrived(panel, kind, order)
        if self._is_busy(panel):
            return
        known = await self._on_record(panel, kind, order)
        is_done = arrived >= known - self.ruled_out[panel, kind, order]
        if not await self._resolve(action, {"state": "accepted" if is_done else "rejected"}):
            return
        if not is_done:
            self.ruled_out[panel, kind, order] += 1
            self.seen["asked for again after a person had looked"] += 1
            await self._call("POST", f"/v1/orders/{panel}/{order}/{kind}")

    async def _settle_submission(self, action: dict[str, Any]) -> None:
        panel, link = action["panel"], action["params"]["link"]
        journal = self._cluster.panels[panel].journal
        added = [e for e in journal.requests("add") if e.parameters.get("link") == link]
        placed = [order for entry in added for order in entry.carried_out]
        if self._is_busy(panel):
            return
        body = {"state": "accepted", "result": str(placed[0])} if placed else {"state": "rejected"}
        await self._resolve(action, body)

    async def _resolve(self, action: dict[str, Any], body: dict[str, str]) -> bool:
        self.settled.add(action["id"])
        status, _ = await self._call("POST", f"/v1/actions/{action['id']}/resolve", body)
        self.seen[f"settling was answered {status}"] += 1
        return status == 200

    async def _on_record(self, panel: str, kind: str, order: str) -> int:
        found = await self._cluster.find(
            "SELECT count(*) FROM actions JOIN panels ON panels.id = actions.panel"
            f" WHERE panels.name = '{panel}' AND kind = '{kind}' AND order_id = '{order}'"
            " AND state <> 'planned' AND sent_at IS NOT NULL"
        )
        return int(found[0][0])

    def _arrived(self, panel: str, kind: str, order: str) -> int:
        entries = self._cluster.panels[panel].journal.requests(kind)
        return sum(order in ids_of(entry) for entry in entries)

    def _is_busy(self, panel: str) -> bool:
        """Whether the panel may still act on what it was sent: who looks now is told too little."""
        return any(e.outcome == "arrived" for e in self._cluster.panels[panel].journal.requests())

    # --- means ---

    def _panel(self) -> str:
        return self._chance.choice(PANELS)

    async def _call(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        status, said = await self._cluster.call(method, path, body, chance=self._chance, **more)
        self.seen[f"calls answered {status}"] += 1
        return status, said

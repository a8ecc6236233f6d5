"""Callers of a cluster: they ask any node, give up, and settle what nobody knows."""

import random
from collections import Counter
from typing import Any

from tests.acceptance.harness.cluster import PANELS, Cluster

LONG_AGO = 7200.0  # simulated seconds: such orders have ended
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
        return bool(await self._placed_elsewhere(panel, count))

    async def provoke(self, panel: str, operation: str, count: int = 1) -> None:
        """Let the panel's leader have an action of that kind to send; else a refill."""
        if operation == "add":
            await self._submit(panel)
            return
        kind, age = ("cancel", 0.0) if operation == "cancel" else ("refill", LONG_AGO)
        for order in await self._placed_elsewhere(panel, count, age):
            status, said = await self._call("POST", f"/v1/orders/{panel}/{order}/{kind}")
            if status == 202:
                self.confirmed.add(said["action"]["id"])
            elif status == 0:  # nobody answers in time: a person asks no more
                return

    async def retry(self, panel: str) -> bool:
        """Let the panel be asked at once, whatever pause it has; whether its leader does so."""
        status, _ = await self._call("POST", f"/v1/panels/{panel}/retry")
        return 200 <= status < 300

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
        await self.provoke(self._panel(), "refill", count=3)

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

    async def _placed_elsewhere(self, panel: str, count: int, age: float = 0.0) -> range:
        """So many orders, which are tracked; none if that was not confirmed."""
        its = self._cluster.panels[panel]
        ids = its.world.seed_orders(count, its.now(), services=[1], quantity=500, age=age)
        orders = [{"panel": panel, "order": n, "service": 1, "quantity": 500} for n in ids]
        status, said = await self._call("POST", "/v1/orders", {"orders": orders})
        if status != 200 or said["rejected"]:
            return ids[:0]
        self._cluster.tracked[panel].update(ids)
        return ids

    # --- settling ---

    async def _settle(self, action: dict[str, Any]) -> None:
        panel, kind, order = action["panel"], action["kind"], action["order"]
        journal = self._cluster.panels[panel].journal
        arrived, done = journal.sent(kind)[int(order)], journal.carried_out(kind)[int(order)]
        if self._is_busy(panel):
            return
        sent, accepted = await self._on_record(panel, kind, order)
        state = "accepted" if done > accepted else "rejected"
        has_arrived = arrived >= sent - self.ruled_out[panel, kind, order]
        if await self._resolve(action, {"state": state}) and not has_arrived:
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

    async def _on_record(self, panel: str, kind: str, order: str) -> tuple[int, int]:
        """How many such actions were sent, and how many of them accepted."""
        found = await self._cluster.find(
            "SELECT count(*), count(*) FILTER (WHERE state = 'accepted') FROM actions"
            " JOIN panels ON panels.id = actions.panel"
            f" WHERE panels.name = '{panel}' AND kind = '{kind}' AND order_id = '{order}'"
            " AND state <> 'planned' AND sent_at IS NOT NULL"
        )
        sent, accepted = found[0]
        return int(sent), int(accepted)

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

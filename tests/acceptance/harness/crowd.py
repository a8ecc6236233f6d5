"""People and programs that use the API, and what they were told.

They ask while the daemon works, give up soon, and ask again. What the API has confirmed is
remembered: the oracle holds the database to it.
"""

import asyncio
import random
from collections import Counter
from typing import Any

import aiohttp

from tests.acceptance.harness.faults import UNREAL
from tests.acceptance.harness.scenario import Scenario
from tests.acceptance.harness.stage import Stage
from tests.support.house import KEY
from watcher.model import FINAL

PATIENCE = (0.02, 0.4)  # real seconds
LINK = "https://example.com/{}/{}"
_GAVE_UP = (aiohttp.ClientError, TimeoutError, ConnectionError)


class Crowd:
    """Acts by the API of the daemon on the stage."""

    def __init__(self, stage: Stage, scenario: Scenario) -> None:
        self.tracked: dict[str, set[int]] = {panel.name: set() for panel in scenario.panels}
        self.keys: dict[str, tuple[str, str]] = {}
        self.confirmed: set[int] = set()  # actions that the API has told of
        self.settled: set[int] = set()  # unresolved ones that somebody has resolved
        self.placed: dict[str, str] = {}  # by idempotency key: the order that the API has told
        self.complaints: list[str] = []
        self.acts: Counter[str] = Counter()
        self._stage = stage
        self._seed = scenario.seed
        self._chance = random.Random(f"crowd {scenario.seed}")
        self._profiles = {name: panel.profile for name, panel in stage.all_panels.items()}

    async def act(self, what: str) -> None:
        """Do it, whatever comes of it."""
        if self._stage.up:
            self.acts[what] += 1
            await getattr(self, f"_{what}")()

    async def fill(self, panel: str, count: int) -> None:
        """Orders that are placed at the panel and tracked here."""
        simulated = self._stage.all_panels[panel]
        ids = simulated.world.seed_orders(
            count, simulated.now(), services=[1, 3, 14, 16], age=self._chance.choice([0.0, 3600.0])
        )
        for start in range(0, count, 2000):
            await self._track(panel, ids[start : start + 2000])

    # --- what they do ---

    async def _refills(self) -> None:
        await self._ask("refill", lambda order: order.status.value == "completed")

    async def _cancels(self) -> None:
        await self._ask("cancel", lambda order: order.status not in FINAL)

    async def _submit(self) -> None:
        """Place an order; an impatient client repeats it with the same key, or an old one."""
        if self.keys and self._chance.random() < 0.3:
            key = self._chance.choice(sorted(self.keys))
        else:
            key = f"key-{self._seed}-{len(self.keys)}"
            link = LINK.format(self._seed, len(self.keys))
            self.keys[key] = (self._chance.choice(sorted(self._profiles)), link)
        repeats = self._chance.choice([1, 1, 2, 4])
        await asyncio.gather(*(self._submit_once(key) for _ in range(repeats)))

    async def _counts(self) -> None:
        for name, panel in self._stage.all_panels.items():
            orders = [order for order in self._watched(name) if order.start_count is not None]
            for order in self._chance.sample(orders, min(6, len(orders))):
                count = max(0, panel.world.count(int(order.id), panel.now()))
                path = f"/v1/orders/{name}/{order.id}/count"
                await self._call("PUT", path, {"count": count})

    async def _track(self, panel: str = "", ids: Any = None) -> None:
        name = panel or self._chance.choice(sorted(self._profiles))
        simulated = self._stage.all_panels[name]
        if ids is None:
            ids = simulated.world.seed_orders(self._chance.randint(1, 12), simulated.now())
        orders = [
            {
                "panel": name,
                "order": order,
                "service": simulated.world.order(order, simulated.now()).service,
                "quantity": simulated.world.order(order, simulated.now()).quantity,
            }
            for order in ids
        ]
        status, answer = await self._call("POST", "/v1/orders", {"orders": orders}, patience=20.0)
        if status == 200 and not answer["rejected"]:
            self.tracked[name].update(ids)

    async def _resolve(self) -> None:
        """A person looks at the panel and settles unresolved actions by what is true."""
        status, answer = await self._call("GET", "/v1/actions?state=unresolved&limit=1000")
        known = answer["actions"] if status == 200 else []
        actions = [action for action in known if not self._is_busy(action["panel"])]
        for action in self._chance.sample(actions, min(3, len(actions))):
            body = self._truth(action)
            self.settled.add(action["id"])
            await self._call("POST", f"/v1/actions/{action['id']}/resolve", body)

    def _is_busy(self, panel: str) -> bool:
        """Whether the panel may still act on what it was sent: who looks now is told too little."""
        requests = self._stage.all_panels[panel].journal.requests()
        return any(request.outcome == "arrived" for request in requests)

    async def _look(self) -> None:
        for path in ("/v1/orders?stalled=true", "/v1/orders?problem=true", "/v1/rules"):
            await self._call("GET", path)
        await self._call("GET", "/metrics")
        await self._call("GET", "/readyz", expected=(503,))

    # --- means ---

    async def _ask(self, what: str, fits: Any) -> None:
        for name, profile in self._profiles.items():
            orders = [order for order in self._watched(name) if fits(order)]
            if not profile.can(what) or not orders:
                continue
            chosen = self._chance.sample(orders, min(len(orders), self._chance.choice([1, 2, 8])))
            paths = [f"/v1/orders/{name}/{order.id}/{what}" for order in chosen]
            await asyncio.gather(*(self._plan(path) for path in paths))

    async def _plan(self, path: str) -> None:
        status, answer = await self._call("POST", path)
        if status == 202:
            self.confirmed.add(answer["action"]["id"])

    async def _submit_once(self, key: str) -> None:
        panel, link = self.keys[key]
        body = {"panel": panel, "service": 3, "link": link, "quantity": 100}
        headers = {"Idempotency-Key": key}
        status, answer = await self._call("POST", "/v1/submit", body, headers=headers)
        if status in (201, 202):
            self.confirmed.add(answer["action"]["id"])
        if status == 201:
            order = answer["order"]["order"]
            if self.placed.setdefault(key, order) != order:
                self.complaints.append(f"{key} was {self.placed[key]}, now it is {order}")

    def _watched(self, panel: str) -> list[Any]:
        orders = self._stage.daemon.watchlist.panel(panel).orders()
        return [order for order in orders if int(order.id) < UNREAL]

    def _truth(self, action: dict[str, Any]) -> dict[str, Any]:
        """What became of it, by the panel's journal: the last sending is the one in doubt."""
        journal = self._stage.all_panels[action["panel"]].journal
        if action["kind"] == "submit":
            link = action["params"]["link"]
            added = [e for e in journal.requests("add") if e.parameters.get("link") == link]
            placed = [order for entry in added for order in entry.carried_out]
            return {"state": "accepted", "result": str(placed[0])} if placed else _REJECTED
        number = int(action["order"])
        done = journal.carried_out(action["kind"])[number]
        known = self._stage.rows(
            f"SELECT count(*) FROM actions JOIN panels ON panels.id = panel WHERE kind ="
            f" '{action['kind']}' AND order_id = '{number}' AND name = '{action['panel']}'"
            " AND state = 'accepted'"
        )[0][0]
        return {"state": "accepted"} if done > known else _REJECTED

    async def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        patience: float | None = None,
        expected: tuple[int, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """The status and the answer; 0 where the client gave up or the daemon went away."""
        seconds = patience or self._chance.uniform(*PATIENCE)
        url = f"http://127.0.0.1:{self._stage.daemon.port}"
        try:
            async with (
                asyncio.timeout(seconds),
                aiohttp.ClientSession(url) as session,
                session.request(method, path, json=body, headers=headers) as answer,
            ):
                is_json = answer.content_type == "application/json"
                said = await (answer.json() if is_json else answer.text())
        except _GAVE_UP:
            return 0, None
        if KEY in str(said):
            self.complaints.append(f"{method} {path}: the key is in the answer")
        if answer.status >= 500 and answer.status not in expected and not _is_the_disk(said):
            self.complaints.append(f"{method} {path}: HTTP {answer.status}: {said}")
        return answer.status, said


_REJECTED = {"state": "rejected"}


def _is_the_disk(said: Any) -> bool:
    return isinstance(said, dict) and said.get("error", {}).get("code") == "database"

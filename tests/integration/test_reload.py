"""SIGHUP: the configuration is taken over whole or not at all."""

import time
from pathlib import Path

from tests.support.house import House, a_house, config_text
from watcher.simulator import Fate, Trait

HOUR = 3600.0
RULE = """
[[rules]]
name = "cancel old"
action = "cancel"
when = "order.status == 'pending' && order.age > duration('1h')"
"""


def rewrite(house: House, panels: list[str] | None = None, **parts: str) -> None:
    chosen = {name: house.panels[name] for name in panels or house.panels}
    house.path.write_text(config_text(chosen, **parts))


async def test_a_new_rule_looks_at_orders_that_are_there(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(3, services=[1], quantity=100, fate=Fate(pending=1e9))
        await house.run(2 * HOUR)
        rewrite(house, rules=RULE)
        await house.daemon.reload()
        await house.run(10.0)
        assert house.panel.journal.sent("cancel") == dict.fromkeys(map(int, ids), 1)
        assert not house.daemon.config.problems


async def test_a_condition_that_takes_too_long_is_refused_while_the_loop_goes_on(tmp_path: Path):
    text = "true"
    for level in range(7):
        text = f"[1,2,3,4,5,6,7,8,9,10].all(v{level}, {text})"
    async with a_house(tmp_path, rules=RULE) as house:
        rules = house.daemon.rule_engine.rules
        slow = RULE.replace("order.status == 'pending'", f"order.status == 'pending' && {text}")
        rewrite(house, rules=slow)
        began = time.process_time()
        await house.daemon.reload()
        assert time.process_time() - began < 1.0
        assert house.daemon.rule_engine.rules == rules
        assert house.daemon.config.problems


async def test_a_faulty_file_changes_nothing_and_says_so(tmp_path: Path):
    async with a_house(tmp_path, rules=RULE) as house:
        rules = house.daemon.rule_engine.rules
        rewrite(house, rules=RULE.replace("order.age", "order.aeg"), defaults="timeout = '1s'")
        await house.daemon.reload()
        assert house.daemon.rule_engine.rules == rules
        assert house.daemon.panel_workers["standard"].config.settings.timeout == 20
        assert house.daemon.config.problems
        rewrite(house, rules=RULE)
        await house.daemon.reload()
        assert not house.daemon.config.problems


async def test_what_needs_a_restart_is_refused_whole(tmp_path: Path):
    async with a_house(tmp_path) as house:
        text = house.path.read_text().replace("[defaults]", 'database = "b.db"\n[defaults]')
        house.path.write_text(text + RULE)
        await house.daemon.reload()
        assert house.daemon.rule_engine.rules == ()
        assert house.daemon.config.problems


async def test_a_panel_can_be_removed_and_comes_back_with_its_orders(tmp_path: Path):
    async with a_house(tmp_path, profiles=["smmxz", "smmryuzxc"]) as house:
        ids = [str(n) for n in house.panels["smmryuzxc"].world.seed_orders(5, house.clock())]
        await house.track(ids, panel="smmryuzxc")
        await house.run(60.0)
        rewrite(house, ["smmxz"])
        await house.daemon.reload()
        await house.run(HOUR)
        assert [p["panel"] for p in (await house.call("GET", "/v1/panels"))["panels"]] == ["smmxz"]
        text = await house.scrape()
        assert "smmryuzxc" not in text
        asked = len(house.panels["smmryuzxc"].journal.requests())
        await house.run(HOUR)
        assert len(house.panels["smmryuzxc"].journal.requests()) == asked
        rewrite(house)
        await house.daemon.reload()
        await house.run(HOUR)
        assert len(house.panels["smmryuzxc"].journal.requests()) > asked
        assert house.order(ids[0], "smmryuzxc").checked_at is not None


async def test_a_changed_panel_goes_on_with_what_is_planned(tmp_path: Path):
    async with a_house(tmp_path) as house:
        fate = Fate(pending=30.0, per_minute=1000.0)
        (order,) = await house.place(1, services=[1], quantity=100, fate=fate)
        await house.run(HOUR)
        await house.panel.stop()
        await house.call("POST", f"/v1/orders/standard/{order}/refill")
        await house.run(60.0)
        rewrite(house, defaults="requests_per_minute = 600")
        await house.daemon.reload()
        await house.panel.start()
        await house.run(HOUR)
        assert house.panel.journal.carried_out("refill") == {int(order): 1}


async def test_a_new_rule_on_links_knows_the_links_that_were_not_kept(tmp_path: Path):
    on_links = RULE.replace("order.age > duration('1h')", "order.link.endsWith('/this')")
    async with a_house(tmp_path) as house:
        world, now = house.panel.world, house.clock()
        wanted, other = map(str, world.seed_orders(2, now, services=[1], fate=Fate(pending=1e9)))
        await house.track([wanted], link="https://example.com/this", service="1")
        await house.track([other], link="https://example.com/that", service="1")
        await house.restart()
        await house.run(HOUR)
        assert house.order(wanted).link is None, "no rule needs it"
        shown = await house.call("GET", f"/v1/orders/standard/{wanted}")
        assert shown["state"]["link"] == "https://example.com/this"
        rewrite(house, rules=on_links)
        await house.daemon.reload()
        await house.run(10.0)
        assert house.panel.journal.sent("cancel") == {int(wanted): 1}


async def test_a_changed_way_of_asking_is_taken_over(tmp_path: Path):
    async with a_house(tmp_path, traits=[Trait.WANTS_FIELD]) as house:
        (order,) = await house.place(1, services=[1], quantity=100, fate=Fate(pending=1e9))
        await house.run(HOUR)
        assert house.order(order).checked_at is None
        rewrite(house, defaults='[defaults.request]\nfields = { source = "api" }\n')
        await house.daemon.reload()
        await house.run(HOUR)
        assert house.order(order).checked_at is not None
        workers = house.daemon.panel_workers["standard"]
        rewrite(house, defaults='[defaults.request]\nfields = { source = "api" }\n')
        await house.daemon.reload()
        assert house.daemon.panel_workers["standard"] is workers, "nothing changed"

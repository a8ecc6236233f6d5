"""`watcher restore`, `watcher disown`: replace the database while no daemon runs."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.command import command
from watcher.cli.options import CONFIG_FILE, ConfigOption, existing_config
from watcher.cli.output import say
from watcher.common.wording import counted

if TYPE_CHECKING:  # imported late: it takes a second that no other command should wait
    from watcher.config import RepairConfig
    from watcher.store import Disowned, Hold, Restored


@command(
    "Panels and database",
    examples=(
        "watcher restore copy.db",
        "watcher restore copy.db --config /etc/watcher/watcher.toml",
    ),
)
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup, which is only read.")],
    config: ConfigOption = CONFIG_FILE,
) -> None:
    """Replace the database by a backup; the old database is kept under another name."""
    from watcher.config import load_for_repair
    from watcher.store import restore as put_in_place

    repair = load_for_repair(existing_config(config))
    holds = _holds(repair)
    restored = put_in_place(file, repair.database, holds, now=time.time())
    _tell(file, restored, len(holds))


@command("Panels and database", examples=("watcher disown",))
def disown(config: ConfigOption = CONFIG_FILE) -> None:
    """Correct a database that was restored without `restore`, such as a snapshot."""
    from watcher.config import load_for_repair
    from watcher.store import disown as disown_database

    repair = load_for_repair(existing_config(config))
    holds = _holds(repair)
    disowned = disown_database(repair.database, holds, now=time.time())
    say(f"{repair.database} counts as a copy that is older than what was done since")
    _tell_unknown("copy", disowned, len(holds))


def _holds(repair: "RepairConfig") -> "list[Hold]":
    """Return the rules that act; one that only notifies may do so twice."""
    from watcher.model import RuleAction
    from watcher.store import Hold

    return [
        Hold(rule=rule.name, action=RuleAction(rule.action), panels=rule.panels)
        for rule in repair.rules
        if rule.action != "notify"
    ]


def _tell(file: Path, restored: "Restored", rules: int) -> None:
    if restored.kept is None:
        say(f"there was no database at {restored.database}")
    else:
        say(f"the database as it was is kept: {restored.kept}")
    say(f"{restored.database} is a copy of {file} now")
    _tell_unknown("backup", restored.disowned, rules)


def _tell_unknown(copy: str, disowned: "Disowned", rules: int) -> None:
    say("", f"What was done after the {copy} was made is not in it:")
    say("- orders tracked or submitted since are unknown: track them again")
    say("- refills, cancels and submissions since are unknown: look before you repeat one")
    unresolved, orders = disowned.unresolved, disowned.orders
    if unresolved:
        actions = counted(unresolved, "action")
        say(
            f"- {actions} had not been settled and may have been sent since: unresolved now."
            " See `watcher actions --state unresolved`, look at the panel, `watcher resolve` each"
        )
    if rules and orders:
        say(
            f"- {counted(rules, 'rule')} may have acted since: each counts as having acted now on"
            f" each of {counted(orders, 'watched order')}, and waits for its `every`"
        )

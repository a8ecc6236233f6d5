"""`watcher panel`: one simulated panel, to try and test clients."""

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from watcher.cli.command import command
from watcher.cli.options import Port, Speed, known_profile
from watcher.cli.output import say
from watcher.cli.tables import Column, show_table
from watcher.common.wording import counted
from watcher.errors import cant_listen

if TYPE_CHECKING:  # imported late: a web server takes a second that no other command should wait
    from watcher.simulator import SimulatedPanel, Trait

_DAY = 86400.0


def _print_traits(wanted: bool) -> None:
    if not wanted:
        return
    from watcher.simulator import Trait

    columns = (Column("trait", "value"), Column("what it does", "description", wraps=True))
    show_table(columns, list(Trait))
    raise typer.Exit


@command(
    "Start",
    examples=(
        "watcher panel --profile standard --port 8080 --orders 50",
        "watcher panel --profile smmxz --port 8081 --trait errors_400",
    ),
)
def panel(
    profile: Annotated[str, typer.Option(metavar="NAME", help="What its API can do.")],
    port: Port,
    key: Annotated[str, typer.Option(metavar="KEY", help="The key that it accepts.")] = "demo",
    host: Annotated[str, typer.Option(metavar="HOST", help="Where it listens.")] = "127.0.0.1",
    speed: Speed = 1.0,
    trait: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A trait, see --list-traits; repeatable."),
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Refuse more requests in a minute.")
    ] = None,
    orders: Annotated[
        int, typer.Option(metavar="N", min=0, help="How many orders it has at the start.")
    ] = 0,
    control: Annotated[
        bool, typer.Option("--control", help="Serve /journal and /control, for tests.")
    ] = False,
    list_traits: Annotated[
        bool,
        typer.Option(
            "--list-traits", callback=_print_traits, is_eager=True, help="Print every trait."
        ),
    ] = False,
) -> None:
    """Run one simulated panel until Ctrl-C, to try and test clients."""
    from watcher.simulator import SimulatedPanel

    simulated = SimulatedPanel(
        known_profile(profile),
        key=key,
        host=host,
        port=port,
        speed=speed,
        traits=[_trait(name) for name in trait or []],
        requests_per_minute=requests_per_minute,
        control=control,
        journal_limit=None if control else 0,
    )
    seeded = simulated.world.seed_orders(orders, simulated.now(), age=_DAY)
    asyncio.run(_serve(simulated, key, seeded))


async def _serve(simulated: "SimulatedPanel", key: str, seeded: range) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await simulated.start()
    except OSError as error:
        raise cant_listen(urlsplit(simulated.url).netloc, error, "--port") from None
    try:
        say(f"{simulated.profile.name} at {simulated.url}, key {key}")
        if seeded:
            say(f"{counted(len(seeded), 'order')}: {seeded[0]} to {seeded[-1]}")
        say(f"try: curl -d key={key} -d action=balance {simulated.url}")
        await stop.wait()
    finally:
        await simulated.stop()


def _trait(name: str) -> "Trait":
    from watcher.simulator import Trait

    found = {trait.value: trait for trait in Trait}.get(name)
    if found is None:
        cause = f"there is no {name!r}: --list-traits prints all"
        raise typer.BadParameter(cause, param_hint="--trait")
    return found

"""`watcher` in a process that ends or stops itself at a chosen point of its work.

python -m tests.acceptance.harness.mortal claim during 3 run --config FILE
python -m tests.acceptance.harness.mortal orders FILE run --config FILE

The operation is one of the store's writes, a request's action, or `tables`. A moment and a number
of passes follow, then what `watcher` takes. In the second form these, and `kill` or `stop`, are
read from a file whenever there is one; it is removed then. One without orders takes them back.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.acceptance.harness.fuse import Fuse, Moment, acting, in_place
from watcher.cli import main
from watcher.panels.http_utils import ActionBody
from watcher.store import migrate


class Deadly(Fuse):
    """Takes the whole process along, as a power failure does; nothing is cleaned up."""

    def blow(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Told(Fuse):
    """Ends or stops the process where its orders say; a stopped one goes on from there."""

    ends = False

    def __init__(self, orders: Path) -> None:
        super().__init__()
        self._orders = orders
        self._signal = signal.SIGKILL

    def passes(self, part: object, operation: str, moment: Moment) -> None:
        self._listen()
        super().passes(part, operation, moment)

    def blow(self) -> None:
        self.unset()
        os.kill(os.getpid(), self._signal)

    def _listen(self) -> None:
        if not self._orders.exists():
            return
        self.unset()
        told = json.loads(self._orders.read_text())
        self._orders.unlink()
        if told:
            self._signal = signal.Signals[told["signal"]]
            self.set_to(told["operation"], Moment(told["moment"]), told["passes"])


def run() -> None:
    if sys.argv[1] == "orders":
        _, _, orders, *sys.argv[1:] = sys.argv
        fuse: Fuse = Told(Path(orders))
    else:
        operation, moment, passes, *sys.argv[1:] = sys.argv[1:]
        fuse = Deadly()
        fuse.set_to(operation, Moment(moment), int(passes))
    _let_tables_pass(fuse)
    _let_bodies_pass(fuse)
    with in_place(fuse):
        main()


def _let_tables_pass(fuse: Fuse) -> None:
    """When the tables of a new database are made, before their commit."""
    plain = migrate._create

    def fused(*args: Any) -> None:
        plain(*args)
        fuse.passes(migrate, "tables", Moment.DURING)

    migrate._create = fused


def _let_bodies_pass(fuse: Fuse) -> None:
    """Before an action's first byte is written, to a connection that is there; and after its last.

    What comes after is the answer.
    """
    plain = ActionBody.write_with_length

    async def fused(body: ActionBody, *args: Any) -> None:
        fuse.passes(body, acting(), Moment.DURING)
        await plain(body, *args)
        fuse.passes(body, "request", Moment.AFTER)

    ActionBody.write_with_length = fused  # type: ignore[method-assign]


if __name__ == "__main__":
    run()

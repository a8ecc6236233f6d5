"""`watcher` in a process that ends itself by SIGKILL at a chosen point of its work.

python -m tests.acceptance.harness.mortal claim during 3 run --config FILE

The operation is one of the store's writes, a request's action, or `tables`. A moment and a
number of passes follow, then what `watcher` takes.
"""

import os
import signal
import sys
from typing import Any

from tests.acceptance.harness.fuse import Fuse, Moment, in_place
from watcher.cli import main
from watcher.store import migrate


class Deadly(Fuse):
    """Takes the whole process along, as a power failure does; nothing is cleaned up."""

    def blow(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def run() -> None:
    operation, moment, passes, *sys.argv[1:] = sys.argv[1:]
    fuse = Deadly()
    fuse.set_to(operation, Moment(moment), int(passes))
    _let_tables_pass(fuse)
    with in_place(fuse):
        main()


def _let_tables_pass(fuse: Fuse) -> None:
    """When the tables of a new database are made, before their commit."""
    plain = migrate._create

    def fused(*args: Any) -> None:
        plain(*args)
        fuse.passes(migrate, "tables", Moment.DURING)

    migrate._create = fused


if __name__ == "__main__":
    run()

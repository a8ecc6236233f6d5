"""What a planted fault is."""

from typing import NamedTuple


class Fault(NamedTuple):
    """A single fault: in the one function or table `where` that has the tokens `old`.

    `where` is a name of the product, such as `claim` or `Brake.count`; moves of files don't matter.
    `tests` are files or node ids below tests/. `cost` is what the fault would cost its user.
    """

    name: str
    where: str
    old: str
    new: str
    tests: str
    cost: str

"""What a planted fault is, and the notation in which faults are written down."""

from collections.abc import Iterable
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


def parse(text: str) -> tuple[Fault, ...]:
    """Read faults that are parted by blank lines; a line that begins with --- is a heading.

    name: cost, on as many lines as it takes
      where < tests
    - old
    + new
    """
    blocks = [block.splitlines() for block in text.strip().split("\n\n")]
    return tuple(_parse_one(lines) for lines in blocks if not lines[0].startswith("---"))


def _parse_one(lines: list[str]) -> Fault:
    head = [line for line in lines if line[:1] not in ("-", "+", " ")]
    (place,) = (line for line in lines if line.startswith("  "))
    name, _, cost = " ".join(head).partition(": ")
    where, _, tests = place.strip().partition(" < ")
    return Fault(name, where, _after("-", lines), _after("+", lines), tests, cost)


def _after(mark: str, lines: Iterable[str]) -> str:
    return "\n".join(line[2:] for line in lines if line.startswith(mark))

"""The nodes of a cluster, and what each of them leads."""

import msgspec


class Leader(msgspec.Struct, frozen=True):
    """Who leads a panel or a duty; `since` in Unix seconds, by the database's clock."""

    node: str
    url: str
    since: float


class Node(msgspec.Struct, frozen=True):
    """A node that has joined; times in Unix seconds, by the database's clock."""

    name: str
    url: str
    epoch: int  # of its lease: no two joins of the cluster have the same
    until: float  # the lease ends then, unless it is renewed
    started_at: float
    version: str
    panels: tuple[str, ...]  # what it leads, without duties
